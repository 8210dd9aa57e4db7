"""The bus is disposable: an empty broker gets the journal again, and nothing changes downstream."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local import ApacheKafka, EmbeddedBroker, free_port
from shared.bus import Bus, Outgoing, ensure_topics
from shared.events import ContactAttempted
from shared.journal import Journal, waiting
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.outbox import Relay
from shared.service import Service
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx, UnitOfWork
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, counting_settings
from tests.support.probe import consume, eventually, running

APACHE = pytest.param("apache", marks=[pytest.mark.apache_kafka, pytest.mark.both_kafkas, pytest.mark.timeout(120)])


@pytest.fixture(params=["embedded", APACHE])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker | ApacheKafka]:
    """A broker of this test alone."""
    started: EmbeddedBroker | ApacheKafka = (
        EmbeddedBroker(log=tmp_path / "broker.log", port=free_port())
        if request.param == "embedded"
        else ApacheKafka(tmp_path / "kafka", port=free_port(), log=tmp_path / "kafka.log")
    )
    with started:
        yield started


def lose_everything(broker: EmbeddedBroker | ApacheKafka, tmp_path: Path) -> None:
    """The broker dies, and another one with an empty log answers in its place."""
    broker.kill()
    shutil.rmtree(tmp_path / "kafka", ignore_errors=True)
    broker.start()


async def emit(unit_of_work: UnitOfWork, first: int, last: int) -> None:
    async def work(tx: Tx) -> None:
        for number in range(first, last):
            tx.emit(
                ContactAttempted(youth_id=f"y{number % 20}", on=date(2013, 4, 2), channel="phone", outcome="reached")
            )

    await unit_of_work.run(work)


async def test_an_empty_broker_gets_the_whole_journal_again_and_nothing_changes_downstream(
    broker: EmbeddedBroker | ApacheKafka, mongo_url: str, db_name: str, tmp_path: Path
) -> None:
    idempotence = broker.supports_idempotence
    made = counting_settings(mongo_url, db_name, broker.bootstrap, idempotence=idempotence, service="writing")
    writing = Service(made)
    counting = Counting(counting_settings(mongo_url, db_name, broker.bootstrap, idempotence=idempotence))
    topics = [writing.settings.topic(TOPIC)]
    await ensure_topics(writing.settings, topics)
    async with running(writing.app("writing", [])) as writer, running(counting.service.app("counting", [])):
        await emit(writing.unit_of_work, 0, 2_500)

        async def applied(number: int) -> bool:
            return await counting.has(number)

        await eventually(lambda: applied(2_500))
        lose_everything(broker, tmp_path)
        await ensure_topics(writing.settings, topics)
        await emit(writing.unit_of_work, 2_500, 2_600)  # life goes on, before anybody has noticed

        answer = await writer.post("/v1/journal/publications", json={})
        assert answer.status_code == 202
        begun = answer.json()
        assert (begun["events"] >= 2_500, begun["since"]) == (True, None)

        async def done() -> bool:
            found = (await writer.get(f"/v1/journal/publications/{begun['publication_id']}")).json()
            return bool(found["state"] == "done" and found["published"] >= found["events"])

        await eventually(done, within_s=30)
        await eventually(lambda: applied(2_600), within_s=40)
        events = await consume(broker.bootstrap, topics[0], count=2_600, within_s=20)
        assert len({event.id for event in events}) == 2_600
        assert Counter((await counting.counts()).values()) == {1: 2_600}
        state = (await writer.get("/v1/journal")).json()
        assert state == {"pending": 0, "oldest_pending_at": None, "to_republish": 0, "publication": None}


async def test_since_a_moment_only_what_was_recorded_then_comes_again(
    mongo_url: str, db_name: str, kafka: Kafka
) -> None:
    settings = counting_settings(
        mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence, service="writing"
    )
    await ensure_topics(settings, [settings.topic(TOPIC)])
    now = datetime(2013, 4, 2, 9, tzinfo=UTC)
    service = Service(settings, clock=lambda: now)
    async with running(service.app("writing", [])) as client:
        await emit(service.unit_of_work, 0, 30)
        now += timedelta(days=1)
        await emit(service.unit_of_work, 30, 50)
        await eventually(lambda: _published(service.mongo, 50))
        since = (now - timedelta(hours=1)).isoformat()
        answer = await client.post("/v1/journal/publications", json={"since": since})
        assert answer.json()["events"] == 20
        events = await consume(kafka.bootstrap, settings.topic(TOPIC), count=71, within_s=6)
        times = Counter(event.id for event in events)
        assert Counter(times.values()) == {1: 30, 2: 20}
        assert {event.time for event in events if times[event.id] == 2} == {now}

        for body, field in (({"since": "yesterday"}, "since"), ({"since": 5}, "since"), ({"until": since}, "until")):
            refused = await client.post("/v1/journal/publications", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
        assert (await client.get("/v1/journal/publications/none")).json()["code"] == "unknown_publication"


async def test_a_publication_outlives_its_relay_and_a_second_one_takes_its_place(mongo_url: str, db_name: str) -> None:
    class Crash(BaseException):
        """The relay's process dies here."""

    class Log(Bus):
        """Takes every event, and dies after so many batches."""

        def __init__(self, settings: ServiceSettings, batches: int | None) -> None:
            super().__init__(settings)
            self.taken: list[str] = []
            self.batches = batches

        async def publish(self, events: Sequence[Outgoing]) -> list[bool]:
            self.taken += [event.envelope.id for event in events]
            if self.batches is not None:
                self.batches -= 1
                if self.batches == 0:
                    raise Crash
            return [True] * len(events)

    settings = counting_settings(mongo_url, db_name, "127.0.0.1:1", idempotence=False, service="writing")
    mongo = Mongo(mongo_url, settings.database)
    await mongo.ensure(["outbox", "unpublished"], [])
    await emit(UnitOfWork(mongo, "writing"), 0, 3_500)
    await mongo["unpublished"].delete_many({})
    journal = Journal(mongo)
    replaced = await journal.publish_again()
    publication = await journal.publish_again()

    dying = Log(settings, batches=2)
    with pytest.raises(Crash):
        await _relay_until_done(Relay(mongo, dying, settings, Metrics("writing")), mongo)
    assert len(dying.taken) == 2_000
    living = Log(settings, batches=None)
    await _relay_until_done(Relay(mongo, living, settings.model_copy(), Metrics("writing")), mongo)
    # What was published and not yet noted came again; nothing was left out.
    assert len(living.taken) == 2_500
    assert len({*dying.taken, *living.taken}) == 3_500
    ended = {row["_id"]: row["state"] async for row in mongo["publications"].find()}
    assert ended == {replaced["_id"]: "replaced", publication["_id"]: "done"}
    await mongo.close()


async def _relay_until_done(relay: Relay, mongo: Mongo) -> None:
    while await mongo["publications"].count_documents({"state": "running"}):
        await relay._turn_of_publication()
        await asyncio.sleep(0)


async def _published(mongo: Mongo, number: int) -> bool:
    return await mongo["outbox"].count_documents({}) == number and not await waiting(mongo)
