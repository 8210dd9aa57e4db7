"""What many facts count in, as arrays: `projection.changes` of all the youths of a batch at once.

Each fact is a row of numbers, and each place that it may count at a column: where a youth's place is another than
before, he counts one less there and one more here.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.reporting.compact import NEVER, NO_SOURCE, Fact
from services.reporting.deltas import Deltas, Keys
from services.reporting.indicators import COHORT_STEPS, DETECTED_TO_VERIFIED, DISMISSED, KEPT_DELAYS, STEPS
from services.reporting.measures import DAY_SHIFT, DELAY_MASK, DELAY_NAMES, DELAY_SHIFT, LEAF_SHIFT, NUMBERS
from services.reporting.projection import SOURCES, UNKNOWN_SOURCE, Leaf

Row = tuple[int, ...]
"""A fact's numbers, in the order of `row_of`."""

_LEAF, _FIRST, _SEEN, _VERIFIED, _SOURCE, _DISMISSED_ON, _DISMISSED_BY = 0, 1, 10, 11, 12, 13, 14
_WIDTH: Final = 15
_UNDISMISSED: Final = (-1, 0)
_NOWHERE: Final = -1
_NO_KEYS: Final = np.zeros(0, np.int64)

_STEPS: Final = np.arange(len(STEPS), dtype=np.int64)
_IN_COHORT: Final = [STEPS.index(step) for step in COHORT_STEPS]
_COHORT: Final = np.array([NUMBERS[f"cohort:{step}"] for step in COHORT_STEPS], np.int64)
_REACHED: Final = STEPS.index("reached")
_BEGINS, _ENDS = ([STEPS.index(steps[end]) for steps in KEPT_DELAYS.values()] for end in (0, 1))
_DELAYS: Final = np.array([(DELAY_NAMES.index(name) + 1) << DELAY_SHIFT for name in KEPT_DELAYS], np.int64)
_LAST_VERIFIED: Final = (DELAY_NAMES.index(DETECTED_TO_VERIFIED) + 1) << DELAY_SHIFT
_DETECTED_FROM: Final = np.array([NUMBERS[f"cohort:detected:{source}"] for source in SOURCES] + [0], np.int64)
_DISMISSED_FROM: Final = np.array([NUMBERS[f"cohort:{DISMISSED}:{source}"] for source in SOURCES] + [0], np.int64)
_BY_SOURCE: Final[Mapping[str, int]] = {
    "": NUMBERS[f"{DISMISSED}:{UNKNOWN_SOURCE}"],
    **{source: NUMBERS[f"{DISMISSED}:{source}"] for source in SOURCES},
}


def row_of(fact: Fact, leaf: int) -> Row:
    """The numbers by which a youth counts, whose leaf has this number."""
    dismissal = fact.dismissal
    on, by = _UNDISMISSED if dismissal is None else (dismissal[0], _BY_SOURCE[dismissal[3]])
    return (
        leaf,
        fact.detected,
        fact.attempted,
        fact.reached,
        fact.interviewed,
        fact.offered,
        fact.contracted,
        fact.returned,
        fact.civic_service,
        fact.broken,
        fact.seen,
        fact.verified,
        fact.source,
        on,
        by,
    )


class Changes:
    """What the growth of facts adds to the figures."""

    def __init__(self) -> None:
        self._come: list[Keys] = []
        self._gone: list[Keys] = []

    def add(self, before: Sequence[Row], after: Sequence[Row]) -> None:
        """Some youths' facts grow, youth by youth. One of whom nothing was known is `row_of` an empty fact."""
        then, now = _places(before), _places(after)
        moved = now != then
        for places, into in ((now, self._come), (then, self._gone)):
            found = places[moved]
            into.append(found[found != _NOWHERE])

    def figures(self, leaves: Sequence[Leaf | None]) -> Deltas:
        """All that was added, by these leaves; what comes to nothing is left away."""
        every = np.concatenate([_NO_KEYS, *(come << 1 | 1 for come in self._come), *(gone << 1 for gone in self._gone)])
        every.sort()
        keys = every >> 1
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.add.reduceat((every & 1) * 2 - 1, begins) if len(begins) else keys
        kept = counts != 0
        return Deltas(leaves, keys[begins][kept], counts[kept])


def _places(facts: Sequence[Row]) -> Keys:
    """The places at which each fact counts: a row a fact, `_NOWHERE` where it does not."""
    rows = np.array(facts, np.int64).reshape(-1, _WIDTH)
    days, source, verified = rows[:, _FIRST:_SEEN], rows[:, _SOURCE], rows[:, _VERIFIED]
    there, told = days != NEVER, source != NO_SOURCE
    gone = (rows[:, _DISMISSED_ON] >= 0) & (rows[:, _DISMISSED_ON] >= rows[:, _SEEN])
    stays = ~gone
    base = rows[:, _LEAF] << LEAF_SHIFT
    on = base | (rows[:, _DISMISSED_ON] << DAY_SHIFT)
    cohort = base | (days[:, 0] << DAY_SHIFT)
    counted = there[:, 0]
    followed = counted & stays
    spans = np.clip(days[:, _ENDS] - days[:, _BEGINS], 0, DELAY_MASK)
    last = np.clip(verified - days[:, 0], 0, DELAY_MASK)
    return np.hstack(
        [
            _at(base[:, None] | (days << DAY_SHIFT) | _STEPS, there & stays[:, None]),
            _at(cohort[:, None] | _COHORT, there[:, _IN_COHORT] & followed[:, None]),
            _at(cohort[:, None] | _DELAYS | spans, there[:, _BEGINS] & there[:, _ENDS] & followed[:, None]),
            _at(
                np.column_stack(
                    [
                        cohort | _LAST_VERIFIED | last,
                        cohort | _DETECTED_FROM[source],
                        on | NUMBERS[DISMISSED],
                        on | rows[:, _DISMISSED_BY],
                        cohort | NUMBERS[f"cohort:{DISMISSED}"],
                        cohort | _DISMISSED_FROM[source],
                    ]
                ),
                np.column_stack(
                    [
                        followed & (verified > 0) & there[:, _REACHED],
                        counted & told,
                        gone,
                        gone,
                        gone & counted,
                        gone & counted & told,
                    ]
                ),
            ),
        ]
    )


def _at(keys: Keys, counts: NDArray[np.bool_]) -> Keys:
    return np.where(counts, keys, _NOWHERE)
