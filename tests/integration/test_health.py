"""Health says the truth about consumers, relay, store and broker; a consumer that has stalled starts anew by itself."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local import Mongod, free_port
from shared.bus import ensure_topics
from shared.events import ContactAttempted
from shared.service import Service
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import eventually, produce, running

EVENT = ContactAttempted(youth_id="y", on=date(2013, 4, 2), channel="phone", outcome="reached")


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str) -> ServiceSettings:
    made = counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)
    return made.model_copy(update={"stall_after_s": 2})


@pytest.fixture
async def topic(settings: ServiceSettings) -> str:
    await ensure_topics(settings, [settings.topic(TOPIC)])
    return settings.topic(TOPIC)


async def metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def test_lag_and_staleness_are_told_while_records_wait_and_are_0_once_they_are_applied(
    settings: ServiceSettings, topic: str
) -> None:
    patient = settings.model_copy(update={"stall_after_s": 60})
    counting = Counting(patient)
    counting.go_on.clear()
    async with running(counting.service.app("probe", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[contact(f"e{number}") for number in range(40)])

        async def behind() -> bool:
            return await metric(client, "foquale_lag") == 40 and await metric(client, "foquale_staleness_seconds") > 0.5

        await eventually(behind)
        counting.go_on.set()

        async def caught_up() -> bool:
            return await metric(client, "foquale_lag") == 0 and await metric(client, "foquale_staleness_seconds") == 0

        await eventually(caught_up)
        assert list((await counting.counts()).values()) == [1] * 40
        assert await metric(client, "foquale_consumer_restarts_total") == 0


@pytest.mark.parametrize("how", ["its partitions are paused", "its loop is cancelled", "its handler never ends"])
async def test_a_consumer_that_stands_still_starts_anew_by_itself_and_nothing_is_lost_or_doubled(
    settings: ServiceSettings, topic: str, how: str
) -> None:
    counting = Counting(settings)
    async with running(counting.service.app("probe", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[contact(f"e{number}") for number in range(30)])
        await eventually(lambda: counting.has(30))
        [subscriber] = counting.service.bus._broker.subscribers
        if how == "its partitions are paused":
            consumer = subscriber.consumer  # type: ignore[attr-defined]  # FastStream's base type does not tell
            consumer.pause(*consumer.assignment())
        elif how == "its loop is cancelled":
            for task in subscriber.tasks:  # type: ignore[attr-defined]  # likewise
                task.cancel()
        else:
            counting.go_on.clear()
        await produce(settings.kafka_bootstrap, topic, *[contact(f"e{number}") for number in range(30, 60)])

        async def restarted() -> bool:
            return await metric(client, "foquale_consumer_restarts_total") >= 1

        await eventually(restarted, within_s=25, what="a new start")
        counting.go_on.set()
        await eventually(lambda: counting.has(60), within_s=40, what="the rest")
        assert list((await counting.counts()).values()) == [1] * 60
        await eventually(lambda: is_ready(client))
        assert (await client.get("/live")).status_code == 200


@pytest.mark.usefixtures("topic")
async def test_an_event_that_waits_too_long_to_be_published_makes_the_service_not_ready(
    settings: ServiceSettings,
) -> None:
    service = Service(settings)
    async with running(service.app("probe", [])) as client:
        await eventually(lambda: is_ready(client))

        async def leads() -> bool:
            return service.relay._leads_until > datetime.now(UTC)

        async def leads_no_more() -> bool:
            return not await leads()

        # The lease is another's, who does nothing: what an operator sees of a relay that falls behind.
        await eventually(leads, what="the relay's own lease")
        until = datetime.now(UTC) + timedelta(hours=1)
        await service.mongo["leases"].update_one({"_id": "relay"}, {"$set": {"owner": "somebody else", "until": until}})
        await eventually(leads_no_more, what="the end of the relay's lease")

        async def emit(tx: Tx) -> None:
            tx.emit(EVENT)

        await service.unit_of_work.run(emit)
        await service.mongo["unpublished"].update_one({}, {"$set": {"at": datetime.now(UTC) - timedelta(seconds=90)}})
        answer = await client.get("/ready")
        assert answer.status_code == 503
        [failure] = answer.json()["failures"]
        assert failure["check"] == "relay"
        assert re.search(r"is 9\d s old", failure["reason"])
        assert await metric(client, "foquale_outbox_age_seconds") >= 90
        assert (await client.get("/live")).status_code == 200

        await service.mongo["leases"].delete_many({})
        await eventually(lambda: is_ready(client), what="ready again")
        assert await metric(client, "foquale_outbox_pending") == 0


@pytest.mark.usefixtures("topic")
async def test_a_relay_whose_loop_has_ended_is_not_alive(settings: ServiceSettings) -> None:
    service = Service(settings)
    async with running(service.app("probe", [])) as client:
        assert (await client.get("/live")).status_code == 200
        service.relay._tasks[0].cancel()

        async def dead() -> bool:
            return (await client.get("/live")).status_code == 503

        await eventually(dead)
        assert (await client.get("/live")).json()["failures"][0]["check"] == "relay"


@pytest.mark.usefixtures("topic")
async def test_a_store_that_is_gone_makes_the_service_not_ready_until_it_is_back(
    settings: ServiceSettings, tmp_path: Path
) -> None:
    mongod = Mongod(tmp_path / "mongod", port=free_port(), cache_gb=0.25)
    with mongod:
        service = Service(settings.model_copy(update={"mongo_url": mongod.url}))
        async with running(service.app("probe", [])) as client:
            await eventually(lambda: is_ready(client))
            mongod.kill()

            async def lost() -> bool:
                answer = await client.get("/ready")
                return answer.status_code == 503 and answer.json()["failures"][0]["check"] == "backend"

            await eventually(lost, within_s=20, what="not ready")
            assert (await client.get("/live")).status_code == 200
            mongod.start()
            await eventually(lambda: is_ready(client), within_s=30, what="ready again")


async def test_a_batch_that_is_cancelled_although_nobody_asked_comes_again(
    settings: ServiceSettings, topic: str
) -> None:
    counting = Counting(settings)
    counting.cancelled_once = {"e3", "e17"}
    async with running(counting.service.app("probe", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[contact(f"e{number}") for number in range(30)])
        await eventually(lambda: counting.has(30))
        assert list((await counting.counts()).values()) == [1] * 30
        assert counting.cancelled_once == set()
        assert await metric(client, "foquale_consumer_restarts_total") == 0
        await eventually(lambda: is_ready(client))
