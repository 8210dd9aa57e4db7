"""One month of all figures in memory, as arrays.

    counts   (units, 1 + 31 days, columns), int32: row 0 of the days is the whole month; the columns are `COLUMNS`
    delays   how often each unit has each delay in the month, of the delays that an answer shows
    curve    (units, steps of the cohort curve, spans of days), int32: how many came to a step so long after detection
    by_day   how often each leaf has each shown delay on each day: only a period that cuts the month looks there
    unshown  the same of the other delays: those of the curve alone, and those to the last verification

A page of counts has a row for each unit that there was, and the system backs what was written to: a day far off costs
little. Delays are sparse: most of a network's are there once.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.reporting.figures import LEVELS, Period
from services.reporting.indicators import CURVE, DELAYS, DETECTED_TO_VERIFIED
from services.reporting.measures import (
    COLUMNS,
    DAY_SHIFT,
    DELAY_MASK,
    DELAY_NAMES,
    DELAY_SHIFT,
    FIXED,
    LAPSED_COLUMN,
)

Numbers = NDArray[np.int64]
Small = NDArray[np.int32]

DAY_BITS: Final = 5
LEAF_SHIFT: Final = DAY_SHIFT + DAY_BITS
LEVEL_SHIFT: Final = 44
"""A key of `delays` is level << 44 | unit << 20 | measure, one of `by_day` is leaf << 25 | day << 20 | measure."""
ALL_KEYS: Final = (0, 1 << 62)

CURVE_DAYS: Final = tuple(range(0, 361, 15))
"""After so many days the curve has a point. A span is what lies between two points, the last all that is beyond."""
_SPAN: Final = CURVE_DAYS[1]

_DAYS: Final = 32
_MEASURES: Final = len(FIXED)
_COLUMNS: Final = len(COLUMNS)
_SHOWN: Final = len(DELAYS)
_VERIFIED: Final = DELAY_NAMES.index(DETECTED_TO_VERIFIED) + 1
_STEP_OF: Final = np.array(
    [{name: place for place, name in enumerate(CURVE.values())}.get(name, -1) for name in ("", *DELAY_NAMES)]
)
"""By the number of a delay's name: its place in the curve, -1 where it has none."""
_FEWEST: Final = 64
_MOST_PIECES: Final = 4
_NO_KEYS: Final = np.zeros(0, np.int64)
_NO_COUNTS: Final = np.zeros(0, np.int32)


class Sparse:
    """Numbers at few of many places: sorted, and what came since then, unsorted."""

    __slots__ = ("_counts", "_keys", "_pieces", "_waiting")

    def __init__(self) -> None:
        self._keys, self._counts = _NO_KEYS, _NO_COUNTS
        self._pieces: list[tuple[Numbers, Small]] = []
        self._waiting = 0

    def add(self, keys: Numbers, counts: Small) -> None:
        """Add so many at each place; the same place may come several times."""
        if not len(keys):
            return
        self._pieces.append((keys, counts))
        self._waiting += len(keys)
        if self._waiting > max(4_096, len(self._keys) // 4):
            self.sort()
        elif len(self._pieces) > _MOST_PIECES:
            self._pieces = [_joined(self._pieces)]

    def sort(self) -> None:
        """Sum what came since the last time."""
        if not self._pieces:
            return
        keys, counts = _joined([(self._keys, self._counts), *self._pieces])
        order = np.argsort(keys, kind="stable")  # which is quick where most is sorted
        keys = keys[order]
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        sums = np.add.reduceat(counts[order], begins)
        kept = sums != 0
        self._keys, self._counts = keys[begins][kept], sums[kept]
        self._pieces, self._waiting = [], 0

    def between(self, low: int, high: int) -> Iterator[tuple[Numbers, Small]]:
        """What is at places from `low` to before `high`."""
        begin, end = np.searchsorted(self._keys, (low, high))
        yield self._keys[begin:end], self._counts[begin:end]
        for keys, counts in self._pieces:
            inside = (keys >= low) & (keys < high)
            yield keys[inside], counts[inside]


def _joined(pieces: Sequence[tuple[Numbers, Small]]) -> tuple[Numbers, Small]:
    return np.concatenate([keys for keys, _ in pieces]), np.concatenate([counts for _, counts in pieces])


class Month:
    """The figures of a month. `first` is the ordinal of its first day; days are those of the month, from 1."""

    __slots__ = ("by_day", "counts", "curve", "delays", "first", "length", "unshown")

    def __init__(self, number: int, units: int) -> None:
        month = np.datetime64(number - 1970 * 12, "M")
        first, after = (day.astype("datetime64[D]").astype(np.int64) for day in (month, month + 1))
        self.first = int(first) + date(1970, 1, 1).toordinal()
        self.length = int(after - first)
        self.counts = np.zeros((_room(units), _DAYS, _COLUMNS), np.int32)
        self.curve = np.zeros((_room(units), len(CURVE), len(CURVE_DAYS) + 1), np.int32)
        self.delays, self.by_day, self.unshown = Sparse(), Sparse(), Sparse()

    def make_room(self, units: int) -> None:
        """Make room for so many units."""
        if units > len(self.counts):
            self.counts, self.curve = _larger(self.counts, units), _larger(self.curve, units)

    def sort(self) -> None:
        """Sum what waits to be summed."""
        for sparse in (self.delays, self.by_day, self.unshown):
            sparse.sort()

    def add(
        self, leaves: Numbers, units: Numbers, days: Numbers, measures: Numbers, counts: Small, *, before: int
    ) -> None:
        """Add figures: of each its leaf, that leaf's unit on each level, its day and measure, and how many more.

        `before`: who was last verified before that day (its ordinal) has lapsed.
        """
        fixed = measures < _MEASURES
        self._count(units[fixed], days[fixed], measures[fixed], counts[fixed])
        names = measures >> DELAY_SHIFT
        delayed = (names > 0) & (names <= len(DELAY_NAMES))
        if not delayed.any():
            return
        leaves, units, days = leaves[delayed], units[delayed], days[delayed]
        names, measures, counts = names[delayed], measures[delayed], counts[delayed]
        shown = names <= _SHOWN
        levels = np.arange(len(LEVELS), dtype=np.int64) << LEVEL_SHIFT
        keys = levels | (units[shown] << DAY_SHIFT) | measures[shown, None]
        self.delays.add(keys.reshape(-1), np.repeat(counts[shown], len(LEVELS)))
        keys = (leaves << LEAF_SHIFT) | (days << DAY_SHIFT) | measures
        self.by_day.add(keys[shown], counts[shown])
        self.unshown.add(keys[~shown], counts[~shown])
        self._lapse(units, keys, counts, low=0, high=before, sign=1)
        steps = _STEP_OF[names]
        curved = steps >= 0
        spans = _spans(measures[curved])
        places = (units[curved] * len(CURVE) + steps[curved, None]) * (len(CURVE_DAYS) + 1) + spans[:, None]
        np.add.at(self.curve.reshape(-1), places.reshape(-1), np.repeat(counts[curved], len(LEVELS)))

    def _count(self, units: Numbers, days: Numbers, columns: Numbers, counts: Small) -> None:
        each = np.repeat(counts, len(LEVELS))
        flat = self.counts.reshape(-1)
        whole = units * (_DAYS * _COLUMNS) + columns[:, None]
        np.add.at(flat, whole.reshape(-1), each)
        np.add.at(flat, (whole + days[:, None] * _COLUMNS).reshape(-1), each)

    def lapse(self, units_of_leaves: Numbers, low: int, high: int, sign: int) -> None:
        """Count as lapsed (`sign` 1), or no longer (-1), who was last verified from day `low` to before `high`."""
        for keys, counts in self.unshown.between(*ALL_KEYS):
            self._lapse(units_of_leaves[keys >> LEAF_SHIFT], keys, counts, low=low, high=high, sign=sign)

    def _lapse(self, units: Numbers, keys: Numbers, counts: Small, *, low: int, high: int, sign: int) -> None:
        days = days_of(keys)
        verified = days + (keys & DELAY_MASK) + (self.first - 1)
        moved = (names_of(keys) == _VERIFIED) & (low <= verified) & (verified < high)
        if moved.any():
            columns = np.full(np.count_nonzero(moved), LAPSED_COLUMN, np.int64)
            self._count(units[moved], days[moved], columns, counts[moved] * np.int32(sign))

    def curve_of(self, of_unit: NDArray[np.bool_], first: int, last: int) -> Numbers:
        """The curve of a unit over some days of the month: (steps, spans). `of_unit`: which leaves are the unit's."""
        found = np.zeros((len(CURVE), len(CURVE_DAYS) + 1), np.int64)
        for sparse in (self.by_day, self.unshown):
            for keys, counts in sparse.between(*ALL_KEYS):
                steps, days = _STEP_OF[names_of(keys)], days_of(keys)
                kept = (steps >= 0) & (first <= days) & (days <= last) & of_unit[keys >> LEAF_SHIFT]
                np.add.at(found, (steps[kept], _spans(keys[kept])), counts[kept])
        return found

    def days_in(self, period: Period) -> tuple[int, int]:
        """The first and the last day of the month in the period, from 1; the last is before the first if none is."""
        first = 1 if period.first is None else max(1, period.first.toordinal() - self.first + 1)
        last = self.length if period.last is None else min(self.length, period.last.toordinal() - self.first + 1)
        return first, last


def days_of(keys: Numbers) -> Numbers:
    """The days of the month in keys of `by_day`."""
    return (keys >> DAY_SHIFT) & ((1 << DAY_BITS) - 1)


def names_of(keys: Numbers) -> Numbers:
    """The numbers of the delays' names in keys."""
    return (keys & ((1 << DAY_SHIFT) - 1)) >> DELAY_SHIFT


def _spans(keys: Numbers) -> Numbers:
    spans: Numbers = np.minimum(((keys & DELAY_MASK) + (_SPAN - 1)) // _SPAN, len(CURVE_DAYS))
    return spans


def _room(units: int) -> int:
    """Rows of a page: some more than there are units, so that it seldom grows."""
    return -(-(units + units // 8) // _FEWEST) * _FEWEST


def _larger(page: Small, units: int) -> Small:
    larger = np.zeros((_room(units), *page.shape[1:]), np.int32)
    larger[: len(page)] = page
    return larger
