"""The core on a real store and broker: the outbox is published, a refused command leaves nothing, a replay mends."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime

import httpx
import pytest
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from shared.bus import ensure_topics
from shared.commands import CommandOf
from shared.consumer import Received
from shared.envelope import Envelope
from shared.events import ContactAttempted
from shared.events.referral import ContactOutcome
from shared.journal import waiting
from shared.mongo import Mongo, Session
from shared.service import Service
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx
from tests.backends import Kafka
from tests.support.probe import consume, eventually, produce, running

TOPIC = "referral.events"


def contact(youth: str, event_id: str, outcome: ContactOutcome = "reached") -> Envelope:
    data = ContactAttempted(youth_id=youth, on=date(2013, 4, 2), channel="phone", outcome=outcome)
    return Envelope(
        id=event_id,
        type=data.TYPE,
        source="/foquale/referral",
        subject=youth,
        time=datetime(2013, 4, 2, 9, tzinfo=UTC),
        data=data.model_dump_json().encode(),
    )


class Counting:
    """A service that counts contacts per youth, one `$inc` an event: any event applied twice shows."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.service = Service(settings, collections=["counts"])
        self.service.consume([TOPIC], {ContactAttempted: self.on_contact})
        self.always_fail_on: set[str] = set()

    async def on_contact(self, tx: Tx, events: Sequence[Received[ContactAttempted]]) -> None:
        for event in events:
            await tx["counts"].update_one(
                {"_id": event.data.youth_id}, {"$inc": {"n": 1}}, upsert=True, session=tx.session
            )
            if event.envelope.id in self.always_fail_on:
                raise ValueError("this event breaks the handler")

    async def counts(self) -> dict[str, int]:
        return {row["_id"]: row["n"] async for row in self.service.mongo["counts"].find()}


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ServiceSettings:
    return ServiceSettings(
        service="probe",
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=3,
        topic_prefix=topic_prefix,
        kafka_session_ms=2_000,
        relay_lease_s=2,
    )


@pytest.fixture
async def topics(settings: ServiceSettings) -> str:
    await ensure_topics(settings, [settings.topic(TOPIC)])
    return settings.topic(TOPIC)


async def test_an_event_that_breaks_the_handler_is_set_aside_alone_and_replayed_once_mended(
    settings: ServiceSettings, topics: str
) -> None:
    counting = Counting(settings)
    counting.always_fail_on = {"bad"}
    async with running(counting.service.app("probe", [])) as client:
        await produce(settings.kafka_bootstrap, topics, contact("a", "1"), contact("b", "bad"), contact("c", "3"))
        await eventually(lambda: _has(counting, "a", "c"))
        [dead] = await eventually(lambda: _dead_letters(client), what="the dead letter")
        assert dead["code"] == "not_applicable"
        assert "b" not in await counting.counts()
        counting.always_fail_on.clear()
        for _ in range(2):
            assert (await client.post(f"/v1/dead-letters/{dead['dead_letter_id']}/replay")).status_code == 200
        assert await counting.counts() == {"a": 1, "b": 1, "c": 1}


async def test_two_replicas_publish_the_outbox_once_and_in_order(settings: ServiceSettings, topics: str) -> None:
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            service = Service(settings)
            clients.append(await stack.enter_async_context(running(service.app("probe", [_commands()]))))
        for n in range(60):
            answer = await clients[n % 2].post(f"/youths/y{n % 3}/contacts/{n}", headers={"Idempotency-Key": f"k{n}"})
            again = await clients[(n + 1) % 2].post(
                f"/youths/y{n % 3}/contacts/{n}", headers={"Idempotency-Key": f"k{n}"}
            )
            assert answer.status_code == again.status_code == 201
            assert answer.json() == again.json()
        events = await consume(settings.kafka_bootstrap, topics, count=61, within_s=4)
    assert len(events) == 60
    for youth in ("y0", "y1", "y2"):
        mine = [event for event in events if event.subject == youth]
        assert [event.time for event in mine] == sorted(event.time for event in mine)
        assert len(mine) == 20


@pytest.mark.usefixtures("topics")
async def test_a_refused_command_leaves_nothing_behind(settings: ServiceSettings) -> None:
    service = Service(settings)
    async with running(service.app("probe", [_commands()])) as client:
        answer = await client.post("/youths/y/contacts/1?refuse=yes", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 409
        assert answer.json()["code"] == "refused"
        assert await service.mongo["outbox"].count_documents({}) == 0
        assert (await client.post("/youths/y/contacts/1", headers={"Idempotency-Key": "k"})).status_code == 201
        other = await client.post("/youths/z/contacts/1", headers={"Idempotency-Key": "k"})
        assert other.json()["code"] == "idempotency_key_reused"
        assert await service.mongo["outbox"].count_documents({}) == 1


@pytest.mark.usefixtures("topics")
async def test_events_written_while_the_relay_was_down_are_published_after_a_restart(settings: ServiceSettings) -> None:
    service = Service(settings)
    await service.mongo.ensure(["outbox"], [])

    async def emit(tx: Tx) -> None:
        for n in range(2_500):
            tx.emit(ContactAttempted(youth_id=f"y{n % 50}", on=date(2013, 4, 2), channel="sms", outcome="no_answer"))

    await service.unit_of_work.run(emit)
    await service.mongo.close()
    counting = Counting(settings)
    async with running(counting.service.app("probe", [])):

        async def all_there() -> bool:
            return sum((await counting.counts()).values()) == 2_500

        await eventually(all_there, within_s=20)
        assert await waiting(counting.service.mongo) == set()


async def test_transactions_that_collide_all_get_through(mongo_url: str, db_name: str) -> None:
    mongo = Mongo(mongo_url, db_name)
    await mongo.ensure(["counters"], [])

    async def add() -> None:
        async def work(session: Session) -> None:
            row = await mongo["counters"].find_one({"_id": "n"}, session=session)
            await mongo["counters"].update_one(
                {"_id": "n"},
                {"$set": {"value": (row or {"value": 0})["value"] + 1}},
                upsert=True,
                session=session,
            )

        await mongo.transaction(work)

    await asyncio.gather(*[add() for _ in range(20)])
    row = await mongo["counters"].find_one({"_id": "n"})
    assert row == {"_id": "n", "value": 20}
    await mongo.close()


def _commands() -> APIRouter:
    from shared.problems import Problem

    router = APIRouter()

    @router.post("/youths/{youth_id}/contacts/{number}")
    async def add_contact(youth_id: str, number: int, command: CommandOf, refuse: str = "no") -> JSONResponse:
        async def work(tx: Tx) -> dict[str, object]:
            tx.emit(ContactAttempted(youth_id=youth_id, on=date(2013, 4, 2), channel="phone", outcome="reached"))
            if refuse == "yes":
                raise Problem(409, "refused", "refused on demand")
            return {"number": number, "at": tx.now.isoformat()}

        return await command(work)

    return router


async def _has(counting: Counting, *youths: str) -> bool:
    return set(youths) <= set(await counting.counts())


async def _dead_letters(client: httpx.AsyncClient) -> list[dict[str, str]]:
    return list((await client.get("/v1/dead-letters")).json()["items"])
