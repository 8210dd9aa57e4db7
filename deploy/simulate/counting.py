"""What the lists and the work must add up to, counted from what was made up: nothing of a service is asked or used.

The rules are those of `docs` on indicators, definition version 1: youths, once each, by the day of the first such
event; a youth whose last dismissal is on or after the last detection only counts as dismissed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from deploy.simulate.drawing import Day, iso
from deploy.simulate.journey import Step

CODES: Final = (
    "detected",
    "attempted",
    "reached",
    "interviewed",
    "offered",
    "contracted",
    "returned",
    "civic_service",
    "broken",
    "dismissed",
)
_STEPS: Final = CODES[1:-1]
_DELAYS: Final = (
    ("detected", "attempted"),
    ("detected", "interviewed"),
    ("interviewed", "offered"),
    ("offered", "contracted"),
)
_RETURNS: Final = frozenset({"school", "innovative_structure", "apprenticeship", "trainee"})
_SIMPLE: Final = {"interview": "interviewed", "offer": "offered", "contract": "contracted"}
NATIONAL: Final = "FR"


def first_days(detections: Sequence[Day], steps: Iterable[Step]) -> dict[str, Day]:
    """The day on which a youth first came to each code (of `CODES`); `dismissed` only if a dismissal still holds."""
    first: dict[str, Day] = {"detected": min(detections)}
    dismissed: Day | None = None
    for step in steps:
        for code in _codes(step):
            first[code] = min(step.on, first.get(code, step.on))
        if step.do == "dismissal":
            dismissed = max(step.on, dismissed or step.on)
    if dismissed is not None and dismissed >= max(detections):
        return {"dismissed": dismissed, "detected": first["detected"]}
    return first


def _codes(step: Step) -> tuple[str, ...]:
    match step.do:
        case "contact":
            return ("attempted", "reached") if step.body["outcome"] in ("reached", "declined") else ("attempted",)
        case "interview":
            return ("interviewed", "reached")
        case "start" if step.kind in _RETURNS:
            return ("returned",)
        case "start" if step.kind == "civic_service":
            return ("civic_service",)
        case "end" if step.body["reason"] in ("dropped_out", "lost"):
            return ("broken",)
    code = _SIMPLE.get(step.do)
    return (code,) if code else ()


class Unit:
    """The figures of France or of one académie, for one period."""

    def __init__(self) -> None:
        self._activity: Counter[str] = Counter()
        self._cohort: Counter[str] = Counter()
        self._delays: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, first: Mapping[str, Day], period: tuple[Day, Day]) -> None:
        """Count a youth."""
        if "dismissed" in first:
            self._activity["dismissed"] += period[0] <= first["dismissed"] <= period[1]
            return
        for code, day in first.items():
            self._activity[code] += period[0] <= day <= period[1]
        if period[0] <= first["detected"] <= period[1]:
            self._cohort.update(first.keys())
            for begin, end in _DELAYS:
                if begin in first and end in first:
                    self._delays[f"{begin}_to_{end}"][max(0, first[end] - first[begin])] += 1

    def figures(self) -> dict[str, Any]:
        """As reporting shows them, with `size` for the cohort's youths."""
        size = self._cohort["detected"]
        return {
            "activity": {code: self._activity[code] for code in CODES},
            "cohort": {
                "size": size,
                **{code: self._cohort[code] for code in _STEPS},
                "not_known": size - self._cohort["reached"],
                "delays": {f"{begin}_to_{end}": _summary(self._delays[f"{begin}_to_{end}"]) for begin, end in _DELAYS},
            },
        }


def _summary(days: Counter[int]) -> dict[str, Any]:
    """Number, median (mean of the middle two) and 90th percentile (nearest rank)."""
    values = sorted(days.elements())
    n = len(values)
    if not n:
        return {"n": 0, "median": None, "p90": None}
    return {"n": n, "median": (values[(n - 1) // 2] + values[n // 2]) / 2, "p90": values[-(-9 * n // 10) - 1]}


class Count:
    """Keeps the score of a simulation."""

    def __init__(self, period: tuple[Day, Day]) -> None:
        self._period = period
        self._lists: dict[str, Counter[str]] = defaultdict(Counter)
        self._rejected: dict[str, Counter[str]] = defaultdict(Counter)
        self._warnings: dict[str, Counter[str]] = defaultdict(Counter)
        self._units: dict[str, Unit] = defaultdict(Unit)
        self.work: Counter[str] = Counter()

    def row(self, campaign: str, outcome: str, warnings: Sequence[str] = ()) -> None:
        """A row of a list; `outcome` is accepted, matched, disputed, repeated, or the code of a rejection."""
        self._lists[campaign]["rows"] += 1
        if outcome in ("accepted", "matched", "disputed", "repeated"):
            self._lists[campaign][outcome] += 1
        else:
            self._rejected[campaign][outcome] += 1
        self._warnings[campaign].update(warnings)

    def youth(self, academie: str, detections: Sequence[Day], steps: Sequence[Step]) -> None:
        """A youth with all that was done; `academie` is where the last assignment left him."""
        first = first_days(detections, steps)
        self._units[NATIONAL].add(first, self._period)
        self._units[academie].add(first, self._period)
        self.work.update(step.do for step in steps)

    def lists(self) -> dict[str, Any]:
        """By campaign, as referral answers for an import."""
        return {
            campaign: {
                **{name: counts[name] for name in ("rows", "accepted", "matched", "disputed", "repeated")},
                "rejected": dict(sorted(self._rejected[campaign].items())),
                "warnings": dict(sorted(self._warnings[campaign].items())),
            }
            for campaign, counts in sorted(self._lists.items())
        }

    def indicators(self) -> dict[str, Any]:
        """The national figures, and those of each académie that has any."""
        return {
            "from": iso(self._period[0]),
            "to": iso(self._period[1]),
            "national": {NATIONAL: self._units[NATIONAL].figures()},
            "academie": {code: unit.figures() for code, unit in sorted(self._units.items()) if code != NATIONAL},
        }
