"""Facts as numbers say what the plain functions say; what is read at once is what is read the general way."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.reporting import compact
from services.reporting.app import FACTS
from services.reporting.compact import Fact, grown
from services.reporting.counting import Changes, row_of
from services.reporting.deltas import of_document, of_sums, total
from services.reporting.handlers import FactsConsumer
from services.reporting.measures import DAY_SHIFT, LEAF_SHIFT, MEASURE_MASK, name_of, number_of
from services.reporting.projection import NOTHING, Leaf, changes, contributions, join, join_all, leaf_of
from services.reporting.projection import Fact as PlainFact
from services.reporting.reading import IGNORED, Gathered, Reading
from services.reporting.shards import NUMBER_OF_SHARDS, shards_of
from shared.bus import hash_of_key
from shared.envelope import Record, to_headers
from shared.handling import Received
from tests.property.test_reporting_projection import fact_of, happenings
from tests.support.oracle import Happened
from tests.support.reporting import plain_fact


def placed(places: set[int]) -> set[tuple[date, str]]:
    return {(date.fromordinal(place >> DAY_SHIFT), name_of(place & MEASURE_MASK)) for place in places}


def plain(events: Sequence[Happened]) -> PlainFact:
    return join_all(map(fact_of, events))


@given(happenings(youths=1), happenings(youths=1))
@settings(max_examples=300)
def test_what_grows_is_what_the_plain_functions_say(one: list[Happened], two: list[Happened]) -> None:
    known, news = plain(one), plain(two)
    before = compact.of_plain(known) if known != NOTHING else None
    after = join(known, news)
    found = grown(before, compact.of_plain(news))
    if after == known:
        assert found is None
        return
    assert found == compact.of_plain(after)
    assert compact.leaf_of(found) == leaf_of(after)
    assert placed(compact.places(found)) == contributions(after)


@given(st.lists(st.tuples(happenings(youths=1, most=12), happenings(youths=1, most=12)), max_size=6))
@settings(max_examples=200)
def test_what_growing_adds_to_the_figures_is_what_the_plain_functions_say(
    lives: list[tuple[list[Happened], list[Happened]]],
) -> None:
    leaves: dict[Leaf | None, int] = {}
    counting = Changes()
    expected: Counter[tuple[Leaf | None, date, str]] = Counter()
    for one, two in lives:
        known = plain(one)
        after = join(known, plain(two))
        rows = [
            row_of(compact.of_plain(fact), leaves.setdefault(leaf_of(fact), len(leaves))) for fact in (known, after)
        ]
        counting.add(rows[:1], rows[1:])
        for leaf, day, measure, change in changes(known, after):
            expected[leaf, day, measure] += change
    found = counting.figures(list(leaves))
    assert {
        (found.leaves[leaf], date.fromordinal(day), name_of(measure)): count
        for leaf, day, measure, count in zip(
            found.leaf_numbers.tolist(),
            found.days.tolist(),
            found.measures.tolist(),
            found.counts.tolist(),
            strict=True,
        )
    } == {at: count for at, count in expected.items() if count}


@given(happenings(youths=1, most=12))
def test_a_fact_comes_back_from_its_document_and_from_its_pack_as_it_was(events: list[Happened]) -> None:
    fact = compact.of_plain(plain(events))
    assert compact.unpack(compact.pack({"y": fact})) == {"y": fact}
    assert compact.unpack_one(compact.pack(fact)) == fact
    document = compact.document("y", fact)
    assert plain_fact(document) == plain(events)
    assert compact.details(fact) == len(document["first"]) + ("dismissal" in document) + ("assignment" in document)


def record(happened: Happened, offset: int, extra: Sequence[tuple[str, bytes | None]] = ()) -> Record:
    envelope = happened.envelope()
    headers = [(name, text.encode()) for name, text in to_headers(envelope).items()]
    return Record("t", offset % 3, offset, None, envelope.data, [*headers, *extra])


def said(event: Received[Any]) -> PlainFact:
    return FACTS[type(event.data)](event.data, event.envelope.time, event.envelope.id)


ODD = st.sampled_from(
    [
        [("CE_ID", b"another")],
        [("ce_id", b"another")],
        [("traceparent", b"\xff")],
        [("trace", b"\xff")],
        [("content-type", b"application/cloudevents+json")],
        [("Content-Type", b"application/json; charset=utf-8")],
        [("ce_time", None)],
        [],
    ]
)


@given(
    happenings(most=12), st.lists(ODD, min_size=12, max_size=12), st.lists(st.integers(0, 5), min_size=12, max_size=12)
)
@settings(max_examples=200)
def test_what_is_read_at_once_is_what_is_read_in_the_general_way(
    events: list[Happened], odd: list[list[tuple[str, bytes | None]]], broken: list[int]
) -> None:
    records = []
    for number, (happened, extra, breaks) in enumerate(zip(events, odd, broken, strict=False)):
        whole = record(happened, number, extra)
        value = {0: b"{not json", 1: b"{}", 2: None}.get(breaks, whole.value)
        records.append(Record(whole.topic, whole.partition, whole.offset, None, value, whole.headers))
    consumer = FactsConsumer.__new__(FactsConsumer)
    consumer._models = {model.TYPE: model for model in FACTS}
    good, _refused = consumer._decode(records)
    expected: dict[str, PlainFact] = {}
    for event in good:
        fact = said(event)
        youth = event.data.subject()
        expected[youth] = join(expected.get(youth, NOTHING), fact)

    gathered = Gathered()
    left = Reading().read(records, gathered)
    slowly, _ = consumer._decode(left)
    found = dict(gathered.youths)
    for event in slowly:
        fact = said(event)
        news = compact.of_plain(fact)
        youth = event.data.subject()
        found[youth] = compact.join(found[youth], news) if youth in found else news
    nothing = Fact()
    assert {youth: fact for youth, fact in found.items() if fact != nothing} == {
        youth: compact.of_plain(fact) for youth, fact in expected.items() if fact != NOTHING
    }
    assert gathered.counts.total() + len(left) == len(records)
    assert {place: position.next_offset for place, position in gathered.positions.items()} == {
        (item.topic, item.partition): item.offset + 1 for item in records
    }
    if not any(odd[: len(records)]) and min(broken, default=9) > 2:
        assert left == []


def test_an_event_of_a_type_that_is_not_counted_is_read_at_once() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e"),
        ("ce_type", b"fr.foquale.catalogue.placement-expired.v1"),
        ("ce_source", b"/foquale/tracking"),
        ("ce_time", b"2013-04-01T00:00:00Z"),
        ("content-type", b"application/json"),
    ]
    gathered = Gathered()
    assert Reading().read([Record("t", 0, 4, b"y", b"{}", headers)], gathered) == []
    assert (gathered.counts, gathered.youths) == ({IGNORED: 1}, {})
    assert gathered.positions["t", 0].next_offset == 5
    assert gathered.positions["t", 0].last_event_time is None


UUIDS = st.uuids().map(str)


@given(st.lists(UUIDS | st.text(min_size=1), max_size=20), st.lists(UUIDS, max_size=20))
@example(["é" * 36], ["é" * 36])
def test_a_youths_shard_is_his_keys_partition_modulo_the_number_of_shards(some: list[str], uuids: list[str]) -> None:
    for youths in (some, uuids):
        assert shards_of(youths) == [
            (hash_of_key(youth.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % NUMBER_OF_SHARDS for youth in youths
        ]


LEAVES = (None, Leaf("01", "75", "N1"), Leaf("24", "93", "N2"), Leaf("24", "77", "N3"))
FIGURES = st.dictionaries(
    st.tuples(
        st.integers(0, 3),
        st.dates(date(1990, 1, 1), date(2040, 1, 1)),
        st.sampled_from(
            ["detected", "cohort:broken", "delay:offered_to_contracted:0", "delay:offered_to_contracted:99"]
        ),
    ),
    st.integers(-5, 5),
    max_size=30,
)


@given(st.lists(FIGURES, max_size=4))
def test_figures_are_the_same_summed_split_and_stored(parts: list[dict[tuple[int, date, str], int]]) -> None:
    expected: dict[tuple[Leaf | None, date, str], int] = {}
    deltas = []
    for part in parts:
        sums = {
            leaf << LEAF_SHIFT | day.toordinal() << DAY_SHIFT | number_of(measure): count
            for (leaf, day, measure), count in part.items()
        }
        deltas.append(of_document(of_sums(LEAVES, sums).document()))
        for (leaf, day, measure), count in part.items():
            expected[LEAVES[leaf], day, measure] = expected.get((LEAVES[leaf], day, measure), 0) + count
    whole = total(deltas)
    pieces = whole.split()
    assert sum(map(len, pieces.values())) == len(whole)
    found: dict[tuple[Leaf | None, date, str], int] = {}
    for (academie, month), piece in pieces.items():
        for number, day, measure, count in zip(
            piece.leaf_numbers, piece.days, piece.measures, piece.counts, strict=True
        ):
            leaf, on = piece.leaves[number], date.fromordinal(int(day))
            assert (leaf.academie if leaf else "", on.isoformat()[:7]) == (academie, month)
            found[leaf, on, name_of(int(measure))] = int(count)
    assert found == {figure: count for figure, count in expected.items() if count}
