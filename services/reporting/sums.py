"""All figures in memory, as arrays: what a batch adds is added in a moment, and any query is a few sums of arrays.

Every unit has a number, in the order in which units are first seen. A month holds

    counts   (units, 1 + 31 days, measures), int32: row 0 of the days is the whole month
    delays   how often each unit has each delay in the month
    by_day   how often each leaf has each delay on each day: only a period that cuts the month looks there

A page of counts has a row for each unit that there was, and the system backs what was written to: a day far off costs
little. Delays are sparse: most of a network's are there once.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.reporting.deltas import Deltas
from services.reporting.figures import LEVELS, NATIONAL_CODE, Level, Period, Tally, Unit, units_of
from services.reporting.measures import DAY_SHIFT, DELAY_SHIFT, FIXED, MEASURE_MASK, name_of
from services.reporting.projection import Leaf

Numbers = NDArray[np.int64]
Small = NDArray[np.int32]

_NOWHERE: Final = 0
"""A unit that nobody asks for: where youths without an owner count beside France."""
_DAYS: Final = 32
_MEASURES: Final = len(FIXED)
_FEWEST: Final = 64
_FEW: Final = 8
_MOST_PIECES: Final = 4
_DAY_BITS: Final = 5
_LEAF_SHIFT: Final = DAY_SHIFT + _DAY_BITS
_LEVEL_SHIFT: Final = 44
"""A key of `delays` is level << 44 | unit << 20 | measure, one of `by_day` is leaf << 25 | day << 20 | measure."""
_NO_NUMBERS: Final = np.zeros(0, np.int64)
_NO_COUNTS: Final = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Tallies:
    """The units that were asked for and have been seen, in no order, and what they add up to over the period.

    `counts` is (units, measures of `FIXED`). Of the delays, `counts` of the unit at place `units` have the measure;
    the same may occur several times.
    """

    codes: Sequence[str]
    counts: Numbers
    delays: "Delays"


@dataclass(frozen=True, slots=True)
class Delays:
    """How often (`counts`) the unit at place `units` has the delay `measures`."""

    units: Numbers
    measures: Numbers
    counts: Small


class _Sparse:
    """Numbers at few of many places: sorted, and what came since then, unsorted."""

    __slots__ = ("_counts", "_keys", "_pieces", "_waiting")

    def __init__(self) -> None:
        self._keys, self._counts = _NO_NUMBERS, _NO_COUNTS
        self._pieces: list[tuple[Numbers, Small]] = []
        self._waiting = 0

    def add(self, keys: Numbers, counts: Small) -> None:
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


class _Month:
    __slots__ = ("by_day", "counts", "delays", "first", "length")

    def __init__(self, number: int, units: int) -> None:
        month = np.datetime64(number - 1970 * 12, "M")
        first, after = (day.astype("datetime64[D]").astype(np.int64) for day in (month, month + 1))
        self.first = int(first) + date(1970, 1, 1).toordinal()
        self.length = int(after - first)
        self.counts = np.zeros((_room(units), _DAYS, _MEASURES), np.int32)
        self.delays = _Sparse()
        self.by_day = _Sparse()

    def make_room(self, units: int) -> None:
        if units > len(self.counts):
            larger = np.zeros((_room(units), _DAYS, _MEASURES), np.int32)
            larger[: len(self.counts)] = self.counts
            self.counts = larger

    def days_in(self, period: Period) -> tuple[int, int]:
        """The first and the last day of the month in the period, from 1; the last is before the first if none is."""
        first = 1 if period.first is None else max(1, period.first.toordinal() - self.first + 1)
        last = self.length if period.last is None else min(self.length, period.last.toordinal() - self.first + 1)
        return first, last


def _room(units: int) -> int:
    """Rows of a page: some more than there are units, so that it seldom grows."""
    return -(-(units + units // 8) // _FEWEST) * _FEWEST


@dataclass
class Sums:
    """The sums of all figures that were added."""

    _months: dict[int, _Month] = field(default_factory=dict)
    _units: dict[Unit, int] = field(default_factory=dict)
    _codes: dict[Level, list[str]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    _numbers: dict[Level, list[int]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    _leaves: dict[Leaf | None, int] = field(default_factory=dict)
    _units_of_leaves: Numbers = field(default_factory=lambda: np.zeros((_FEWEST, len(LEVELS)), np.int64))

    def add(self, *parts: Deltas) -> None:
        """Add figures. A measure that is not known here, as of a newer version beside this one, is passed over."""
        added = [part for part in parts if len(part)]
        if not added:
            return
        leaves = _end_to_end([np.array([self._leaf(leaf) for leaf in d.leaves])[d.leaf_numbers] for d in added])
        # All together: each step costs the same for ten figures as for one.
        every = Deltas((), _end_to_end([d.keys for d in added]), _end_to_end([d.counts for d in added]))
        months, days, measures, counts = every.months, every.days, every.measures, every.counts.astype(np.int32)
        for number in np.unique(months).tolist():
            month = self._months.get(number)
            if month is None:
                month = self._months[number] = _Month(number, len(self._units) + 1)
            month.make_room(len(self._units) + 1)
            here = months == number
            self._add(month, leaves[here], days[here] - (month.first - 1), measures[here], counts[here])

    def _add(self, month: _Month, leaves: Numbers, days: Numbers, measures: Numbers, counts: Small) -> None:
        fixed = measures < _MEASURES
        units = self._units_of_leaves[leaves[fixed]]
        each = np.repeat(counts[fixed], len(LEVELS))
        flat = month.counts.reshape(-1)
        whole = units * (_DAYS * _MEASURES) + measures[fixed, None]
        np.add.at(flat, whole.reshape(-1), each)
        np.add.at(flat, (whole + days[fixed, None] * _MEASURES).reshape(-1), each)
        delayed = measures >> DELAY_SHIFT != 0
        if delayed.any():
            leaves, days, measures, counts = leaves[delayed], days[delayed], measures[delayed], counts[delayed]
            levels = np.arange(len(LEVELS), dtype=np.int64) << _LEVEL_SHIFT
            keys = levels | (self._units_of_leaves[leaves] << DAY_SHIFT) | measures[:, None]
            month.delays.add(keys.reshape(-1), np.repeat(counts, len(LEVELS)))
            month.by_day.add((leaves << _LEAF_SHIFT) | (days << DAY_SHIFT) | measures, counts)

    def sort(self) -> None:
        """Sum what waits to be summed: after much was added."""
        for month in self._months.values():
            month.delays.sort()
            month.by_day.sort()

    def tallies(self, level: Level, period: Period, codes: Collection[str] = (), *, delays: bool = True) -> Tallies:
        """What the units of a level add up to, all of them where no code is given; without `delays`, none of these."""
        known = self._codes[level]
        chosen = [place for place, code in enumerate(known) if code in codes] if codes else list(range(len(known)))
        numbers = np.array(self._numbers[level], np.int64)[chosen]
        places = np.full(len(self._units) + 1, -1, np.int64)
        places[numbers] = np.arange(len(numbers))
        counts = np.zeros((len(numbers), _MEASURES), np.int64)
        found: list[Delays] = []
        for month in self._months.values():
            first, last = month.days_in(period)
            if first > last:
                continue
            whole = (first, last) == (1, month.length)
            there = numbers[: np.searchsorted(numbers, len(month.counts))]  # the others came later than its figures
            rows = month.counts[there, 0] if whole else month.counts[there, first : last + 1].sum(axis=1)
            counts[: len(there)] += rows
            if delays:
                column = LEVELS.index(level)
                found += (
                    self._of_month(month, column, places, numbers if codes else None)
                    if whole
                    else self._of_days(month, column, places, first, last)
                )
        return Tallies([known[place] for place in chosen], counts, _all(found))

    def _of_month(self, month: _Month, level: int, places: Numbers, only: Numbers | None) -> Iterator[Delays]:
        """The delays of a month: of `only` these units, or of all of the level."""
        base = level << _LEVEL_SHIFT
        ranges = [(base + (1 << DAY_SHIFT), base + (1 << _LEVEL_SHIFT))]  # but of nowhere
        if only is not None and len(only) <= _FEW:
            ranges = [(base + (unit << DAY_SHIFT), base + (unit + 1 << DAY_SHIFT)) for unit in only.tolist()]
        for low, high in ranges:
            for keys, counts in month.delays.between(low, high):
                at = places[(keys - base) >> DAY_SHIFT]
                if only is None:
                    yield Delays(at, keys & MEASURE_MASK, counts)
                else:
                    kept = at >= 0
                    yield Delays(at[kept], keys[kept] & MEASURE_MASK, counts[kept])

    def _of_days(self, month: _Month, level: int, places: Numbers, first: int, last: int) -> Iterator[Delays]:
        for keys, counts in month.by_day.between(0, 1 << 62):
            days = (keys >> DAY_SHIFT) & ((1 << _DAY_BITS) - 1)
            at = places[self._units_of_leaves[keys >> _LEAF_SHIFT, level]]
            kept = (at >= 0) & (first <= days) & (days <= last)
            yield Delays(at[kept], keys[kept] & MEASURE_MASK, counts[kept])

    def span(self) -> tuple[int, int] | None:
        """The numbers (`Deltas.months`) of the first and the last month in which anything counts."""
        france = self._units.get(("national", NATIONAL_CODE))
        if france is None:
            return None
        counting = [
            number
            for number, month in self._months.items()
            if france < len(month.counts) and month.counts[france, 0].any()
        ]
        return (min(counting), max(counting)) if counting else None

    def networks_of(self, academie: str) -> set[str]:
        """The networks whose youths count, or once counted, in the académie."""
        return {leaf.network_id for leaf in self._leaves if leaf is not None and leaf.academie == academie}

    def _leaf(self, leaf: Leaf | None) -> int:
        number = self._leaves.get(leaf)
        if number is None:
            number = self._leaves[leaf] = len(self._leaves)
            if number == len(self._units_of_leaves):
                self._units_of_leaves = np.concatenate([self._units_of_leaves, np.zeros_like(self._units_of_leaves)])
            for unit in units_of(leaf):
                self._units_of_leaves[number, LEVELS.index(unit[0])] = self._unit(unit)
        return number

    def _unit(self, unit: Unit) -> int:
        number = self._units.get(unit)
        if number is None:
            number = self._units[unit] = len(self._units) + 1
            self._codes[unit[0]].append(unit[1])
            self._numbers[unit[0]].append(number)
        return number


def _end_to_end(arrays: Sequence[Numbers]) -> Numbers:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _all(found: Sequence[Delays]) -> Delays:
    return Delays(
        np.concatenate([_NO_NUMBERS, *(some.units for some in found)]),
        np.concatenate([_NO_NUMBERS, *(some.measures for some in found)]),
        np.concatenate([_NO_COUNTS, *(some.counts for some in found)]),
    )


def tally_of(tallies: Tallies) -> Iterator[tuple[str, Tally]]:
    """The same, code by code."""
    each = [Tally() for _ in tallies.codes]
    for place, measure in zip(*np.nonzero(tallies.counts), strict=True):
        each[place][FIXED[measure]] = int(tallies.counts[place, measure])
    delays = tallies.delays
    rows = zip(delays.units.tolist(), delays.measures.tolist(), delays.counts.tolist(), strict=True)
    for place, measure, count in rows:
        each[place][name_of(measure)] += count
    yield from zip(tallies.codes, each, strict=True)
