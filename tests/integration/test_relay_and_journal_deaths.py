"""What a relay that stood still, and an ask for the journal that died, leave behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest

from shared import journal
from shared.events import ContactAttempted
from shared.journal import Journal, running_publication, waiting
from shared.mongo import Mongo
from shared.settings import ServiceSettings
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.honest_log import HonestLog, Mood, Replica
from tests.support.machines import Death, MortalMongo
from tests.support.probe import eventually


@pytest.fixture
async def mongo(mongo_url: str, db_name: str) -> AsyncIterator[Mongo]:
    connected = Mongo(mongo_url, db_name)
    await connected.ensure(("outbox", "unpublished", "leases", "signals"), (*OUTBOX_INDEXES, *journal.INDEXES))
    yield connected
    await connected.close()


async def test_a_relay_that_lost_its_lease_hands_over_no_more_than_the_batch_it_has_in_hand(mongo: Mongo) -> None:
    log = HonestLog()
    settings = ServiceSettings(service="relaying", port=1)
    first, second = Replica(mongo, log, settings), Replica(mongo, log, settings)

    async def emit_more_than_a_batch(tx: Tx) -> None:
        for _ in range(1_200):
            tx.emit(ContactAttempted(youth_id="y", on=date(2013, 4, 2), channel="phone", outcome="reached"))

    await UnitOfWork(mongo, "relaying").run(emit_more_than_a_batch)

    async def stand_still_in(replica: Replica) -> "asyncio.Task[None]":
        log.moods = [Mood(stalls="before")]
        log.at_gate.clear()
        going = asyncio.create_task(replica.round())
        async with asyncio.timeout(10):
            await log.at_gate.wait()
        return going

    going_first = await stand_still_in(first)
    await mongo["leases"].update_one({"_id": "relay"}, {"$set": {"until": datetime.fromtimestamp(0, UTC)}})
    first.lease_is_over()
    going_second = await stand_still_in(second)

    log.gates[0].set()
    await asyncio.wait_for(going_first, 10)
    assert len(log.taken) == 1_000, "the batch in hand, and then the other replica's lease is respected"

    log.gates[1].set()
    await asyncio.wait_for(going_second, 10)
    assert await waiting(mongo) == set()
    assert len(set(log.taken)) == 1_200


@pytest.mark.parametrize("step", range(4))
async def test_an_ask_for_the_journal_that_dies_ends_no_publication_that_was_promised(
    mongo: Mongo, mongo_url: str, db_name: str, step: int
) -> None:
    promised = await Journal(mongo).publish_again()
    dying = MortalMongo(mongo_url, db_name)
    dying.accesses_left = step
    with pytest.raises(Death):
        await Journal(dying).publish_again(datetime.now(UTC))
    running = await running_publication(mongo)
    assert running is not None
    assert running["_id"] == promised["_id"]
    await dying.close()


async def test_an_event_that_no_broker_takes_holds_up_neither_the_new_ones_nor_the_journal(mongo: Mongo) -> None:
    log = HonestLog()
    replica = Replica(mongo, log, ServiceSettings(service="relaying", port=1, relay_batch=4))
    unit_of_work = UnitOfWork(mongo, "relaying")

    async def emit(number: int) -> None:
        async def work(tx: Tx) -> None:
            for _ in range(number):
                tx.emit(ContactAttempted(youth_id="y", on=date(2013, 4, 2), channel="phone", outcome="reached"))

        await unit_of_work.run(work)

    await emit(10)
    log.too_large = {min(await waiting(mongo))}
    await replica.round()
    assert await waiting(mongo) == log.too_large
    log.lose_all()
    await emit(3)
    publication = await Journal(mongo).publish_again()
    async with asyncio.timeout(20):
        while await running_publication(mongo):
            await replica.round()
    assert await waiting(mongo) == log.too_large
    assert set(log.taken) | log.too_large == {row["_id"] async for row in mongo["outbox"].find()}
    ended = await mongo["publications"].find_one({"_id": publication["_id"]})
    assert ended is not None
    assert ended["state"] == "done"


async def test_a_relay_outlives_a_cancellation_that_nobody_asked_for(mongo: Mongo) -> None:
    log = HonestLog()
    log.moods = [Mood(cancels=True), Mood(cancels=True)]
    replica = Replica(mongo, log, ServiceSettings(service="relaying", port=1, relay_poll_s=0.1))

    async def emit(tx: Tx) -> None:
        for _ in range(3):
            tx.emit(ContactAttempted(youth_id="y", on=date(2013, 4, 2), channel="phone", outcome="reached"))

    await UnitOfWork(mongo, "relaying").run(emit)
    await replica.start()

    async def all_published() -> bool:
        return not await waiting(mongo)

    await eventually(all_published)
    assert replica.stuck() is None
    assert len(log.taken) == 3
    await replica.stop()
    assert replica.stuck() == "the relay has ended"
