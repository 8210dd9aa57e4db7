"""The codes of the indicators, and what counting them needs: what they are called and say is in `definitions`."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from shared.events.base import Kind

DEFINITION_VERSION: Final = 1

Step = Literal[
    "detected",
    "attempted",
    "reached",
    "interviewed",
    "offered",
    "contracted",
    "returned",
    "civic_service",
    "broken",
]
DelayName = Literal[
    "detected_to_attempted", "detected_to_interviewed", "interviewed_to_offered", "offered_to_contracted"
]
CurveStep = Literal["attempted", "reached", "interviewed", "contracted", "returned"]
View = Literal["activity", "cohort"]

STEPS: Final[tuple[Step, ...]] = get_args(Step)
DISMISSED: Final = "dismissed"
NOT_KNOWN: Final = "not_known"
LAPSED: Final = "lapsed"
UNKNOWN: Final = "unknown"
"""`not_known` and `lapsed` together."""
ACTIVITY_CODES: Final[tuple[str, ...]] = (*STEPS, DISMISSED)
COHORT_STEPS: Final[tuple[Step, ...]] = STEPS[1:]

RETURN_KINDS: Final[frozenset[Kind]] = frozenset({"school", "innovative_structure", "apprenticeship", "trainee"})
BREAK_REASONS: Final = frozenset({"dropped_out", "lost"})
REACHED_OUTCOMES: Final = frozenset({"reached", "declined"})
UNVERIFIED_REASONS: Final = frozenset({"lost"})
"""Ends of a contract at which nobody can say what becomes of the youth."""

DELAYS: Final[Mapping[DelayName, tuple[Step, Step]]] = {
    "detected_to_attempted": ("detected", "attempted"),
    "detected_to_interviewed": ("detected", "interviewed"),
    "interviewed_to_offered": ("interviewed", "offered"),
    "offered_to_contracted": ("offered", "contracted"),
}
"""Those that an answer shows."""
CURVE: Final[Mapping[CurveStep, str]] = {step: f"detected_to_{step}" for step in get_args(CurveStep)}
"""The steps of the cohort curve, and the delays it is made of."""
KEPT_DELAYS: Final[Mapping[str, tuple[Step, Step]]] = {
    **{str(name): steps for name, steps in DELAYS.items()},
    **{name: ("detected", step) for step, name in CURVE.items() if name not in DELAYS},
}
"""All delays between two steps that figures are kept of: the shown ones come first."""
DETECTED_TO_VERIFIED: Final = "detected_to_verified"
"""From detection to the last day on which somebody verified the situation: by it, situations lapse."""

CODES: Final[tuple[str, ...]] = (
    *ACTIVITY_CODES,
    NOT_KNOWN,
    LAPSED,
    UNKNOWN,
    "false_positive_rate",
    *DELAYS,
    "attainment",
    "cohort_curve",
)
"""All that is shown and must therefore be defined."""
