"""Whatever the order, the duplicates and the batches, figures are those of a plain count of the events."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.app import FACTS
from services.reporting.figures import Tally, Unit, figures, has_figures, lapsed, median, percentile, units_of
from services.reporting.projection import NOTHING, Fact, changes, contributions, join, join_all
from tests.support import oracle
from tests.support.lives import any_event
from tests.support.oracle import Happened

FIRST_DAY = date(2013, 1, 28)
BEGAN = datetime(2013, 2, 1, tzinfo=UTC)


@st.composite
def happenings(draw: st.DrawFn, youths: int = 4, most: int = 30) -> list[Happened]:
    """Any events of a few youths on a few days, so that days, times and identifiers collide."""
    count = draw(st.integers(0, most))
    found = []
    for number in range(count):
        youth = f"y{draw(st.integers(0, youths - 1))}"
        on = FIRST_DAY + timedelta(days=draw(st.integers(0, 12)))
        event = any_event(youth, on, lambda below: draw(st.integers(0, below - 1)))
        found.append(Happened(f"e{number}", BEGAN + timedelta(hours=draw(st.integers(0, 2))), event))
    return found


def fact_of(happened: Happened) -> Fact:
    return FACTS[type(happened.event)](happened.event, happened.time, happened.id)


def figures_after(batches: Iterable[Sequence[Happened]]) -> dict[tuple[Unit, date], Tally]:
    """What the service does, in memory: facts grow batch by batch, and the changes are summed."""
    facts: dict[str, Fact] = {}
    sums: dict[tuple[Unit, date], Tally] = defaultdict(Counter)
    for batch in batches:
        learned: dict[str, Fact] = {}
        for happened in batch:
            youth = happened.event.youth_id
            learned[youth] = join(learned.get(youth, NOTHING), fact_of(happened))
        for youth, news in learned.items():
            before = facts.get(youth)
            after = join(before, news) if before else news
            for leaf, day, measure, count in changes(before, after):
                for unit in units_of(leaf):
                    sums[unit, day][measure] += count
            facts[youth] = after
    return sums


def rows(
    sums: dict[tuple[Unit, date], Tally], first: date | None, last: date | None, before: date
) -> dict[Unit, dict[str, object]]:
    tallies: dict[Unit, Tally] = defaultdict(Counter)
    for (unit, day), tally in sums.items():
        if (first is None or first <= day) and (last is None or day <= last):
            tallies[unit].update(tally)
            tallies[unit]["cohort:lapsed"] += sum(n for measure, n in tally.items() if lapsed(day, measure, before))
    return {unit: figures(tally, ("activity", "cohort")) for unit, tally in tallies.items() if has_figures(tally)}


def expected(
    events: list[Happened], first: date | None, last: date | None, before: date
) -> dict[tuple[str, str], dict[str, object]]:
    return {unit: row for unit, row in oracle.indicators(events, first, last, before).items() if row != oracle.NOBODY}


@given(happenings(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_any_duplicates_and_any_batches_give_the_plain_count(
    events: list[Happened], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    stream = data.draw(st.permutations(events + again))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    batches = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    sums = figures_after(batches)
    assert all(count >= 0 for tally in sums.values() for count in tally.values())

    first = data.draw(st.none() | st.integers(0, 14).map(lambda n: FIRST_DAY + timedelta(days=n)))
    last = data.draw(st.none() | st.integers(0, 14).map(lambda n: (first or FIRST_DAY) + timedelta(days=n)))
    before = FIRST_DAY + timedelta(days=data.draw(st.integers(-1, 14)))
    assert rows(sums, first, last, before) == expected(events, first, last, before)


@given(happenings(youths=1), happenings(youths=1), happenings(youths=1))
@settings(max_examples=100, deadline=None)
def test_facts_are_a_semilattice(one: list[Happened], two: list[Happened], three: list[Happened]) -> None:
    a, b, c = (join_all(map(fact_of, events)) for events in (one, two, three))
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(a, NOTHING) == a


@given(happenings(youths=1), happenings(youths=1))
@settings(max_examples=100, deadline=None)
def test_changes_are_what_turns_old_contributions_into_new(one: list[Happened], two: list[Happened]) -> None:
    before = join_all(map(fact_of, one))
    after = join(before, join_all(map(fact_of, two)))
    summed = Counter((day, measure) for day, measure in contributions(before))
    for _leaf, day, measure, count in changes(before, after):
        summed[day, measure] += count
    assert {key: n for key, n in summed.items() if n} == dict.fromkeys(contributions(after), 1)
    assert list(changes(after, after)) == []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_median_and_percentile_of_a_histogram_are_those_of_the_values(values: list[int]) -> None:
    histogram = Counter(values)
    ordered = sorted(values)
    middle = len(ordered) // 2
    expected = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    assert median(histogram) == expected
    at_90 = percentile(histogram, 90)
    assert at_90 is not None
    assert sum(value <= at_90 for value in values) * 10 >= 9 * len(values)
    assert sum(value < at_90 for value in values) * 10 < 9 * len(values)
