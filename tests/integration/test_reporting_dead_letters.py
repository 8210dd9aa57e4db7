"""An event that reporting cannot apply is set aside alone: figures and lag go on, and it counts once it is healed."""

from collections.abc import AsyncIterator

import pytest

from services.reporting.app import TOPICS, app
from services.reporting.generations import CHANGES, FIRST
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.events import DropoutDetected, YouthTransferred
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.support.lives import population
from tests.support.probe import eventually, running
from tests.support.reporting import assert_equals_plain_count, caught_up, send, settings_of


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    settings = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(settings, [settings.topic(name) for name in TOPICS])
    return settings.model_copy(update={"retry_first_s": 3_600.0})


@pytest.fixture
async def mongo(settings: ReportingSettings) -> AsyncIterator[Mongo]:
    mongo = Mongo(settings.mongo_url, settings.database)
    yield mongo
    await mongo.close()


@pytest.mark.timeout(120)
async def test_others_of_its_batch_count_the_lag_comes_to_0_and_a_replay_counts_it_once(
    settings: ReportingSettings, mongo: Mongo
) -> None:
    events = population(30, seed=5)
    detection = next(happened.event for happened in events if isinstance(happened.event, DropoutDetected))
    leaf = [detection.academie, detection.departement, detection.network_id]
    changes = FIRST.collection(CHANGES)
    async with running(app(settings)) as client:
        await mongo.db.command({"collMod": changes, "validator": {"leaves": {"$nin": [leaf]}}})
        await send(settings, events)
        topics = {happened.event.TOPIC for happened in events}
        await eventually(lambda: caught_up(client, last=sorted(topics)), within_s=50, what="no lag")
        dead = (await client.get("/v1/dead-letters", params={"limit": 500})).json()["items"]
        assert {item["code"] for item in dead} == {"not_applicable"}
        refused = {item["headers"]["ce_id"] for item in dead}
        assert len(refused) == len(dead)
        # Only what would bring a youth there.
        assert refused
        assert refused <= {
            happened.id
            for happened in events
            if isinstance(happened.event, DropoutDetected | YouthTransferred) and happened.event.network_id == leaf[2]
        }
        await assert_equals_plain_count(client, [happened for happened in events if happened.id not in refused])

        await mongo.db.command({"collMod": changes, "validator": {}})
        for replayed in (len(dead), 0):
            answer = (await client.post("/v1/dead-letters/replay", json={"limit": 500})).json()
            assert (answer["replayed"], answer["failed"]) == (replayed, {})
        again = (await client.post("/v1/dead-letters/replay", json={"state": "replayed", "limit": 500})).json()
        assert again["replayed"] == len(dead)
        await assert_equals_plain_count(client, events)
