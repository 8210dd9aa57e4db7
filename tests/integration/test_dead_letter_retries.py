"""What a handler failed at is tried again by itself, on schedule, by one replica at a time, whatever dies meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local import Mongod, free_port
from shared import dead_letters
from shared.bus import ensure_topics
from shared.consumer import INBOX_INDEXES, Consumer, NotYet, Received
from shared.crash_points import Point, Reach, pass_by
from shared.dead_letter_retries import DeadLetterRetries
from shared.envelope import Record, to_headers
from shared.events import ContactAttempted
from shared.mongo import Document, Mongo
from shared.observability import Metrics
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx, UnitOfWork
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import eventually, produce, running


class Died(BaseException):
    """The process ends here."""


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2013, 4, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Replica:
    """A consumer of one service, with its schedule of retries; its handler fails as long as it is told to."""

    def __init__(self, mongo: Mongo, clock: Clock, *, most: int = 24, reach: Reach = pass_by) -> None:
        self.failure: Exception | None = None
        self.given: Counter[str] = Counter()
        unit_of_work = UnitOfWork(mongo, "probe", clock=clock, reach=reach)
        self.consumer = Consumer(
            unit_of_work,
            {ContactAttempted: self.on_contacts},
            Metrics("probe"),
        )
        settings = ServiceSettings(service="probe", port=0, retry_most=most)
        self.retries = DeadLetterRetries(unit_of_work, {TOPIC: self.consumer}, settings)

    async def on_contacts(self, tx: Tx, events: Sequence[Received[ContactAttempted]]) -> None:
        """One `$inc` an event; the failure, if any, comes after the effect."""
        for event in events:
            self.given[event.envelope.id] += 1
            await tx["counts"].update_one(
                {"_id": event.envelope.id}, {"$inc": {"n": 1}}, upsert=True, session=tx.session
            )
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def mongo(mongo_url: str, db_name: str) -> AsyncIterator[Mongo]:
    mongo = Mongo(mongo_url, db_name)
    await mongo.ensure(["counts", "inbox", "outbox"], [*dead_letters.INDEXES, *INBOX_INDEXES])
    yield mongo
    await mongo.close()


def records(number: int) -> list[Record]:
    envelopes = [contact(f"e{each}") for each in range(number)]
    return [
        Record(TOPIC, 0, offset, b"k", each.data, [(name, text.encode()) for name, text in to_headers(each).items()])
        for offset, each in enumerate(envelopes)
    ]


async def kept(mongo: Mongo, number: int) -> list[Document]:
    rows, _ = await dead_letters.page(mongo, dead_letters.Filter(), cursor=None, limit=500)
    assert len(rows) == number
    return rows


async def counts(mongo: Mongo) -> dict[str, int]:
    return {row["_id"]: row["n"] async for row in mongo["counts"].find()}


async def test_it_is_tried_after_a_minute_then_with_pauses_that_double_to_six_hours_and_24_times(
    mongo: Mongo, clock: Clock
) -> None:
    replica = Replica(mongo, clock)
    replica.failure = ValueError("still broken")
    await replica.consumer.on_batch(records(1))
    minutes: list[float] = []
    last = clock.now
    while (due := (await kept(mongo, 1))[0]["next_try_at"]) is not None:
        clock.now = due - timedelta(milliseconds=1)
        assert not await replica.retries.try_next(), "too early"
        clock.now = due
        assert await replica.retries.try_next()
        assert not await replica.retries.try_next(), "once a time"
        minutes.append((due - last).total_seconds() / 60)
        last = due
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[360] * 15]
    [row] = await kept(mongo, 1)
    assert (row["state"], row["replays"], row["last_try_at"]) == ("waiting", 24, clock.now)
    clock.move(30 * 86_400)
    assert not await replica.retries.try_next(), "it waits for a person"


async def test_where_no_tries_are_wanted_there_are_none(mongo_url: str, kafka: Kafka, db_name: str) -> None:
    settings = counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)
    counting = Counting(settings.model_copy(update={"retry_most": 0, "retry_first_s": 0.01}))
    counting.fail_on = {"bad"}
    await ensure_topics(settings, [settings.topic(TOPIC)])
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, settings.topic(TOPIC), contact("bad"), contact("good"))
        await eventually(lambda: counting.has(1))

        async def listed() -> list[dict[str, object]]:
            return list((await client.get("/v1/dead-letters")).json()["items"])

        [item] = await eventually(listed)
        assert (item["next_try_at"], item["replays"]) == (None, 0)


async def test_four_replicas_try_each_once_a_time(mongo: Mongo, clock: Clock) -> None:
    replicas = [Replica(mongo, clock) for _ in range(4)]
    for replica in replicas:
        replica.failure = ValueError("broken")
    await replicas[0].consumer.on_batch(records(40))
    first = replicas[0].given.total()
    assert {row["next_try_at"] - clock.now for row in await kept(mongo, 40)} == {timedelta(minutes=1)}

    async def turn(replica: Replica) -> None:
        while await replica.retries.try_next():
            pass

    for tries in (1, 2):
        clock.move(120 * tries)
        await asyncio.gather(*map(turn, replicas))
        assert {row["replays"] for row in await kept(mongo, 40)} == {tries}
        assert sum(replica.given.total() for replica in replicas) - first == 40 * tries
    for replica in replicas:
        replica.failure = None
    clock.move(3_600)
    await asyncio.gather(*map(turn, replicas))
    assert {(row["state"], row["replayed_by"]) for row in await kept(mongo, 40)} == {("replayed", "schedule")}
    assert await counts(mongo) == {f"e{number}": 1 for number in range(40)}


@pytest.mark.parametrize("point", [Point.TRANSACTION_WRITTEN, Point.TRANSACTION_COMMITTED])
async def test_a_try_amid_which_the_process_dies_is_made_again_and_has_its_effect_once(
    mongo: Mongo, clock: Clock, point: Point
) -> None:
    def die(at: Point) -> None:
        if at is point:
            raise Died

    broken, dying, next_one = Replica(mongo, clock), Replica(mongo, clock, reach=die), Replica(mongo, clock)
    broken.failure = ValueError("broken")
    await broken.consumer.on_batch(records(1))
    clock.move(60)
    with pytest.raises(Died):
        await dying.retries.try_next()
    assert (await kept(mongo, 1))[0]["state"] == "waiting"
    assert not await next_one.retries.try_next()
    clock.move(120)
    assert await next_one.retries.try_next()
    assert (await kept(mongo, 1))[0]["state"] == "replayed"
    assert await counts(mongo) == {"e0": 1}


async def test_what_is_not_there_yet_is_no_reason_to_give_a_dead_letter_up(mongo: Mongo, clock: Clock) -> None:
    replica = Replica(mongo, clock, most=2)
    replica.failure = ValueError("broken")
    await replica.consumer.on_batch(records(1))
    replica.failure = NotYet("directory_incomplete", "no platform is known yet")
    for _ in range(4):
        clock.move(6 * 3_600)
        assert await replica.retries.try_next()
    [row] = await kept(mongo, 1)
    assert (row["code"], row["replays"]) == ("not_applicable", 0)
    replica.failure = None
    clock.move(6 * 3_600)
    assert await replica.retries.try_next()
    assert await counts(mongo) == {"e0": 1}


async def test_what_no_longer_can_be_read_or_applied_for_a_reason_of_its_own_is_left_to_a_person(
    mongo: Mongo, clock: Clock
) -> None:
    replica = Replica(mongo, clock)
    replica.failure = ValueError("broken")
    await replica.consumer.on_batch(records(1))
    unit_of_work = UnitOfWork(mongo, "probe", clock=clock)
    other = DeadLetterRetries(unit_of_work, {}, ServiceSettings(service="probe", port=0))
    clock.move(60)
    assert await other.try_next()
    [row] = await kept(mongo, 1)
    assert (row["code"], row["state"], row["next_try_at"]) == ("topic_not_read", "waiting", None)


async def test_the_schedule_goes_on_by_itself_after_the_store_was_away(
    mongo_url: str, kafka: Kafka, db_name: str, tmp_path: Path
) -> None:
    settings = counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)
    await ensure_topics(settings, [settings.topic(TOPIC)])
    with Mongod(tmp_path / "mongod", port=free_port(), cache_gb=0.25) as mongod:
        counting = Counting(
            settings.model_copy(update={"mongo_url": mongod.url, "retry_first_s": 0.3, "retry_longest_s": 0.3})
        )
        counting.fail_on = {"bad"}
        async with running(counting.service.app("counting", [])) as client:
            await produce(settings.kafka_bootstrap, settings.topic(TOPIC), contact("good"), contact("bad"))

            async def tried() -> bool:
                items = (await client.get("/v1/dead-letters")).json()["items"]
                return bool(items and items[0]["replays"])

            await eventually(tried)
            mongod.kill()
            given = counting.given["bad"]

            async def lost() -> bool:
                return (await client.get("/ready")).status_code == 503

            await eventually(lost, within_s=20)
            mongod.start()
            counting.fail_on = set()

            async def healed() -> bool:
                items = (await client.get("/v1/dead-letters", params={"state": "replayed"})).json()["items"]
                return bool(items)

            await eventually(healed, within_s=40, what="the retry after the outage")
            assert counting.given["bad"] > given
            assert await counting.counts() == {"good": 1, "bad": 1}
