"""What news change in a youth's fact and figures, youth by youth: how the peers count."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.reporting.compact import NEVER, Fact, days_of, grown, last_verified, leaf_of, places
from services.reporting.indicators import COHORT_STEPS, DETECTED_TO_VERIFIED, KEPT_DELAYS, STEPS
from services.reporting.measures import DAY_SHIFT, DELAY_MASK, DELAY_NAMES, DELAY_SHIFT, NUMBERS

_COHORT: Final = tuple(NUMBERS[f"cohort:{step}"] if step in COHORT_STEPS else NUMBERS[step] for step in STEPS)
_EVERY_STEP: Final = range(len(STEPS))
_DELAYS: Final = tuple(
    (STEPS.index(begin), STEPS.index(end), (DELAY_NAMES.index(name) + 1) << DELAY_SHIFT)
    for name, (begin, end) in KEPT_DELAYS.items()
)
_DELAYS_OF: Final = tuple(tuple(each for each in _DELAYS if step in each[:2]) for step in _EVERY_STEP)
"""By step, the delays that begin or end with it."""
_VERIFIED: Final = (DELAY_NAMES.index(DETECTED_TO_VERIFIED) + 1) << DELAY_SHIFT


class Growth(NamedTuple):
    """What news change: the fact after them, the places where the youth no longer counts, and where he now does."""

    after: Fact
    gone: set[int]
    come: set[int]


def grow(before: Fact | None, news: Fact) -> Growth | None:
    """What the news change in what is known of a youth, if anything is; None when that is nothing."""
    after = grown(before, news)
    if after is None:
        return None
    if before is None:
        return Growth(after, set(), places(after))
    old, days = days_of(before), days_of(after)
    earlier = [step for step in _EVERY_STEP if days[step] < old[step]]
    seen, dismissal = after.seen, after.dismissal
    same_leaf = after.assignment is before.assignment or leaf_of(before) == leaf_of(after)
    plain = seen == before.seen and dismissal is before.dismissal and not (dismissal and dismissal[0] >= seen)
    if plain and same_leaf and after.source == before.source and 0 not in earlier:
        gone, come = _moved(old, days, earlier)
        if old[0] != NEVER:
            last, now = last_verified(old, before.verified), last_verified(days, after.verified)
            _swap(old[0] << DAY_SHIFT | _VERIFIED, last, now, gone, come)
    else:
        gone, come = places(before), places(after)
        if same_leaf:
            gone, come = gone - come, come - gone
    return Growth(after, gone, come)


def _moved(old: Sequence[int], days: Sequence[int], earlier: Sequence[int]) -> tuple[set[int], set[int]]:
    """The places that a youth leaves and takes when some steps, but not the first, were earlier than was known."""
    gone, come = set[int](), set[int]()
    base = days[0] << DAY_SHIFT if days[0] != NEVER else None
    for step in earlier:
        come.add(days[step] << DAY_SHIFT | step)
        if old[step] != NEVER:
            gone.add(old[step] << DAY_SHIFT | step)
        elif base is not None:
            come.add(base | _COHORT[step])
        if base is not None:
            for begin, end, delay in _DELAYS_OF[step]:
                _swap(base | delay, _delay(old, begin, end), _delay(days, begin, end), gone, come)
    return gone, come


def _swap(base: int, before: int | None, after: int | None, gone: set[int], come: set[int]) -> None:
    """Leave the place of one number of days and take that of another; None is no place."""
    if before != after:
        if before is not None:
            gone.add(base | before)
        if after is not None:
            come.add(base | after)


def _delay(days: Sequence[int], begin: int, end: int) -> int | None:
    if days[begin] == NEVER or days[end] == NEVER:
        return None
    return min(max(0, days[end] - days[begin]), DELAY_MASK)
