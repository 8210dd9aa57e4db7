"""Reporting on a real store and broker: whatever comes, and however, the indicators are a plain count of the events."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from functools import partial

import pytest

from deploy.local import free_port
from services.reporting import board, cells, generations, store
from services.reporting.answers import Answers
from services.reporting.app import FACTS, REGISTRATIONS, TOPICS, app
from services.reporting.board import Board
from services.reporting.definitions import registry
from services.reporting.figures import LEVELS, Period, figures
from services.reporting.freshness import Position
from services.reporting.generations import FIRST, Entry
from services.reporting.handlers import FactsConsumer, live
from services.reporting.queries import IndicatorsQuery
from services.reporting.settings import ReportingSettings
from services.reporting.units import Units
from shared.bus import Log, ensure_topics
from shared.clock import utc_now
from shared.envelope import Envelope
from shared.events import ContactAttempted, DropoutDismissed, NetworkRegistered
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.reference import load
from shared.unit_of_work import UnitOfWork
from tests.backends import Kafka
from tests.support import oracle
from tests.support.lives import contacted, detected, population, recorded
from tests.support.oracle import Happened
from tests.support.probe import Raw, eventually, produce, running
from tests.support.reporting import ask, assert_equals_plain_count, caught_up, received, send, settings_of

RECORDED = datetime(2013, 3, 1, tzinfo=UTC)
POISON_HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"poison"),
    ("ce_type", ContactAttempted.TYPE.encode()),
    ("ce_source", b"/foquale/referral"),
]


def structured(youth: str, *, time: str = "2013-03-01T08:00:00Z") -> bytes:
    """A dismissal in structured mode."""
    data = f'{{"youth_id": "{youth}", "on": "2013-03-01", "reason": "error", "source": null}}'
    attributes = f'"specversion": "1.0", "id": "poison", "source": "/s", "type": "{DropoutDismissed.TYPE}"'
    return f'{{{attributes}, "time": "{time}", "data": {data}}}'.encode()


POISON: list[Raw] = [
    (b"y1", b"{not json", POISON_HEADERS),
    (b"y1", b"\xff\xfe", POISON_HEADERS),
    (b"y1", None, POISON_HEADERS),
    (b"y1", b'{"youth_id": "y1", "on": "2013-02-30", "channel": "phone", "outcome": "reached"}', POISON_HEADERS),
    (b"y1", b'{"youth_id": "y1", "on": "2013-03-01", "channel": "phone", "outcome": "shrug"}', POISON_HEADERS),
    (b"y1", b"{}", [("ce_id", b"\xff")]),
    (b"y1", structured("\\ud800"), ()),
    (b"y1", structured("y1", time="0001-01-01T00:00:00+09:00"), ()),
]
UNKNOWN_TYPE: Raw = (
    b"y1",
    b"{}",
    [*POISON_HEADERS[:2], ("ce_type", b"fr.foquale.referral.moon-seen.v1"), POISON_HEADERS[3]],
)


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    return settings_of(mongo_url, kafka, db_name, topic_prefix)


@pytest.fixture
async def topics(settings: ReportingSettings) -> dict[str, str]:
    names = {name: settings.topic(name) for name in TOPICS}
    await ensure_topics(settings, list(names.values()))
    return names


@pytest.fixture
async def unit_of_work(settings: ReportingSettings) -> AsyncIterator[UnitOfWork]:
    """The service's store without the service."""
    mongo = Mongo(settings.mongo_url, settings.database)
    await mongo.ensure([*store.COLLECTIONS, "outbox", "dead_letters", "leases"], store.INDEXES)
    await generations.prepare(mongo)
    yield UnitOfWork(mongo, "reporting")
    await mongo.close()


async def test_two_replicas_count_shuffled_doubled_and_late_events_among_poison_to_the_unit(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    events = population(250, seed=2013)
    rng = random.Random(7)
    stream = events + rng.sample(events, len(events) // 3)
    rng.shuffle(stream)
    half = len(stream) // 2
    await send(settings, stream[:half])
    async with AsyncExitStack() as replicas:
        first = await replicas.enter_async_context(running(app(settings)))
        second = await replicas.enter_async_context(running(app(settings)))
        await produce(settings.kafka_bootstrap, topics["referral.events"], *POISON, UNKNOWN_TYPE)
        await send(settings, stream[half:])
        for replica in (first, second):  # each follows the store by itself
            await eventually(partial(caught_up, replica), within_s=30)
        await assert_equals_plain_count(first, events)
        await assert_equals_plain_count(second, events)

        dead = (await first.get("/v1/dead-letters")).json()["items"]
        assert len(dead) == len(POISON)
        again = await second.post(f"/v1/dead-letters/{dead[0]['dead_letter_id']}/replay")
        assert again.status_code == 409
        await assert_equals_plain_count(first, events)


async def test_a_replica_that_joins_and_one_that_leaves_under_way_lose_and_double_nothing(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    assert topics
    events = population(200, seed=4)
    random.Random(4).shuffle(events)
    third = len(events) // 3
    async with AsyncExitStack() as staying:
        async with running(app(settings)):
            await send(settings, events[:third])
            client = await staying.enter_async_context(running(app(settings)))
            await send(settings, events[third : 2 * third])
        await send(settings, events[2 * third :])
        await eventually(lambda: caught_up(client), within_s=30)
        await assert_equals_plain_count(client, events)


async def test_in_every_answer_while_events_pour_in_france_is_the_sum_of_its_academies(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    assert topics
    events = population(300, seed=9)
    async with running(app(settings)) as client:
        seen = set()

        async def look() -> None:
            rows = (await ask(client, by="national,academie"))["rows"]
            for view, code in (("activity", "detected"), ("cohort", "interviewed"), ("cohort", "dismissed")):
                france, *academies = (row[view][code] for row in rows)
                assert france == sum(academies)
            seen.add(rows[0]["activity"]["detected"])

        async def pour_in() -> None:
            for part in range(5):
                await send(settings, events[part::5])
                await eventually(partial(caught_up, client))
                await look()

        sending = asyncio.create_task(pour_in())
        while not sending.done():
            await look()
        await sending
        assert len(seen) >= 5
        await assert_equals_plain_count(client, events)


async def test_a_youth_whose_detection_is_late_counts_for_france_only_until_it_comes(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    assert topics
    late, early = recorded([detected("y", date(2013, 3, 31), 2), contacted("y", date(2013, 4, 5))], prefix="e", seed=1)
    async with running(app(settings)) as client:
        await send(settings, [early])
        await eventually(lambda: caught_up(client, last=["referral.events"]))
        rows = {row["code"]: row for row in (await ask(client, by="national,academie"))["rows"]}
        assert (rows["FR"]["activity"]["attempted"], rows["24"]["activity"]["attempted"]) == (1, 0)
        await send(settings, [late])
        await eventually(lambda: caught_up(client, last=["referral.events"]))
        rows = {row["code"]: row for row in (await ask(client, by="national,academie"))["rows"]}
        assert (rows["FR"]["activity"]["attempted"], rows["24"]["activity"]["attempted"]) == (1, 1)
        assert rows["24"]["cohort"]["delays"]["detected_to_attempted"] == {"n": 1, "median": 5, "p90": 5}


async def test_replicas_that_write_the_same_youths_at_the_same_moment_agree_with_the_plain_count(
    unit_of_work: UnitOfWork,
) -> None:
    events = population(60, seed=11)
    rng = random.Random(11)

    async def replica(mine: list[Happened]) -> None:
        consumer = FactsConsumer(unit_of_work, FACTS, REGISTRATIONS, Metrics("reporting"), live(), youths=1_000)
        for begin in range(0, len(mine), 40):
            batch = received(mine[begin : begin + 40])
            await consumer.apply(batch, [event.record for event in batch])
            if rng.randrange(3) == 0:
                await cells.fold(unit_of_work)

    await asyncio.gather(*(replica(rng.sample(events, len(events))) for _ in range(4)))
    expected = oracle.indicators(events)
    for folded in (False, True):
        while folded and await cells.fold(unit_of_work):
            pass
        snapshot = (await board.load(unit_of_work.mongo)).snapshot(LEVELS, Period())
        counted = {unit: figures(tally, ("activity", "cohort")) for unit, tally in snapshot.tallies.items()}
        assert {unit: row for unit, row in counted.items() if row != oracle.NOBODY} == {
            unit: row for unit, row in expected.items() if row != oracle.NOBODY
        }
    assert await unit_of_work.mongo["changes"].count_documents({}) == 0


async def test_positions_never_move_back_but_begin_again_when_the_log_was_lost(unit_of_work: UnitOfWork) -> None:
    partition = ("referral.events", 0)
    await unit_of_work.run(lambda tx: store.move(tx, FIRST, {partition: Position(50)}))
    await unit_of_work.run(lambda tx: store.move(tx, FIRST, {partition: Position(20)}))
    assert (await store.positions(unit_of_work.mongo, FIRST))[partition].next_offset == 50
    entry = Entry(FIRST, slot=0, number=1)
    await unit_of_work.run(lambda tx: store.begin_again(tx, entry, {partition: Position(50)}))
    await unit_of_work.run(lambda tx: store.move(tx, FIRST, {partition: Position(3)}))
    assert (await store.positions(unit_of_work.mongo, FIRST))[partition].next_offset == 3


async def test_the_end_of_a_log_is_behind_its_last_record_however_records_were_batched(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    name = topics["referral.events"]
    await produce(settings.kafka_bootstrap, name, *[(b"y%d" % n, b"{}", ()) for n in range(100)])
    log = Log(settings)
    try:
        ends = await log.end_offsets([name])
        assert len(ends) == settings.kafka_partitions
        assert sum(ends.values()) == 100
    finally:
        await log.close()


async def test_figures_are_answered_without_a_lag_while_the_broker_is_away(
    settings: ReportingSettings, unit_of_work: UnitOfWork
) -> None:
    away = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_port()}"})
    names = {settings.topic(name): name for name in TOPICS}
    board = Board(unit_of_work.mongo)
    await board.load()
    answers = Answers(board, Log(away), Units(load()), names, definitions=registry(), clock=utc_now, answer_age_s=0)
    answer = json.loads((await answers(IndicatorsQuery())).body.plain)
    assert [source["lag"] for source in answer["sources"]] == [None, None, None]
    assert [row["code"] for row in answer["rows"]] == ["FR"]


async def test_units_parameters_and_definitions_are_answered_or_refused_with_the_remedy(
    settings: ReportingSettings, topics: dict[str, str]
) -> None:
    registered = [
        NetworkRegistered(
            network_id="FOQ-75-01", name=name, academie="01", platform_ids=("PSAD-75-01",), version=version
        )
        for version, name in ((2, "Paris Nord"), (1, "Paris"))
    ]
    envelopes = [
        Envelope(
            f"n{event.version}",
            event.TYPE,
            "/foquale/catalogue",
            event.network_id,
            RECORDED,
            event.model_dump_json().encode(),
        )
        for event in registered
    ]
    async with running(app(settings)) as client:
        for envelope in envelopes:
            await produce(settings.kafka_bootstrap, topics["catalogue.events"], envelope)
            await eventually(lambda: caught_up(client, last=["catalogue.events"]))

        rows = (await ask(client, by="academie", **{"from": "2013-01-01", "to": "2013-12-31"}))["rows"]
        assert len(rows) == 30
        assert all(row["activity"] == oracle.NOBODY["activity"] for row in rows)
        assert {row["code"]: row["label"] for row in rows}["05"] == "Caen"
        assert len((await ask(client, by="academie"))["rows"]) == 30
        assert (await ask(client, by="network"))["rows"][0]["label"] == "Paris Nord"
        only = await ask(client, by="national,academie", code="24", view="activity")
        assert [(row["by"], row["code"], row["cohort"]) for row in only["rows"]] == [("academie", "24", None)]

        for parameters, code, named in (
            ({"from": "2013-05-01", "to": "2013-04-01"}, "period_upside_down", "from"),
            ({"from": "2013-02-30"}, "invalid_request", "from"),
            ({"by": "region"}, "invalid_request", "by"),
            ({"view": "all"}, "invalid_request", "view"),
            ({"since": "2013-01-01"}, "invalid_request", "since"),
            ({"by": "academie", "code": "Versaille"}, "unknown_code", "25 (Versailles)"),
            ({"by": "network", "code": "FOQ-75-02"}, "unknown_code", "FOQ-75-01 (Paris Nord)"),
        ):
            answer = await client.get("/v1/indicators", params=parameters)
            assert (answer.status_code, answer.json()["code"]) == (422, code), parameters
            assert named in answer.json()["detail"]

        definitions = (await client.get("/v1/indicators/definitions")).json()["items"]
        assert {item["code"]: item["name"]["fr"] for item in definitions}["contracted"] == "Pris en charge"
        assert all(item["version"] == 1 and item["valid_from"] and item["formula"]["en"] for item in definitions)
