"""What outsiders are shown gives no hidden count away: an attacker tries all sums and differences, on small worlds."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations_with_replacement

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.reporting.figures import Period, Unit, units_of
from services.reporting.measures import COLUMNS
from services.reporting.projection import Leaf
from services.reporting.small_cells import FRANCE, GROUPS, LEAST, Counts, Monthly, Pattern

FIRST = 2013 * 12
FINE, OFFERED = COLUMNS.index("offered"), "offered"
LEAVES = [
    Leaf("01", "75", "N1"),
    Leaf("02", "13", "N2"),
    Leaf("02", "13", "N3"),
    Leaf("02", "84", "N3"),
    Leaf("03", "25", "N4"),
    Leaf("03", "39", "N5"),
    Leaf("04", "21", "N6"),
    Leaf("04", "58", "N6"),
]
UNITS: list[Unit] = list(dict.fromkeys(unit for leaf in LEAVES for unit in units_of(leaf)))


def world(of_leaves: NDArray[np.int64]) -> Monthly:
    """(months, leaves) -> the same count in every column that stands alone, and in all units."""
    counts = np.zeros((len(of_leaves), len(UNITS) + 1, len(COLUMNS)), np.int64)
    for number, leaf in enumerate(LEAVES):
        for unit in units_of(leaf):
            counts[:, UNITS.index(unit) + 1, FINE] += of_leaves[:, number]
    return Monthly(FIRST, counts, {unit: place + 1 for place, unit in enumerate(UNITS)}, LEAVES)


def periods(months: int) -> Iterator[Period]:
    """Every period of whole months."""
    for begin, end in combinations_with_replacement(range(months), 2):
        yield Period(_first(begin), _first(end + 1) - timedelta(1))


def _first(month: int) -> date:
    return date((FIRST + month) // 12, (FIRST + month) % 12 + 1, 1)


def shown(pattern: Pattern, months: int) -> dict[tuple[Unit, Period], int]:
    """All that an outsider can ask for and is shown, of the count that stands alone."""
    found = {}
    for period in periods(months):
        counts = pattern.counts(UNITS, period)[:, FINE]
        for unit, count, groups in zip(UNITS, counts.tolist(), pattern.shown(UNITS, period), strict=True):
            if OFFERED in groups:
                found[unit, period] = count
    return found


def _row(unit: Unit, period: Period, months: int) -> NDArray[np.float64]:
    """A count as a sum of unknowns, which are the counts of leaves by month."""
    row = np.zeros((months, len(LEAVES)))
    for month in range(months):
        if _first(month) in period:
            row[month] = [unit in units_of(leaf) for leaf in LEAVES]
    return row.reshape(-1)


few = st.sampled_from((0, 0, 1, 2, 3, 4, 5, 7, 12, 40))
worlds = st.integers(1, 5).flatmap(
    lambda months: st.lists(st.lists(few, min_size=len(LEAVES), max_size=len(LEAVES)), min_size=months, max_size=months)
)


@settings(max_examples=150, deadline=None)
@given(worlds)
def test_no_small_count_is_shown_and_none_that_is_hidden_follows_from_sums_of_what_is(table: list[list[int]]) -> None:
    of_leaves = np.array(table, np.int64)
    months = len(table)
    pattern = Pattern(world(of_leaves))
    told = shown(pattern, months)
    assert all(count == 0 or count >= LEAST for count in told.values())
    known = np.array([_row(unit, period, months) for unit, period in told] or [np.zeros(months * len(LEAVES))])
    rank = np.linalg.matrix_rank(known)
    for period in periods(months):
        for unit in UNITS:
            if (unit, period) not in told:
                more = np.vstack([known, _row(unit, period, months)])
                assert np.linalg.matrix_rank(more) > rank, (unit, period)


@settings(max_examples=100, deadline=None)
@given(worlds, st.sampled_from(("01", "02", "03", "04")))
def test_nor_does_it_for_the_staff_of_an_academie_who_know_their_own(table: list[list[int]], academie: str) -> None:
    months = len(table)
    told = shown(Pattern(world(np.array(table, np.int64))), months)
    own = [unit for leaf in LEAVES if leaf.academie == academie for unit in units_of(leaf) if unit != FRANCE]
    rows = [_row(unit, period, months) for unit, period in told]
    rows += [_row(unit, period, months) for unit in own for period in periods(months)]
    known = np.array(rows)
    rank = np.linalg.matrix_rank(known)
    for period in periods(months):
        for unit in UNITS:
            if unit not in own and unit[0] in ("national", "academie") and (unit, period) not in told:
                more = np.vstack([known, _row(unit, period, months)])
                assert np.linalg.matrix_rank(more) > rank, (unit, period)


@settings(max_examples=80, deadline=None)
@given(worlds, st.randoms(use_true_random=False))
def test_nor_does_it_though_both_views_count_the_same_youths_over_all_time(
    table: list[list[int]], chance: random.Random
) -> None:
    activity = np.array(table, np.int64)
    months = len(table)
    cohorts = np.zeros_like(activity)
    for month, leaf in np.argwhere(activity):
        for _ in range(activity[month, leaf]):  # detected then, or before
            cohorts[chance.randint(0, int(month)), leaf] += 1
    monthly, of_cohorts = world(activity), world(cohorts).counts[:, :, FINE]
    monthly.counts[:, :, COLUMNS.index("cohort:offered")] = of_cohorts
    for column in ("detected", "cohort:reached"):
        monthly.counts[:, :, COLUMNS.index(column)] = of_cohorts + 50 * (of_cohorts > 0)
    pattern = Pattern(monthly)
    nothing = np.zeros(months * len(LEAVES))
    whole = Period(_first(0), _first(months) - timedelta(1))
    known = [np.concatenate([row, -row]) for row in (_row(unit, whole, months) for unit in UNITS)]
    hidden: list[NDArray[np.float64]] = []
    for period in periods(months):
        for unit, groups in zip(UNITS, pattern.shown(UNITS, period), strict=True):
            row = _row(unit, period, months)
            for group, of_both in ((OFFERED, [row, nothing]), ("cohort:offered", [nothing, row])):
                (known if group in groups else hidden).append(np.concatenate(of_both))
    shown_rows = np.array(known)
    _, values, directions = np.linalg.svd(shown_rows.T @ shown_rows)
    free = directions[values < 1e-6]  # what may change while all that is shown stays
    for row in hidden:
        assert np.abs(free @ row).max(initial=0) > 1e-6


def test_civic_service_is_not_had_by_taking_a_cohort_s_returns_from_what_an_academie_achieved() -> None:
    monthly = world(np.zeros((12, len(LEAVES)), np.int64))
    for leaf in LEAVES:
        for unit in units_of(leaf):
            of_unit = monthly.counts[:, UNITS.index(unit) + 1]
            for month, column, count in (
                (2, "detected", 900),
                (2, "cohort:reached", 600),
                (2, "cohort:returned", 50),
                (2, "cohort:civic_service", 3 if leaf.academie == "01" else 30),
                (8, "returned", 50),
                (9, "civic_service", 3 if leaf.academie == "01" else 30),
            ):
                of_unit[month, COLUMNS.index(column)] += count
    [groups] = Pattern(monthly).shown([("academie", "01")], Period(date(2013, 1, 1), date(2013, 12, 31)))
    assert "achieved" in groups
    assert not {"back", "cohort:returned", "cohort:civic_service"} & groups


def test_a_small_count_hides_others_so_that_the_total_does_not_tell_it() -> None:
    table = np.full((1, len(LEAVES)), 50, np.int64)
    table[0, 0] = 3  # all of académie 01
    pattern = Pattern(world(table))
    [period] = periods(1)
    hidden = [unit for unit, groups in zip(UNITS, pattern.shown(UNITS, period), strict=True) if OFFERED not in groups]
    assert ("academie", "01") in hidden
    assert FRANCE not in hidden
    # With the staff of each académie knowing their own, three are needed, and parts of each of them.
    assert sum(level == "academie" for level, _ in hidden) == 3
    for level in ("departement", "network"):
        assert sum(of == level for of, _ in hidden) >= 3


def test_a_month_is_not_had_by_taking_the_others_from_the_year() -> None:
    table = np.full((12, len(LEAVES)), 20, np.int64)
    table[4, :] = 2  # a month small everywhere: 2 in each leaf
    pattern = Pattern(world(table))
    told = shown(pattern, 12)
    year = Period(date(2013, 1, 1), date(2013, 12, 31))
    assert told[("network", "N1"), year] == 11 * 20 + 2
    assert (("network", "N1"), Period(date(2013, 5, 1), date(2013, 5, 31))) not in told
    before, after = Period(date(2013, 1, 1), date(2013, 4, 30)), Period(date(2013, 6, 1), date(2013, 12, 31))
    assert not {(("network", "N1"), before), (("network", "N1"), after)} <= set(told)


def test_where_nothing_is_small_everything_is_shown() -> None:
    pattern = Pattern(world(np.full((24, len(LEAVES)), 9, np.int64)))
    assert len(shown(pattern, 24)) == len(UNITS) * 24 * 25 // 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda months: st.lists(
            st.lists(st.tuples(few, few, few, few, few), min_size=4, max_size=4), min_size=months, max_size=months
        )
    )
)
def test_counts_that_add_up_to_each_other_are_hidden_together(table: list[list[tuple[int, ...]]]) -> None:
    names = ("cohort:reached", "cohort:lapsed", "returned", "civic_service", "cohort:dismissed")
    monthly = world(np.zeros((len(table), len(LEAVES)), np.int64))
    for month, row in enumerate(table):
        for leaf, numbers in zip(LEAVES, row, strict=False):
            values = dict(zip(names, numbers, strict=True))
            values["cohort:lapsed"] = min(values["cohort:lapsed"], values["cohort:reached"])
            values["detected"] = values["cohort:reached"] + numbers[0]
            for unit in units_of(leaf):
                for name, value in values.items():
                    monthly.counts[month, UNITS.index(unit) + 1, COLUMNS.index(name)] += value
    pattern = Pattern(monthly)
    for period in periods(len(table)):
        counts: Counts = pattern.counts(UNITS, period)
        for row, groups in zip(counts, pattern.shown(UNITS, period), strict=True):
            of = dict(zip(COLUMNS, row.tolist(), strict=True))
            if "cohort" in groups:
                parts = of["detected"], of["cohort:reached"], of["detected"] - of["cohort:reached"], of["cohort:lapsed"]
                assert not any(1 <= part < LEAST for part in (*parts, parts[2] + parts[3]))
            if "back" in groups:
                assert not any(1 <= of[name] < LEAST for name in ("returned", "civic_service"))
                assert "achieved" in groups
            if "achieved" in groups:
                assert not 1 <= of["returned"] + of["civic_service"] < LEAST
            if "false_positives" in groups:
                assert {"cohort", "cohort:dismissed"} <= groups


def test_every_column_that_an_answer_shows_is_in_a_group() -> None:
    grouped = {name for group in GROUPS for columns in (*group.members, *group.minus) for name in columns}
    assert set(COLUMNS) == grouped
