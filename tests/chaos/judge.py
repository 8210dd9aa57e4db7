"""All checks of a run, and the line that says how it went. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.chaos import checker, checker_figures, checker_quality, checker_stores
from tests.chaos.checker import Check, Evidence, Violation

CHECKS: Final[tuple[Check, ...]] = (
    checker.commands,
    checker.asked_for,
    checker.people,
    checker.rejections,
    checker.outboxes,
    checker_stores.seats,
    checker_stores.placements,
    checker_stores.contracts,
    checker_stores.youths,
    checker_stores.dead_letters,
    checker_quality.dead_letters,
    checker_quality.disputes,
    checker_quality.lists,
    checker_quality.kept,
    checker_figures.live,
    checker_figures.recomputed,
    checker_figures.told,
)


def judge(evidence: Evidence) -> list[Violation]:
    """Everything that must not be; none when all is well."""
    return [violation for check in CHECKS for violation in check(evidence)]


def verdict(violations: Sequence[Violation], *, faults: int, events: int, seed: int) -> str:
    """The last line of a run."""
    count: Counter[str] = Counter()
    for violation in violations:
        count[violation.kind] += violation.count
    found = " ".join(f"{kind}={count[kind]}" for kind in ("lost", "doubled", "oversold", "drift"))
    return f"chaos: faults={faults} events={events} {found} seed={seed}"
