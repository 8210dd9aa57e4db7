"""All figures in memory, month by month (`months.py`): what a batch adds is added in a moment, and any query is a few
sums of arrays. Every unit has a number, in the order in which units are first seen.

Who has lapsed depends on the day. It is counted for one day (`Sums.lapse`), kept right as figures are added, and moved
to another day by those who lapsed between the two.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.reporting.deltas import Deltas
from services.reporting.figures import LEVELS, NATIONAL_CODE, Level, Period, Tally, Unit, units_of
from services.reporting.indicators import CURVE
from services.reporting.measures import COLUMNS, DAY_SHIFT, MEASURE_MASK, name_of
from services.reporting.months import (
    ALL_KEYS,
    CURVE_DAYS,
    LEAF_SHIFT,
    LEVEL_SHIFT,
    Month,
    Numbers,
    Small,
    days_of,
)
from services.reporting.projection import Leaf
from services.reporting.small_cells import Monthly

_NOWHERE: Final = 0
"""A unit that nobody asks for: where youths without an owner count beside France."""
_COLUMNS: Final = len(COLUMNS)
_FEWEST: Final = 64
_FEW: Final = 8
_NO_NUMBERS: Final = np.zeros(0, np.int64)
_NO_COUNTS: Final = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Tallies:
    """The units that were asked for and have been seen, in no order, and what they add up to over the period.

    `counts` is (units, `COLUMNS`). Of the delays, `counts` of the unit at place `units` have the measure;
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


@dataclass
class Sums:
    """The sums of all figures that were added."""

    _months: dict[int, Month] = field(default_factory=dict)
    _units: dict[Unit, int] = field(default_factory=dict)
    _codes: dict[Level, list[str]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    _numbers: dict[Level, list[int]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    _leaves: dict[Leaf | None, int] = field(default_factory=dict)
    _units_of_leaves: Numbers = field(default_factory=lambda: np.zeros((_FEWEST, len(LEVELS)), np.int64))
    _lapsed_before: int = 0

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
                month = self._months[number] = Month(number, len(self._units) + 1)
            month.make_room(len(self._units) + 1)
            here = months == number
            units = self._units_of_leaves[leaves[here]]
            of_month = days[here] - (month.first - 1), measures[here], counts[here]
            month.add(leaves[here], units, *of_month, before=self._lapsed_before)

    def lapse(self, before: int) -> None:
        """Count as lapsed who was last verified before this day (its ordinal), and nobody else."""
        low, high = sorted((self._lapsed_before, before))
        if low < high:
            for month in self._months.values():
                month.lapse(self._units_of_leaves, low, high, 1 if before == high else -1)
        self._lapsed_before = before

    def sort(self) -> None:
        """Sum what waits to be summed: after much was added."""
        for month in self._months.values():
            month.sort()

    def tallies(self, level: Level, period: Period, codes: Collection[str] = (), *, delays: bool = True) -> Tallies:
        """What the units of a level add up to, all of them where no code is given; without `delays`, none of these."""
        known = self._codes[level]
        chosen = [place for place, code in enumerate(known) if code in codes] if codes else list(range(len(known)))
        numbers = np.array(self._numbers[level], np.int64)[chosen]
        places = np.full(len(self._units) + 1, -1, np.int64)
        places[numbers] = np.arange(len(numbers))
        counts = np.zeros((len(numbers), _COLUMNS), np.int64)
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

    def _of_month(self, month: Month, level: int, places: Numbers, only: Numbers | None) -> Iterator[Delays]:
        """The delays of a month: of `only` these units, or of all of the level."""
        base = level << LEVEL_SHIFT
        ranges = [(base + (1 << DAY_SHIFT), base + (1 << LEVEL_SHIFT))]  # but of nowhere
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

    def _of_days(self, month: Month, level: int, places: Numbers, first: int, last: int) -> Iterator[Delays]:
        for keys, counts in month.by_day.between(*ALL_KEYS):
            days = days_of(keys)
            at = places[self._units_of_leaves[keys >> LEAF_SHIFT, level]]
            kept = (at >= 0) & (first <= days) & (days <= last)
            yield Delays(at[kept], keys[kept] & MEASURE_MASK, counts[kept])

    def curve(self, level: Level, code: str, period: Period) -> Numbers:
        """Of those detected in the period, how many came to each step of `CURVE` how long after: (steps, spans).

        The spans end at `CURVE_DAYS`; the last has all that took longer.
        """
        found = np.zeros((len(CURVE), len(CURVE_DAYS) + 1), np.int64)
        unit = self._units.get((level, code), _NOWHERE)
        of_unit = self._units_of_leaves[:, LEVELS.index(level)] == unit
        for month in self._months.values() if unit != _NOWHERE else ():
            first, last = month.days_in(period)
            if (first, last) != (1, month.length):
                found += month.curve_of(of_unit, first, last) if first <= last else 0
            elif unit < len(month.curve):
                found += month.curve[unit]
        return found

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

    def monthly(self) -> Monthly:
        """The figures of all units by whole months, as they are now."""
        span = self.span()
        first, last = span or (0, -1)
        counts = np.zeros((last - first + 1, len(self._units) + 1, _COLUMNS), np.int64)
        for number in range(first, last + 1):
            month = self._months.get(number)
            if month is not None:
                there = month.counts[: counts.shape[1], 0]
                counts[number - first, : len(there)] = there
        return Monthly(first, counts, dict(self._units), [leaf for leaf in self._leaves if leaf is not None])

    def networks_of(self, academie: str) -> set[str]:
        """The networks whose youths count, or once counted, in the académie."""
        return {leaf.network_id for leaf in self._leaves if leaf is not None and leaf.academie == academie}

    def academies_of(self, unit: Unit) -> set[str]:
        """The académies whose youths count, or once counted, in the unit; empty for youths without an owner."""
        return {"" if leaf is None else leaf.academie for leaf in self._leaves if unit in units_of(leaf)} - {""}

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
        each[place][COLUMNS[measure]] = int(tallies.counts[place, measure])
    delays = tallies.delays
    rows = zip(delays.units.tolist(), delays.measures.tolist(), delays.counts.tolist(), strict=True)
    for place, measure, count in rows:
        each[place][name_of(measure)] += count
    yield from zip(tallies.codes, each, strict=True)
