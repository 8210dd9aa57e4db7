"""A stream of which most cannot be read is a deployment that does not fit: the service stops and says so."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from json import dumps, loads

import httpx
import pytest

from shared.bus import ensure_topics
from shared.consumer import Received
from shared.envelope import Envelope, to_headers
from shared.events import ContactAttempted, ContractEnded
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import Raw, eventually, produce, running

OTHER = "tracking.events"


class OldContact(ContactAttempted):
    """As a reader sees contacts that was deployed too early, or too late: it wants a field that they do not have."""

    room: str


def with_room(event_id: str) -> Envelope:
    envelope = contact(event_id)
    return replace(envelope, data=dumps({**loads(envelope.data), "room": "B12"}).encode())


def broken(event_id: str) -> Raw:
    return event_id.encode(), b"{", [(name, text.encode()) for name, text in to_headers(contact(event_id)).items()]


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str) -> ServiceSettings:
    return counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)


@pytest.fixture
async def topic(settings: ServiceSettings) -> str:
    await ensure_topics(settings, [settings.topic(TOPIC), settings.topic(OTHER)])
    return settings.topic(TOPIC)


async def alarm(client: httpx.AsyncClient) -> str:
    """What /ready says of the stream; empty when nothing."""
    answer = await client.get("/ready")
    reasons = [each["reason"] for each in answer.json()["failures"] if each["check"] == "stream"]
    return reasons[0] if answer.status_code == 503 and reasons else ""


async def metric(client: httpx.AsyncClient) -> str:
    lines = (await client.get("/metrics")).text.splitlines()
    return next(line.rsplit(" ", 1)[1] for line in lines if line.startswith("foquale_alarm{"))


async def kept(client: httpx.AsyncClient) -> int:
    return len((await client.get("/v1/dead-letters", params={"limit": 500})).json()["items"])


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def test_nothing_is_set_aside_while_it_stands_and_a_reader_that_fits_goes_on_exactly_there(
    settings: ServiceSettings, topic: str
) -> None:
    early = Counting(settings, model=OldContact)
    async with running(early.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[with_room(f"before{number}") for number in range(40)])
        await eventually(lambda: early.has(40))
        assert await metric(client) == "0.0"
        await produce(settings.kafka_bootstrap, topic, *[contact(f"new{number}") for number in range(400)])
        reason = await eventually(lambda: alarm(client), within_s=20, what="the alarm")
        for word in (topic, "invalid_data", "FOQUALE_UNDECODABLE_SHARE=1", "Deploy"):
            assert word in reason
        assert await metric(client) == "1.0"
        assert (await client.get("/live")).status_code == 200
        set_aside = await kept(client)
        assert set_aside < settings.undecodable_least
        failures = early.service.bus.subscriptions[0].failures
        await eventually(lambda: more_failures(early, failures + 2), what="two more tries")
        assert await kept(client) == set_aside
        assert await alarm(client)

    fits = Counting(settings)
    async with running(fits.service.app("counting", [])) as client:
        await eventually(lambda: fits.has(440 - set_aside))
        assert (await client.post("/v1/dead-letters/replay", json={})).json()["replayed"] == set_aside
        assert list((await fits.counts()).values()) == [1] * 440
        await eventually(lambda: is_ready(client))
        assert await metric(client) == "0.0"


async def more_failures(counting: Counting, number: int) -> bool:
    return counting.service.bus.subscriptions[0].failures >= number


async def test_another_subscription_of_the_service_goes_on_and_ends_no_alarm(
    settings: ServiceSettings, topic: str
) -> None:
    counting = Counting(settings)
    ended: set[str] = set()

    async def on_ended(_tx: Tx, events: Sequence[Received[ContractEnded]]) -> None:
        ended.update(event.envelope.id for event in events)

    counting.service.consume([OTHER], {ContractEnded: on_ended}, group_suffix=".other")
    data = ContractEnded(youth_id="y", on=date(2013, 5, 1), contract_id="c", reason="completed")
    end = replace(contact("end"), type=data.TYPE, data=data.model_dump_json().encode())
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[broken(f"x{number}") for number in range(300)])
        await eventually(lambda: alarm(client), within_s=20)
        good = [replace(end, id=f"end{number}") for number in range(20)]
        await produce(settings.kafka_bootstrap, settings.topic(OTHER), *good)

        async def all_ended() -> bool:
            return len(ended) == 20

        await eventually(all_ended)
        assert await alarm(client)
        assert await metric(client) == "1.0"


async def test_an_operator_may_decide_that_what_nobody_can_read_becomes_dead_letters(
    settings: ServiceSettings, topic: str
) -> None:
    unreadable, good = [broken(f"x{number}") for number in range(150)], [contact(f"y{number}") for number in range(40)]
    await produce(settings.kafka_bootstrap, topic, *unreadable, *good)
    counting = Counting(settings)
    async with running(counting.service.app("counting", [])) as client:
        await eventually(lambda: alarm(client), within_s=20)
    decided = Counting(settings.model_copy(update={"undecodable_share": 1.0}))
    async with running(decided.service.app("counting", [])) as client:

        async def all_kept() -> bool:
            return await kept(client) == 150

        await eventually(all_kept)
        await eventually(lambda: decided.has(40))
        assert list((await decided.counts()).values()) == [1] * 40
        await eventually(lambda: is_ready(client))
