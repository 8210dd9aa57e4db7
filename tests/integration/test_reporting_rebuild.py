"""A projection built anew beside the live one takes its place in one step; a verification finds every drift."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import httpx
import pytest

from services.reporting import cells, generations, store
from services.reporting.app import FACTS, REGISTRATIONS, TOPICS, app
from services.reporting.figures import LEVELS, Period, figures
from services.reporting.generations import Generation
from services.reporting.handlers import FactsConsumer, live
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.mongo import Document, Mongo
from shared.observability import Metrics
from shared.unit_of_work import Tx, UnitOfWork
from tests.backends import Kafka
from tests.support import oracle
from tests.support.lives import population
from tests.support.oracle import Happened
from tests.support.probe import eventually, running
from tests.support.reporting import ask, assert_equals_plain_count, caught_up, received, send, settings_of


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    return settings_of(mongo_url, kafka, db_name, topic_prefix)


@pytest.fixture(autouse=True)
async def topics(settings: ReportingSettings) -> None:
    await ensure_topics(settings, [settings.topic(name) for name in TOPICS])


async def ended(client: httpx.AsyncClient, kind: str, **body: Any) -> Document:
    """Ask for a build and wait for its end."""
    answer = await client.post(f"/v1/projection/{kind}s", json=body)
    assert answer.status_code == 202, answer.text
    [build_id] = answer.json().values()

    async def over() -> Document | None:
        found: Document = (await client.get(f"/v1/projection/{kind}s/{build_id}")).json()
        return None if found["state"] == "running" else found

    found = await eventually(over, within_s=40, what=f"the end of the {kind}")
    assert found is not None
    return found


async def test_under_load_and_with_two_replicas_the_new_projection_takes_over_and_no_figure_ever_falls(
    settings: ReportingSettings,
) -> None:
    events = population(300, seed=5)
    random.Random(5).shuffle(events)
    half = len(events) // 2
    async with AsyncExitStack() as replicas:
        first = await replicas.enter_async_context(running(app(settings)))
        second = await replicas.enter_async_context(running(app(settings)))
        await send(settings, events[:half])
        await eventually(lambda: caught_up(first), within_s=30)
        seen = [0]
        over = asyncio.Event()

        async def load() -> None:
            for begin in range(half, len(events), 40):
                await send(settings, events[begin : begin + 40])

        async def look() -> None:
            while not over.is_set():
                for client in (first, second):
                    row = (await ask(client, by="national"))["rows"][0]
                    seen.append(row["activity"]["attempted"] + row["activity"]["dismissed"])
                await asyncio.sleep(0.02)

        sending, looking = asyncio.create_task(load()), asyncio.create_task(look())
        for generation in (2, 3):
            build = await ended(first if generation == 2 else second, "rebuild")
            assert (build["state"], build["reason"], build["generation"]) == ("done", None, generation)
            assert build["held_ms"] < 10_000
            projection = (await second.get("/v1/projection")).json()
            assert projection["generation"] == generation
            assert projection["since"] is not None
        await sending
        await eventually(lambda: caught_up(second), within_s=30)
        over.set()
        await looking
        # A later dismissal takes a youth out of what he was counted in, and puts him into `dismissed`: the sum stands.
        assert all(later >= earlier - 3 for earlier, later in pairwise(seen)), seen
        assert min(seen[10:]) > 0
        await assert_equals_plain_count(first, events)
        await assert_equals_plain_count(second, events)
        assert (await first.get("/v1/dead-letters")).json()["items"] == []
    mongo = Mongo(settings.mongo_url, settings.database)
    left = {name for name in await mongo.db.list_collection_names() if name.partition("_")[0] in generations.PROJECTION}
    assert left == {f"{name}_3" for name in generations.PROJECTION}
    await mongo.close()


async def test_a_verification_finds_every_drift_and_a_rebuild_mends_it(settings: ReportingSettings) -> None:
    events = population(120, seed=8)
    async with running(app(settings)) as client:
        await send(settings, events)
        await eventually(lambda: caught_up(client), within_s=30)
        clean = await ended(client, "verification")
        assert (clean["state"], clean["differences"]) == ("done", {"total": 0, "items": []})
        assert clean["youths"] == len({happened.event.youth_id for happened in events})
        assert clean["figures"] > 500

        mongo: Mongo = client._transport.app.state.service.mongo  # type: ignore[attr-defined]

        async def folded() -> bool:
            return await mongo["changes"].count_documents({}) == 0

        await eventually(folded)
        youths = [row["_id"] async for row in mongo["facts"].find({"first.detected": {"$exists": True}}).sort("_id", 1)]
        await mongo["facts"].update_one({"_id": youths[0]}, {"$set": {"first.detected": "2012-01-01"}})
        await mongo["facts"].delete_one({"_id": youths[1]})
        await mongo["facts"].insert_one({"_id": "nobody", "first": {}})
        cell = await mongo["cells"].find_one({"level": "national", "total.detected": {"$gt": 0}}, sort=[("_id", 1)])
        assert cell is not None
        day = next(day for day, measures in sorted(cell["days"].items()) if "detected" in measures)
        await mongo["cells"].update_one({"_id": cell["_id"]}, {"$inc": {f"days.{day}.detected": 1}})

        found = await ended(client, "verification")
        assert found["state"] == "done"
        items = found["differences"]["items"]
        assert {item["youth_id"] for item in items if "youth_id" in item} == {youths[0], youths[1], "nobody"}
        [changed] = [item for item in items if item.get("youth_id") == youths[0]]
        assert (changed["field"], changed["live"]["detected"]) == ("first", "2012-01-01")
        [figure] = [item for item in items if "measure" in item]
        assert (figure["level"], figure["day"], figure["measure"]) == ("national", f"{cell['month']}-{day}", "detected")
        assert figure["live"] == figure["recomputed"] + 1
        assert found["differences"]["total"] == len(items)

        # More youths are live than the log tells of: a rebuild says so before it takes anybody away.
        await mongo["facts"].insert_one({"_id": "nobody else", "first": {}})
        refused = await ended(client, "rebuild")
        assert refused["state"] == "refused"
        assert "--from journals" in refused["reason"]
        assert (await ended(client, "rebuild", anyway=True))["state"] == "done"
        assert (await ended(client, "verification"))["differences"]["total"] == 0
        await assert_equals_plain_count(client, events)


async def test_one_build_at_a_time_and_clear_words_for_what_cannot_be(settings: ReportingSettings) -> None:
    async with running(app(settings)) as client:
        await send(settings, population(200, seed=3))
        first = await client.post("/v1/projection/verifications", json={})
        second = await client.post("/v1/projection/rebuilds", json={})
        assert (first.status_code, second.status_code, second.json()["code"]) == (202, 409, "build_running")
        assert first.json()["verification_id"] in second.json()["detail"]
        path = f"/v1/projection/verifications/{first.json()['verification_id']}"

        async def over() -> bool:
            return bool((await client.get(path)).json()["state"] == "done")

        await eventually(over, within_s=30)
        assert (await client.get(path.replace("verifications", "rebuilds"))).json()["code"] == "unknown_build"
        assert (await client.get("/v1/projection/rebuilds/none")).status_code == 404
        assert (await client.post("/v1/projection/rebuilds", json={"any": 1})).status_code == 422


async def test_a_build_that_dies_half_way_leaves_the_live_projection_untouched_and_the_next_one_works(
    settings: ReportingSettings,
) -> None:
    events = population(250, seed=6)
    async with running(app(settings)) as client:
        await send(settings, events)
        await eventually(lambda: caught_up(client), within_s=30)
    async with running(app(settings)) as client:
        begun = (await client.post("/v1/projection/rebuilds", json={})).json()["rebuild_id"]

        async def under_way() -> bool:
            return bool((await client.get(f"/v1/projection/rebuilds/{begun}")).json()["read"])

        await eventually(under_way)
    mongo = Mongo(settings.mongo_url, settings.database)
    state = await mongo["builds"].find_one({"_id": begun})
    assert state is not None
    if state["state"] == "running":  # it died; nobody waits for its lease here
        await mongo["leases"].delete_one({"_id": "build"})
    async with running(app(settings)) as client:
        await assert_equals_plain_count(client, events)
        build = await ended(client, "rebuild")
        assert build["state"] == "done"
        assert build["generation"] > state["generation"]
        await assert_equals_plain_count(client, events)
    names = {name.rpartition("_")[2] for name in await mongo.db.list_collection_names() if name.startswith("facts_")}
    assert names == {str(build["generation"])}
    await mongo.close()


@pytest.fixture
async def mongo(settings: ReportingSettings) -> AsyncIterator[Mongo]:
    """The service's store without the service."""
    opened = Mongo(settings.mongo_url, settings.database)
    await opened.ensure([*store.COLLECTIONS, "outbox", "dead_letters"], store.INDEXES)
    await generations.prepare(opened)
    yield opened
    await opened.close()


async def test_no_batch_gets_into_the_old_generation_once_the_new_one_is_live(mongo: Mongo) -> None:
    """Replicas apply and somebody switches, over and over: every event is in the generation that is live at the end."""
    unit_of_work = UnitOfWork(mongo, "reporting")
    events = population(150, seed=12)
    shares = [events[number::3] for number in range(3)]
    applying = 3

    async def replica(mine: list[Happened]) -> None:
        nonlocal applying
        consumer = FactsConsumer(unit_of_work, FACTS, REGISTRATIONS, Metrics("reporting"), live())
        for begin in range(0, len(mine), 8):
            await consumer.apply(received(mine[begin : begin + 8]), [])
            await asyncio.sleep(0.06)
        applying -= 1

    async def switch_to(new: Generation) -> None:
        """What is live goes over as a whole, in the transaction that switches: whatever is missing was written late."""
        await mongo.ensure([new.collection(name) for name in generations.PROJECTION], new.indexes())

        async def work(tx: Tx) -> None:
            old = await generations.live(mongo, tx.session)
            for name in generations.PROJECTION:
                rows = await tx[old.collection(name)].find({}, session=tx.session).to_list(None)
                if rows:
                    await tx[new.collection(name)].insert_many(rows, session=tx.session)
            await generations.switch(tx, new)

        await unit_of_work.run(work)

    async def switching() -> int:
        number = 1
        while applying:
            number += 1
            await switch_to(Generation(number))
        return number

    tasks = [asyncio.create_task(replica(share)) for share in shares]
    last = await switching()
    await asyncio.gather(*tasks)
    assert last > 3
    assert await generations.live(mongo) == Generation(last)
    while await cells.fold(unit_of_work):
        pass
    snapshot = await cells.read(mongo, LEVELS, Period())
    counted = {unit: figures(tally, ("activity", "cohort")) for unit, tally in snapshot.tallies.items()}
    expected = oracle.indicators(events)
    assert {unit: row for unit, row in counted.items() if row != oracle.NOBODY} == {
        unit: row for unit, row in expected.items() if row != oracle.NOBODY
    }
