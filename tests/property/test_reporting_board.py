"""The figures in memory are a plain count of what was added, however it came: cells, changes, in any portions."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.reporting import indicators
from services.reporting.board import Figures
from services.reporting.deltas import of_sums
from services.reporting.figures import LEVELS, Level, Period, Tally, Unit, figures, lapsed, share, units_of
from services.reporting.freshness import Position
from services.reporting.generations import FIRST
from services.reporting.indicators import CURVE
from services.reporting.measures import DAY_SHIFT, DELAY_MASK, DELAY_NAMES, FIXED, LEAF_SHIFT, number_of
from services.reporting.months import CURVE_DAYS
from services.reporting.projection import Leaf
from services.reporting.rows import _shares, views_of
from shared.mongo import Document, Moment

LEAVES = (None, Leaf("01", "75", "N1"), Leaf("01", "75", "N2"), Leaf("24", "01", "N1"), Leaf("24", "93", "24"))
DAYS = (
    *(date(2012, 12, 30) + timedelta(days=n) for n in (*range(4), *range(30, 38), 62, 92)),
    date(1, 1, 1),
    date(2199, 12, 31),
)
DELAYS = (0, 1, 2, 3, 15, 16, 30, 360, 361, 511, 512, 40_000, DELAY_MASK)
LAPSING = (*DAYS[:9], date(2013, 4, 2), date(2199, 12, 31))
UNSHOWN = tuple(f"delay:{name}:" for name in DELAY_NAMES if name not in indicators.DELAYS)

Added = tuple[Leaf | None, date, str, int]

measures = st.sampled_from(FIXED) | st.builds(
    "delay:{}:{}".format, st.sampled_from(DELAY_NAMES), st.sampled_from(DELAYS)
)


def adding(least: int) -> st.SearchStrategy[list[Added]]:
    return st.lists(
        st.tuples(st.sampled_from(LEAVES), st.sampled_from(DAYS), measures, st.integers(least, 3)), max_size=25
    )


days = st.none() | st.sampled_from(DAYS)
periods = st.builds(Period, days, days)
codes = st.sets(st.sampled_from(("FR", "01", "24", "75", "93", "N1", "N2", "none")), max_size=4)


def document(added: Sequence[Added]) -> Document:
    """As a flush writes it; the same figure several times is summed."""
    places = {leaf: place for place, leaf in enumerate(dict.fromkeys(leaf for leaf, *_ in added))}
    sums: dict[int, int] = defaultdict(int)
    for leaf, day, measure, count in added:
        sums[places[leaf] << LEAF_SHIFT | day.toordinal() << DAY_SHIFT | number_of(measure)] += count
    return {**of_sums(list(places), sums).document(), "positions": [], "names": {}}


def nothing() -> Figures:
    return Figures(FIRST, Moment(0, 0), {}, {}, {})


def in_memory(portions: Sequence[Sequence[Added]], sorted_after: int, lapsing: Sequence[date] = ()) -> Figures:
    """The portions up to one added one by one, and the others at once; who lapses is counted for one day or another."""
    found = nothing()
    days = [day.toordinal() for day in lapsing]
    for number, portion in enumerate(portions[: sorted_after + 1]):
        if days:
            found.sums.lapse(days[number % len(days)])
        found.add(document(portion))
    found.sums.sort()
    found.add(*map(document, portions[sorted_after + 1 :]))
    return found


def counted(
    added: Sequence[Added], levels: Sequence[str], period: Period, codes: set[str], before: date = date.min
) -> dict[Unit, Tally]:
    """The shown measures, and who was last verified before a day."""
    plain: dict[Unit, Tally] = defaultdict(Counter)
    for leaf, day, measure, count in added:
        for level, code in units_of(leaf):
            if level in levels and day in period and (not codes or code in codes):
                plain[level, code]["cohort:lapsed"] += count * lapsed(day, measure, before)
                if not measure.startswith(UNSHOWN):
                    plain[level, code][measure] += count
    return without_zeros(plain)


def without_zeros(tallies: dict[Unit, Tally]) -> dict[Unit, Tally]:
    found = {unit: Counter({name: n for name, n in tally.items() if n}) for unit, tally in tallies.items()}
    return {unit: tally for unit, tally in found.items() if tally}


@given(
    portions=st.lists(adding(-3), max_size=6),
    sorted_after=st.integers(-1, 5),
    levels=st.sets(st.sampled_from(LEVELS), min_size=1),
    period=periods,
    codes=codes,
    lapsing=st.lists(st.sampled_from(LAPSING), max_size=3),
)
def test_sums_in_memory_are_those_of_a_plain_count(
    *,
    portions: list[list[Added]],
    sorted_after: int,
    levels: set[str],
    period: Period,
    codes: set[str],
    lapsing: list[date],
) -> None:
    added = [each for portion in portions for each in portion]
    asked = [level for level in LEVELS if level in levels]
    found = in_memory(portions, sorted_after, lapsing)
    before = lapsing[-1] if lapsing else date.min
    found.sums.lapse(before.toordinal())
    snapshot = found.snapshot(asked, period, codes)
    assert without_zeros(snapshot.tallies) == counted(added, asked, period, codes, before)

    months: Counter[tuple[str, str]] = Counter()
    for _leaf, day, measure, count in added:
        if lapsed(day, measure, before):
            months[f"{day.year:04}-{day.month:02}", "lapsed"] += count
        if not measure.startswith("delay:"):
            months[f"{day.year:04}-{day.month:02}", measure] += count
    counting = {month for (month, _), count in months.items() if count}
    assert snapshot.span == ((min(counting), max(counting)) if counting else None)


@given(
    st.lists(adding(0), max_size=4),
    periods,
    st.sets(st.sampled_from(("activity", "cohort")), min_size=1),
    st.sampled_from(LAPSING),
)
def test_rows_of_many_units_are_those_of_each_alone(
    portions: list[list[Added]], period: Period, views: set[str], before: date
) -> None:
    added = [each for portion in portions for each in portion]
    asked = tuple(view for view in ("activity", "cohort") if view in views)
    found = in_memory(portions, 0, [before])
    for level in LEVELS:
        tallies = found.sums.tallies(level, period)
        rows = dict(zip(tallies.codes, views_of(tallies.counts, tallies.delays, asked), strict=True))
        plain = counted(added, [level], period, set(), before)
        assert {code for _, code in plain} <= set(rows)
        for code, row in rows.items():
            shown = {name: view for name, view in row.items() if view is not None}
            assert shown == figures(plain.get((level, code), Counter()), asked)


@given(st.lists(adding(-3), max_size=4), st.integers(-1, 3), st.sampled_from(LEVELS), periods)
def test_the_curve_is_a_plain_count_of_those_who_came_so_far_in_so_many_days(
    portions: list[list[Added]], sorted_after: int, level: Level, period: Period
) -> None:
    found = in_memory(portions, sorted_after)
    for code in ("FR", "01", "93", "N2", "none"):
        plain: Counter[tuple[str, int]] = Counter()
        for leaf, day, measure, count in (each for portion in portions for each in portion):
            step, _, days = measure.removeprefix("delay:detected_to_").partition(":")
            if measure.startswith("delay:detected_to_") and (level, code) in units_of(leaf) and day in period and days:
                plain.update({(step, point): count for point in CURVE_DAYS if int(days) <= point})
        spans = found.sums.curve(level, code, period)
        for step, of_step in zip(CURVE, np.cumsum(spans, axis=1).tolist(), strict=True):
            assert of_step[:-1] == [plain[step, point] for point in CURVE_DAYS]


def test_thousands_of_figures_in_small_portions_and_units_seen_late_are_summed_as_well() -> None:
    rng = np.random.default_rng(5)
    leaves = [Leaf(f"A{n % 5}", f"D{n % 30}", f"N{n}") for n in range(300)]
    names = [*FIXED, *(f"delay:{name}:{n}" for name in DELAY_NAMES for n in range(40))]
    added = [
        (leaves[rng.integers(0, 1 + n // 40)], DAYS[rng.integers(0, 8)], names[rng.integers(0, len(names))], 1)
        for n in range(12_000)
    ]
    found = nothing()
    for begin in range(0, len(added), 60):
        found.add(document(added[begin : begin + 60]))
    for period in (Period(), Period(DAYS[5], DAYS[6])):
        for codes in (set[str](), {"A1", "D7", "N7"}, {f"N{n}" for n in range(20)}):
            snapshot = found.snapshot(LEVELS, period, codes)
            assert without_zeros(snapshot.tallies) == counted(added, LEVELS, period, codes)


def test_a_measure_that_only_a_newer_version_knows_is_passed_over() -> None:
    found = nothing()
    row = document([(LEAVES[1], DAYS[0], FIXED[-1], 2)])
    key = int(np.frombuffer(row["keys"], "<i8")[0])
    found.add({**row, "keys": np.array([key, key + 1], "<i8").tobytes(), "counts": np.array([2, 5], "<i4").tobytes()})
    assert found.snapshot(["national"], Period()).tallies == {("national", "FR"): Counter({FIXED[-1]: 2})}


def test_positions_and_names_go_with_the_figures() -> None:
    found = nothing()
    time, later = (datetime(2013, 4, day, tzinfo=UTC) for day in (1, 2))
    for positions, names in (
        ([["t", 0, 5, later], ["t", 1, 3, None]], {"N1": "One"}),
        ([["t", 0, 4, time], ["t", 1, 0, None]], {"N1": "First", "N2": "Two"}),
    ):
        found.add({**document([]), "positions": positions, "names": names})
    assert found.positions == {("t", 0): Position(5, later), ("t", 1): Position(0)}
    assert found.networks == {"N1": "First", "N2": "Two"}


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 40_000)), min_size=1, max_size=30))
def test_shares_of_many_are_rounded_as_each_alone(pairs: list[tuple[int, int]]) -> None:
    parts, wholes = (np.array(numbers) for numbers in zip(*pairs, strict=True))
    shares = _shares(np.repeat(parts[:, None], 9, axis=1), wholes)
    assert shares == [[share(part, whole)] * 9 for part, whole in pairs]
