"""A projection built anew beside the live one takes its place in one step; a verification finds every drift."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from msgspec import structs

from services.reporting import board, cells, compact, deltas, generations, store
from services.reporting.app import FACTS, REGISTRATIONS, TOPICS, app
from services.reporting.compact import Fact
from services.reporting.figures import LEVELS, Period, figures
from services.reporting.generations import Entry, Generation
from services.reporting.handlers import FactsConsumer, live
from services.reporting.measures import NUMBERS
from services.reporting.rebuild import Build, BuildConsumer, Ended
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.clock import utc_now
from shared.mongo import Document, Mongo
from shared.observability import Metrics
from shared.service import Service
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


def service_of(client: httpx.AsyncClient) -> Service:
    """The service behind a client in this process."""
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]  # httpx has it private
    return service


def store_of(client: httpx.AsyncClient) -> Mongo:
    return service_of(client).mongo


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
        seen: tuple[list[int], list[int]] = [0], [0]
        over = asyncio.Event()

        async def load() -> None:
            for begin in range(half, len(events), 40):
                await send(settings, events[begin : begin + 40])

        async def look() -> None:
            while not over.is_set():
                # Each follows the store by itself, so they may be apart for a moment; neither goes back.
                for client, of_replica in zip((first, second), seen, strict=True):
                    row = (await ask(client, by="national"))["rows"][0]
                    # A dismissal takes a youth out of the detected and into the dismissed: together they never fall.
                    of_replica.append(row["activity"]["detected"] + row["activity"]["dismissed"])
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
        for of_replica in seen:
            assert len(of_replica) > 10
            assert all(later >= earlier for earlier, later in pairwise(of_replica)), of_replica
        await assert_equals_plain_count(first, events)
        await assert_equals_plain_count(second, events)
        assert (await first.get("/v1/dead-letters")).json()["items"] == []
    mongo = Mongo(settings.mongo_url, settings.database)
    names = await mongo.db.list_collection_names()
    left = {name for name in names if re.sub(r"_\d+$", "", name) in generations.PROJECTION}
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

        mongo = store_of(client)

        async def folded() -> bool:
            return not any([await mongo[name].count_documents({}) for name in ("changes", "growths")])

        await eventually(folded)
        known = {youth_id: fact async for youth_id, fact in store.facts(mongo, Generation(1))}
        youths = [youth_id for youth_id, fact in known.items() if fact.detected != compact.NEVER]
        drifted = structs.replace(known[youths[0]], detected=date(2012, 1, 1).toordinal())
        await mongo["facts"].update_one({"_id": youths[0]}, {"$set": {"fact": compact.pack(drifted)}})
        await mongo["facts"].delete_one({"_id": youths[1]})
        await mongo["facts"].insert_one({"_id": "nobody", "fact": compact.pack(Fact()), "details": 0})
        cell = await mongo["cells"].find_one({"_id": {"$regex": r"^24\|"}}, sort=[("_id", 1)])
        assert cell is not None
        figures_of = deltas.of_document(cell)
        place = int(np.flatnonzero(figures_of.measures == NUMBERS["detected"])[0])
        figures_of.counts[place] += 1
        await mongo["cells"].replace_one({"_id": cell["_id"]}, figures_of.document())
        leaf = figures_of.leaves[figures_of.leaf_numbers[place]]
        assert leaf is not None
        day = date.fromordinal(int(figures_of.days[place])).isoformat()

        found = await ended(client, "verification")
        assert found["state"] == "done"
        items = found["differences"]["items"]
        assert {item["youth_id"] for item in items if "youth_id" in item} == {youths[0], youths[1], "nobody"}
        [changed] = [item for item in items if item.get("youth_id") == youths[0]]
        assert (changed["field"], changed["live"]["detected"]) == ("first", "2012-01-01")
        wrong = [item for item in items if "measure" in item]
        assert {(item["level"], item["code"]) for item in wrong} == {
            ("national", "FR"),
            ("academie", leaf.academie),
            ("departement", leaf.departement),
            ("network", leaf.network_id),
        }
        for item in wrong:
            assert (item["day"], item["measure"], item["live"]) == (day, "detected", item["recomputed"] + 1)
        assert found["differences"]["total"] == len(items)

        # More youths are live than the log tells of: a rebuild says so before it takes anybody away.
        await mongo["facts"].insert_one({"_id": "nobody else", "fact": compact.pack(Fact()), "details": 0})
        refused = await ended(client, "rebuild")
        assert refused["state"] == "refused"
        assert "--from journals" in refused["reason"]
        assert (await ended(client, "rebuild", anyway=True))["state"] == "done"
        assert (await ended(client, "verification"))["differences"]["total"] == 0
        await assert_equals_plain_count(client, events)


async def test_while_events_pour_in_and_live_lags_behind_the_log_a_verification_finds_nothing(
    settings: ReportingSettings,
) -> None:
    events = population(400, seed=9)
    random.Random(9).shuffle(events)
    lagging = settings.model_copy(update={"batch_records": 20})  # slower by far than a build
    over = asyncio.Event()
    async with running(app(lagging)) as client:
        await send(settings, events[:400])
        await eventually(lambda: caught_up(client), within_s=30)

        async def load() -> None:
            begin = 400
            while begin < len(events) or not over.is_set():
                # Once all are sent they come again: to read them twice changes nothing.
                await send(settings, [events[number % len(events)] for number in range(begin, begin + 25)])
                begin += 25

        sending = asyncio.create_task(load())
        for _ in range(3):
            found = await ended(client, "verification")
            assert (found["state"], found["reason"]) == ("done", None)
            assert found["differences"] == {"total": 0, "items": []}
            assert found["youths"] > 100
        over.set()
        await sending
        await eventually(lambda: caught_up(client), within_s=30)
        await assert_equals_plain_count(client, events)


async def test_a_log_that_tells_less_than_is_live_does_not_take_over_until_somebody_insists(
    settings: ReportingSettings,
) -> None:
    events = population(80, seed=4)
    async with running(app(settings)) as client:
        await send(settings, events)
        await eventually(lambda: caught_up(client), within_s=30)
    # A new and empty broker: other topics. Of every youth one event came again, of most youths it is not the only one.
    anew = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}anew-"})
    await ensure_topics(anew, [anew.topic(name) for name in TOPICS])
    first_of_each = list({happened.event.youth_id: happened for happened in reversed(events)}.values())
    async with running(app(anew)) as client:
        await send(anew, first_of_each)
        await eventually(lambda: caught_up(client, last=["referral.events"]), within_s=30)
        refused = await ended(client, "rebuild")
        assert refused["state"] == "refused"
        assert "the log is not whole" in refused["reason"]
        assert 70 < refused["youths"] <= len(first_of_each) == 80
        assert (await client.get("/v1/projection")).json()["generation"] == 1
        await assert_equals_plain_count(client, events)
        # What is published again makes the log whole, and then nobody need insist.
        await send(anew, events)
        await eventually(lambda: caught_up(client), within_s=30)
        whole = await ended(client, "rebuild")
        assert (whole["state"], whole["reason"]) == ("done", None)
        await assert_equals_plain_count(client, events)


async def test_a_build_whose_turn_another_has_taken_does_not_switch(settings: ReportingSettings) -> None:
    events = population(40, seed=2)
    async with running(app(settings)) as client:
        await send(settings, events)
        await eventually(lambda: caught_up(client), within_s=30)
        service = service_of(client)
        new = Generation(7)

        async def into(_tx: Tx) -> Entry:
            return Entry(new, slot=-1, number=0)

        consumer = BuildConsumer(service.unit_of_work, FACTS, REGISTRATIONS, Metrics("build"), into, youths=1_000)
        document: Document = {"_id": "stalled", "kind": "rebuild", "anyway": True, "read": 0, "of": 0}
        topics = [settings.topic(name) for name in TOPICS]
        build = Build(service.unit_of_work, service.bus.log, topics, consumer, document, new, Generation(1))
        with pytest.raises(Ended, match="another build took over"):
            await build.run()
        assert (await client.get("/v1/projection")).json()["generation"] == 1
        slots = await service.mongo["slots"].find({}).to_list(None)
        assert not [slot for slot in slots if "held_until" in slot]
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


async def test_a_build_that_is_stopped_half_way_leaves_the_live_projection_untouched_and_the_next_one_works(
    settings: ReportingSettings,
) -> None:
    events = population(800, seed=6)
    async with running(app(settings)) as client:
        await send(settings, events)
        await eventually(lambda: caught_up(client), within_s=40)
        mongo = store_of(client)
        begun = (await client.post("/v1/projection/rebuilds", json={})).json()["rebuild_id"]

        async def under_way() -> bool:
            return "facts_2" in await mongo.db.list_collection_names()

        await eventually(under_way)
    async with running(app(settings)) as client:
        stopped = (await client.get(f"/v1/projection/rebuilds/{begun}")).json()
        assert (stopped["state"], stopped["reason"]) == ("failed", "it was interrupted; begin again")
        await assert_equals_plain_count(client, events)
        build = await ended(client, "rebuild")
        assert (build["state"], build["generation"]) == ("done", 3)
        await assert_equals_plain_count(client, events)
        names = await store_of(client).db.list_collection_names()
        assert [name for name in names if name.startswith("facts")] == ["facts_3"]


async def test_what_a_killed_builder_leaves_behind_holds_nobody_up_for_long(settings: ReportingSettings) -> None:
    events = population(60, seed=7)
    async with running(app(settings)) as client:
        await send(settings, events[:100])
        await eventually(lambda: caught_up(client), within_s=30)
        # As a process leaves it that is killed while it holds the live consumers: nothing tells of its end.
        mongo, now = store_of(client), utc_now()
        await mongo["facts_5"].insert_one({"_id": "somebody", "first": {}})
        killed: Document = {"_id": "killed", "kind": "rebuild", "generation": 5, "state": "running", "anyway": False}
        told = {"read": 9, "of": 9, "youths": 1, "differences": None, "reason": None, "started_at": now}
        silent_since = now - timedelta(seconds=31)
        await mongo["builds"].insert_one(killed | told | {"beat_at": silent_since, "ended_at": None})
        await mongo["leases"].insert_one({"_id": "build", "build": "killed", "until": silent_since})
        await generations.hold(mongo, utc_now() + timedelta(seconds=2))
        await send(settings, events[100:])
        await eventually(lambda: caught_up(client), within_s=30)
        await assert_equals_plain_count(client, events)
        assert (await client.get("/v1/projection/rebuilds/killed")).json()["state"] == "failed"
        build = await ended(client, "rebuild")
        assert (build["state"], build["generation"]) == ("done", 6)
        await assert_equals_plain_count(client, events)
        assert "facts_5" not in await mongo.db.list_collection_names()


@pytest.fixture
async def mongo(settings: ReportingSettings) -> AsyncIterator[Mongo]:
    """The service's store without the service."""
    opened = Mongo(settings.mongo_url, settings.database)
    await opened.ensure([*store.COLLECTIONS, "outbox", "dead_letters"], store.INDEXES)
    await generations.prepare(opened)
    yield opened
    await opened.close()


@pytest.mark.timeout(150)  # on a loaded machine a switch takes seconds
async def test_no_batch_gets_into_the_old_generation_once_the_new_one_is_live(mongo: Mongo) -> None:
    """Replicas apply and somebody switches, over and over: every event is in the generation that is live at the end."""
    unit_of_work = UnitOfWork(mongo, "reporting")
    events = population(150, seed=12)
    shares = [events[number::3] for number in range(3)]
    applying = 3

    async def replica(mine: list[Happened]) -> None:
        nonlocal applying
        consumer = FactsConsumer(unit_of_work, FACTS, REGISTRATIONS, Metrics("reporting"), live(), youths=1_000)
        for begin in range(0, len(mine), 4):
            await consumer.apply(received(mine[begin : begin + 4]), [])
            await asyncio.sleep(0.5)  # time for some switches, on a loaded machine as well
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

        old = await generations.live(mongo)
        await unit_of_work.run(work, deadline_s=100.0)  # the replicas are quicker, and on a loaded machine often
        await generations.drop(mongo, old)

    async def switching() -> int:
        number = 1
        while applying:
            number += 1
            await switch_to(Generation(number))
        return number

    async def reading() -> None:
        """No answer is of a generation that is being dropped, half or wholly gone."""
        before = 0
        while applying:
            tally = (
                (await board.load(mongo)).snapshot(("national",), Period()).tallies.get(("national", "FR"), Counter())
            )
            now = tally["detected"] + tally["dismissed"]
            assert now >= before
            before = now
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(each) for each in (*map(replica, shares), reading(), reading())]
    last = await switching()
    await asyncio.gather(*tasks)
    assert last > 2
    assert await generations.live(mongo) == Generation(last)
    while await cells.fold(unit_of_work):
        pass
    snapshot = (await board.load(mongo)).snapshot(LEVELS, Period())
    counted = {unit: figures(tally, ("activity", "cohort")) for unit, tally in snapshot.tallies.items()}
    expected = oracle.indicators(events)
    assert {unit: row for unit, row in counted.items() if row != oracle.NOBODY} == {
        unit: row for unit, row in expected.items() if row != oracle.NOBODY
    }
