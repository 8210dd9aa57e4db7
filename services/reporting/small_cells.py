"""Small cells: what an outsider may not see of the figures, so that no count of 1 to 4 can be had from what he may.

An *outsider* of an académie is whoever does not work there (`readers.Reader`); he may ask for whole calendar months.

Counts that add up to each other are hidden and shown together: a *group* (`GROUPS`). Of a unit and a group, time is cut
into blocks of months, in each of which every count of the group is 0 or at least 5. A period is shown if both its ends
are cuts. So whatever periods an outsider subtracts from each other, he has sums of whole blocks.

Units add up as well: France is the sum of the académies, académies are the sum of their départements and of their
networks. All that is shown of a unit are its sums up to its cuts, so each month's end is an equation of its own between
a whole and its parts. Where exactly one of these is hidden the others tell it: then another one loses that cut, until
in every equation none or several are hidden. The staff of an académie know their own sums: of the académies and France
it must be none or three. As the equations make a tree, each hidden sum can then be one more or one less, and another
one makes up for it: it is not determined.

Over all time activity and cohort count the same youths: such groups (`TWINS`) have the last end together.

What this does not hide: how figures move while somebody watches them, what two states of a frozen bilan differ by, what
follows from bounds between indicators (who was interviewed was reached), and what the choice of the hidden tells.
`hiding.py` takes the hidden out of rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.reporting.figures import NATIONAL_CODE, Period, Unit
from services.reporting.indicators import COHORT_STEPS, DISMISSED, STEPS
from services.reporting.measures import COLUMNS, LAPSED_COLUMN
from services.reporting.projection import SOURCES, Leaf
from shared.problems import Problem

LEAST: Final = 5
"""The smallest count but 0 that is shown: 1 to 4 are hidden."""

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

FRANCE: Final[Unit] = ("national", NATIONAL_CODE)


@dataclass(frozen=True, slots=True)
class Group:
    """Counts that are hidden together. `members` are sums of columns (those of `minus` taken away).

    `within`: groups whose counts these add up to; they are shown only where those are.
    """

    name: str
    members: tuple[tuple[str, ...], ...]
    minus: tuple[tuple[str, ...], ...] = ()
    within: tuple[str, ...] = ()


COHORT: Final = "cohort"
BY_SOURCE: Final = "dismissed_by_source"
COHORT_DISMISSED: Final = f"cohort:{DISMISSED}"
FALSE_POSITIVES: Final = "false_positives"
ACHIEVED: Final = "achieved"
BACK: Final = "back"
_LAPSED: Final = COLUMNS[LAPSED_COLUMN]
_REACHED: Final = "cohort:reached"
_TOGETHER: Final = ("detected", _REACHED, "returned", "civic_service")

GROUPS: Final[tuple[Group, ...]] = (
    # The size of the cohort, those reached, and those not known or lapsed, which are the one less the other.
    Group(
        COHORT,
        (("detected",), (_REACHED,), ("detected",), (_LAPSED,), ("detected", _LAPSED)),
        minus=((), (), (_REACHED,), (), (_REACHED,)),
    ),
    # What attainment is made of, and its two parts.
    Group(ACHIEVED, (("returned", "civic_service"),)),
    Group(BACK, (("returned",), ("civic_service",)), within=(ACHIEVED,)),
    Group(DISMISSED, ((DISMISSED,),)),
    Group(BY_SOURCE, tuple((f"{DISMISSED}:{source}",) for source in SOURCES), within=(DISMISSED,)),
    Group(COHORT_DISMISSED, ((COHORT_DISMISSED,),)),
    Group(
        FALSE_POSITIVES,
        tuple((f"cohort:{what}:{source}",) for what in ("detected", DISMISSED) for source in SOURCES),
        within=(COHORT, COHORT_DISMISSED),
    ),
    *(Group(step, ((step,),)) for step in STEPS if step not in _TOGETHER),
    # Of a known size nobody else comes to a step: where nearly all did, that alone tells a hidden count.
    *(
        Group(f"cohort:{step}", ((f"cohort:{step}",),), within=(COHORT,))
        for step in COHORT_STEPS
        if f"cohort:{step}" != _REACHED
    ),
)
_PLACE: Final = {group.name: place for place, group in enumerate(GROUPS)}
TWINS: Final[tuple[tuple[str, str], ...]] = (
    *((step, f"cohort:{step}") for step in STEPS if step in _PLACE and f"cohort:{step}" in _PLACE),
    ("reached", COHORT),
    (BACK, "cohort:returned"),
    (BACK, "cohort:civic_service"),
    (DISMISSED, COHORT_DISMISSED),
    (BY_SOURCE, FALSE_POSITIVES),
)
"""Groups that count the same youths over all time, by the day of the event and by that of detection."""


@dataclass(frozen=True, slots=True)
class Monthly:
    """The figures by month: `counts` is (months, units, `measures.COLUMNS`), `first` the number of the first month.

    `units` is the place of each unit; `leaves` are those that youths count in.
    """

    first: int
    counts: Counts
    units: Mapping[Unit, int]
    leaves: Sequence[Leaf]


class Pattern:
    """What is shown: `cuts` is (groups, months + 1, units); the first end, before all figures, is a cut of all."""

    def __init__(self, monthly: Monthly) -> None:
        self.first = monthly.first
        self.units = monthly.units
        months = len(monthly.counts)
        counts = np.zeros((months + 1, *monthly.counts.shape[1:]), np.int64)
        np.cumsum(monthly.counts, axis=0, out=counts[1:])
        self.sums = counts
        """Up to the end of each month: (months + 1, units, columns)."""
        self.cuts = np.zeros((len(GROUPS), *counts.shape[:2]), np.bool_)
        self._cut(_equations(monthly))

    def _cut(self, equations: Sequence["_Equation"]) -> None:
        """Cut all groups; and again those that may not have the last end, until twins have the same."""
        may_end = np.ones((len(GROUPS), self.sums.shape[1]), np.bool_)
        again = set(_PLACE)
        while again:
            for place, group in enumerate(GROUPS):
                if group.name not in again and not again.intersection(group.within):
                    continue
                members = _members(group, self.sums)
                allowed = np.ones(members.shape[:2], np.bool_)
                allowed[-1] = may_end[place]
                for other in group.within:
                    allowed &= self.cuts[_PLACE[other]]
                found = _blocks(members, allowed, self.first)
                _protect(found, members, equations)
                self.cuts[place] = found
                again.add(group.name)
            again = set()
            for twins in TWINS:
                places = [_PLACE[name] for name in twins]
                both = self.cuts[places, -1].all(axis=0)
                for name, place in zip(twins, places, strict=True):
                    if (self.cuts[place, -1] & ~both).any():
                        may_end[place] &= both
                        again.add(name)

    def ends(self, period: Period) -> tuple[int, int]:
        """The places of the period's two ends; Problem where it is not of whole months."""
        first = 0 if period.first is None else self._place(period.first)
        last = len(self.sums) - 1 if period.last is None else self._place(period.last + timedelta(1))
        if (period.first is not None and period.first.day != 1) or (
            period.last is not None and (period.last + timedelta(1)).day != 1
        ):
            raise _not_whole(period)
        return first, max(first, last)

    def _place(self, day: date) -> int:
        return min(max(day.year * 12 + day.month - 1 - self.first, 0), len(self.sums) - 1)

    def counts(self, units: Sequence[Unit], period: Period) -> Counts:
        """The counts of these units over a period: (units, columns); 0 of a unit without figures."""
        begin, end = self.ends(period)
        found = np.zeros((len(units), self.sums.shape[2]), np.int64)
        for row, unit in enumerate(units):
            place = self.units.get(unit)
            if place is not None:
                found[row] = self.sums[end, place] - self.sums[begin, place]
        return found

    def shown(self, units: Sequence[Unit], period: Period) -> list[frozenset[str]]:
        """Of each unit, the names of the groups that are shown over the period; all where nothing counts."""
        begin, end = self.ends(period)
        both = self.cuts[:, begin] & self.cuts[:, end]
        every = frozenset(_PLACE)
        found = []
        for unit in units:
            place = self.units.get(unit)
            found.append(
                every
                if place is None
                else frozenset(g.name for g, on in zip(GROUPS, both[:, place], strict=True) if on)
            )
        return found


def _not_whole(period: Period) -> Problem:
    ends = []
    if period.first is not None:
        ends.append(f"from={period.first.replace(day=1)}")
    if period.last is not None:
        ends.append(f"to={(period.last.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)}")
    return Problem(
        422,
        "period_not_whole_months",
        f"outside an académie figures are shown by whole calendar months, as others would give small counts away; ask "
        f"{' '.join(ends)}",
    )


def _members(group: Group, counts: Counts) -> Counts:
    """(months + 1, units, members): the group's counts up to each month's end."""
    found = np.zeros((*counts.shape[:2], len(group.members)), np.int64)
    for place, columns in enumerate(group.members):
        for column in columns:
            found[:, :, place] += counts[:, :, COLUMNS.index(column)]
        for column in group.minus[place] if group.minus else ():
            found[:, :, place] -= counts[:, :, COLUMNS.index(column)]
    return found


def _safe(sums: Counts) -> Flags:
    safe: Flags = ((sums == 0) | (sums >= LEAST)).all(axis=-1)
    return safe


def _blocks(members: Counts, allowed: Flags, first: int) -> Flags:
    """Cuts, such that what lies between two of them is safe: the ends of years before those of bilan periods before
    those of months. `members` are sums up to each end.
    """
    ends, units = members.shape[:2]
    cuts = np.zeros((ends, units), np.bool_)
    cuts[0] = True
    last = ends - 1
    cuts[last] = allowed[last] & _safe(members[last])
    for step in (12, 2, 1):
        # The next cut behind each end, and the sums up to it; behind the last cut there is no more to keep safe.
        behind = np.zeros((ends, *members.shape[1:]), np.int64)
        open_end = np.ones((ends, units), np.bool_)
        for end in range(last - 1, -1, -1):
            cut = cuts[end + 1]
            behind[end] = np.where(cut[:, None], members[end + 1], behind[end + 1])
            open_end[end] = ~cut & open_end[end + 1]
        since = members[0].copy()
        for end in range(1, ends):
            if (first + end) % step == 0:
                rest = open_end[end] | _safe(behind[end] - members[end])
                cuts[end] |= allowed[end] & rest & _safe(members[end] - since)
            since = np.where(cuts[end][:, None], members[end], since)
    return cuts


@dataclass(frozen=True, slots=True)
class _Equation:
    """A whole (or several) and its parts add up to the same; `least`: of so many, at least, is hidden what is."""

    wholes: tuple[int, ...]
    parts: tuple[int, ...]
    least: int

    @property
    def units(self) -> list[int]:
        return [*self.wholes, *self.parts]


def _equations(monthly: Monthly) -> list[_Equation]:
    place = monthly.units
    academies = [at for (level, _), at in place.items() if level == "academie"]
    found = []
    if FRANCE in place and academies:
        found.append(_Equation((place[FRANCE],), tuple(academies), 3))
    for level in ("departement", "network"):
        pairs = {
            (
                place["academie", leaf.academie],
                place[level, leaf.departement if level == "departement" else leaf.network_id],
            )
            for leaf in monthly.leaves
        }
        found += [_Equation(wholes, parts, 2) for wholes, parts in _connected(pairs)]
    return found


def _connected(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The wholes and the parts that hang together."""
    groups: list[tuple[set[int], set[int]]] = []
    for whole, part in sorted(pairs):
        wholes, parts = {whole}, {part}
        apart = []
        for group in groups:
            if group[0] & wholes or group[1] & parts:
                wholes |= group[0]
                parts |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (wholes, parts)]
    yield from ((tuple(sorted(wholes)), tuple(sorted(parts))) for wholes, parts in groups)


def _protect(cuts: Flags, members: Counts, equations: Sequence[_Equation]) -> None:
    """Take cuts away until in every equation, at every end, none or enough sums are hidden."""
    units = [np.array(equation.units) for equation in equations]
    changed = True
    while changed:
        changed = False
        for equation, of_equation in zip(equations, units, strict=True):
            hidden = (~cuts[:, of_equation]).sum(axis=1)
            for end in np.flatnonzero((hidden > 0) & (hidden < equation.least)).tolist():
                for _ in range(equation.least - int(hidden[end])):
                    unit = _next(cuts, members, end, equation)
                    if unit is not None:
                        cuts[end, unit] = False
                        changed = True


def _next(cuts: Flags, members: Counts, end: int, equation: _Equation) -> int | None:
    """The unit that loses its cut at this end: a part with as little as possible, but enough, on both sides of it."""
    parts = np.array([part for part in equation.parts if cuts[end, part]], np.int64)
    if len(parts):
        before, after = _around(cuts, members, end, parts)
        smaller = np.minimum(before, after)
        enough = smaller >= LEAST
        if enough.any():
            return int(parts[np.argmin(np.where(enough, before + after, np.iinfo(np.int64).max))])
        if (smaller > 0).any():
            return int(parts[np.argmax(smaller)])
    wholes = [whole for whole in equation.wholes if cuts[end, whole]]
    if wholes:
        return wholes[0]
    return int(parts[np.argmax(before + after)]) if len(parts) else None


def _around(cuts: Flags, members: Counts, end: int, units: Counts) -> tuple[Counts, Counts]:
    """How many of the first member lie between this cut of these units and the one before, and the one after."""
    firsts = members[:, units, 0]
    of_units = cuts[:, units]
    before = end - 1 - np.argmax(of_units[end - 1 :: -1], axis=0)
    later = of_units[end + 1 :]
    after = (
        np.where(later.any(axis=0), end + 1 + np.argmax(later, axis=0), len(cuts) - 1)
        if len(later)
        else np.full(len(units), end)
    )
    each = np.arange(len(units))
    left: Counts = firsts[end] - firsts[before, each]
    # Behind the last end of all there is nothing to subtract from: as good as enough.
    right: Counts = firsts[after, each] - firsts[end] if len(later) else np.full(len(units), LEAST)
    return left, right
