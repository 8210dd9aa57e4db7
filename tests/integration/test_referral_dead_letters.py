"""Referral's dead letters on a real store and broker: never a byte of an under-16, and a row that heals is taken in."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.referral.app import app
from services.referral.settings import ReferralSettings
from shared.events import SieiDropout
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.support.probe import Raw, eventually, produce, running
from tests.support.referral import know_platforms, prepare, youths
from tests.support.siei import row

SECRET = "SECRETNAME"


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReferralSettings:
    return await prepare(mongo_url, kafka, db_name, topic_prefix, retry_first_s=0.5, retry_longest_s=0.5)


@pytest.fixture
async def mongo(settings: ReferralSettings) -> AsyncIterator[Mongo]:
    mongo = Mongo(settings.mongo_url, settings.database)
    yield mongo
    await mongo.close()


@asynccontextmanager
async def refusing(mongo: Mongo, *collections: str) -> AsyncIterator[None]:
    """The store takes no new document into these collections: what a handler writes there fails."""
    for name in collections:
        await mongo.db.command({"collMod": name, "validator": {"never": {"$exists": True}}})
    try:
        yield
    finally:
        for name in collections:
            await mongo.db.command({"collMod": name, "validator": {}})


def siei(event_id: str, values: dict[str, str]) -> Raw:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "/siei/scolarite",
        "ce_type": SieiDropout.TYPE,
        "content-type": "application/json",
    }
    return event_id.encode(), json.dumps(values).encode(), [(name, text.encode()) for name, text in headers.items()]


def young(number: int) -> dict[str, str]:
    return {**row(number, birth_date="2000-02-02"), "family_name": SECRET, "source_row": f"{SECRET}{number}"}


async def letters(client: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    return list((await client.get("/v1/dead-letters", params=filters)).json()["items"])


async def test_no_byte_of_an_under_16_is_kept_shown_or_logged_where_the_handler_fails_and_where_it_is_tried_again(
    settings: ReferralSettings, mongo: Mongo, capfd: pytest.CaptureFixture[str]
) -> None:
    topic = settings.topic(SieiDropout.TOPIC)
    async with running(app(settings)) as client:
        await know_platforms(settings)
        async with refusing(mongo, "youths", "rejection_counts", "rejections"):
            rows = [siei(f"ok{n}", row(n)) for n in range(1, 6)]
            unreadable = json.dumps(young(80)).encode()[:-1] + b", oops"
            await produce(
                settings.kafka_bootstrap,
                topic,
                *rows,
                *[siei(f"{SECRET}-{n}", young(n)) for n in range(60, 64)],
                (SECRET.encode(), unreadable, siei(f"{SECRET}-80", {})[2]),
                siei("m1", row(6, left_on="yesterday")),
                siei("c1", row(7, commune="Lyon")),
            )

            async def set_aside() -> list[dict[str, Any]]:
                items = await letters(client)
                return items if len(items) == 7 and all(i["replays"] for i in items if i["next_try_at"]) else []

            items = await eventually(set_aside, within_s=20, what="seven dead letters, tried again once")
            assert Counter(item["code"] for item in items) == {"not_applicable": 6, "malformed": 1}
            assert await youths(client) == []

        async def healed() -> bool:
            return len(await letters(client, state="replayed")) == 6

        await eventually(healed, what="the retries")
        assert len(await youths(client)) == 5
        [rejected] = (await client.get("/v1/siei/rejections")).json()["items"]
        assert rejected["code"] == "unknown_commune"
        [left] = await letters(client, state="waiting")
        assert (left["code"], left["next_try_at"]) == ("malformed", None)

        answers = [
            (await client.get(path)).text
            for path in ("/v1/dead-letters", "/metrics", "/v1/youths", "/v1/siei/rejections", "/ready")
        ]
    for name in await mongo.db.list_collection_names():
        async for document in mongo[name].find():
            assert SECRET not in str(document), f"an under-16's name is in {name}"
    out, err = capfd.readouterr()
    assert "event_not_applied" in out + err
    assert SECRET not in "".join([*answers, out, err])


async def test_a_malformed_row_that_is_replayed_is_still_malformed_and_stays(
    settings: ReferralSettings, mongo: Mongo
) -> None:
    topic = settings.topic(SieiDropout.TOPIC)
    bad = siei("m1", row(6, left_on="yesterday"))
    async with running(app(settings)) as client:
        await know_platforms(settings)
        await produce(settings.kafka_bootstrap, topic, siei("a", row(1)), bad, siei("b", row(2)))

        async def settled() -> bool:
            return len(await youths(client)) == 2 and len(await letters(client)) == 1

        await eventually(settled)
        [item] = await letters(client)
        answer = await client.post(f"/v1/dead-letters/{item['dead_letter_id']}/replay")
        assert (answer.status_code, answer.json()["code"]) == (409, "malformed")
        [item] = await letters(client, state="waiting")
        assert (item["code"], item["replays"]) == ("malformed", 1)
        assert await mongo["inbox"].count_documents({"_id": {"$regex": "m1"}}) == 0, "it would count as seen"
