"""An event that reporting cannot apply is set aside alone: figures and lag go on, and it counts once it is healed."""

from collections.abc import AsyncIterator

import pytest

from services.reporting.app import TOPICS, app
from services.reporting.generations import FACTS, FIRST
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
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


async def test_others_of_its_batch_count_the_lag_comes_to_0_and_a_replay_counts_it_once(
    settings: ReportingSettings, mongo: Mongo
) -> None:
    events = population(30, seed=5)
    poisoned = {events[0].event.youth_id, events[-1].event.youth_id}
    facts = FIRST.collection(FACTS)
    async with running(app(settings)) as client:
        refuse = {"_id": {"$nin": sorted(poisoned)}}
        await mongo.db.command({"collMod": facts, "validator": refuse})
        await send(settings, events)
        topics = {happened.event.TOPIC for happened in events}
        await eventually(lambda: caught_up(client, last=sorted(topics)), within_s=20, what="no lag")
        dead = (await client.get("/v1/dead-letters", params={"limit": 500})).json()["items"]
        theirs = [happened for happened in events if happened.event.youth_id in poisoned]
        others = [happened for happened in events if happened.event.youth_id not in poisoned]
        assert len(dead) == len(theirs)
        assert {item["code"] for item in dead} == {"not_applicable"}
        await assert_equals_plain_count(client, others)

        await mongo.db.command({"collMod": facts, "validator": {}})
        for replayed in (len(theirs), 0):
            answer = (await client.post("/v1/dead-letters/replay", json={"limit": 500})).json()
            assert (answer["replayed"], answer["failed"]) == (replayed, {})
        again = (await client.post("/v1/dead-letters/replay", json={"state": "replayed", "limit": 500})).json()
        assert again["replayed"] == len(theirs)
        await assert_equals_plain_count(client, events)
