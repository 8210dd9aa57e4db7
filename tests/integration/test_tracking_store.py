"""Tracking's handlers on a real store, without a broker: events that pass each other in two replicas, and speed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from itertools import chain
from time import perf_counter
from typing import Any

import pytest

from services.tracking import store
from services.tracking.app import TABLE
from services.tracking.domain import Placement
from shared import dead_letters
from shared.consumer import INBOX_INDEXES, Received
from shared.envelope import Record
from shared.events import Event
from shared.mongo import Mongo
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.tracking import NOW, detected, dismissed, envelope, expired, offered


@pytest.fixture
async def mongo(mongo_url: str, db_name: str) -> AsyncIterator[Mongo]:
    mongo = Mongo(mongo_url, db_name)
    await mongo.ensure(
        (*store.COLLECTIONS, "outbox", "inbox"),
        (*store.INDEXES, *OUTBOX_INDEXES, *INBOX_INDEXES, *dead_letters.INDEXES),
    )
    yield mongo
    await mongo.close()


@pytest.fixture
def hear(mongo: Mongo) -> Callable[..., Any]:
    """Apply events of one type in one transaction, as the consumer does."""
    replica = UnitOfWork(mongo, "tracking")

    async def hear(*events: Event | Received[Any]) -> None:
        received = [event if isinstance(event, Received) else _received(event) for event in events]

        async def work(tx: Tx) -> None:
            await TABLE[type(received[0].data)](tx, received)

        await replica.run(work)

    return hear


def _received(event: Event) -> Received[Any]:
    return Received(envelope(event), event, Record("topic", 0, 0, None, b"", ()))


async def _placements(mongo: Mongo) -> dict[str, Placement]:
    found, following = await store.Reader(mongo).placements({}, None, 500)
    assert following is None
    return {placement.placement_id: placement for placement in found}


async def _declined(mongo: Mongo) -> int:
    return await mongo["outbox"].count_documents({"type": "fr.foquale.tracking.placement-declined.v1"})


async def test_an_offer_and_a_dismissal_that_pass_each_other_in_two_replicas_leave_nothing_open(
    mongo: Mongo, hear: Callable[..., Any]
) -> None:
    youths = [f"y{number}" for number in range(40)]
    rng = random.Random(7)
    passing = [
        pair
        for youth in youths
        for pair in rng.sample([hear(offered(youth, f"p-{youth}")), hear(dismissed(youth))], k=2)
    ]
    await asyncio.gather(*passing)
    placements = await _placements(mongo)
    assert {placement.state for placement in placements.values()} == {"declined"}
    assert len(placements) == await _declined(mongo) == len(youths)


async def test_batches_that_overlap_in_two_replicas_all_get_through(mongo: Mongo, hear: Callable[..., Any]) -> None:
    youths = [f"y{number}" for number in range(60)]
    await asyncio.gather(
        hear(*[detected(youth) for youth in youths]),
        hear(*[detected(youth) for youth in reversed(youths)]),
        hear(*[offered(youth, f"p-{youth}") for youth in youths]),
        hear(*[dismissed(youth) for youth in youths[::2]]),
        hear(*[expired(youth, f"p-{youth}") for youth in youths[1::2]]),
    )
    placements = await _placements(mongo)
    assert [placements[f"p-{youth}"].state for youth in youths] == ["declined", "expired"] * 30
    assert await _declined(mongo) == 30
    known = [row async for row in mongo["youths"].find()]
    assert {row["birth_month"] for row in known} == {"1994-05"}
    assert sum("dismissal" in row for row in known) == 30


async def test_any_order_of_offers_dismissals_and_detections_ends_the_same(
    mongo: Mongo, hear: Callable[..., Any]
) -> None:
    """Ten shuffles of one history, each of youths of its own."""
    rng = random.Random(13)
    for shuffle in range(10):
        youth = f"y{shuffle}"
        history: list[Event] = [
            detected(youth),
            offered(youth, f"{shuffle}-before"),
            dismissed(youth, date(2013, 3, 21)),
            dismissed(youth, date(2013, 3, 23)),
            offered(youth, f"{shuffle}-between", on=date(2013, 3, 22)),
            offered(youth, f"{shuffle}-after", on=date(2013, 3, 24)),
            expired(youth, f"{shuffle}-gone"),
            offered(youth, f"{shuffle}-gone", on=date(2013, 3, 25)),
        ]
        for event in rng.sample(history + history[:3], k=len(history) + 3):
            await hear(event)
    states = {placement_id: placement.state for placement_id, placement in (await _placements(mongo)).items()}
    expected = {"before": "declined", "between": "declined", "after": "offered", "gone": "expired"}
    assert states == dict(
        chain.from_iterable(
            ((f"{shuffle}-{which}", state) for which, state in expected.items()) for shuffle in range(10)
        )
    )
    assert await _declined(mongo) == 20


async def test_the_last_dismissal_is_the_one_of_the_latest_day(mongo: Mongo, hear: Callable[..., Any]) -> None:
    last = date(2013, 3, 23)
    await hear(dismissed("y", last), dismissed("y", last - timedelta(days=2)))
    await hear(dismissed("y", last - timedelta(days=1)))
    row = await mongo["youths"].find_one({"_id": "y"})
    assert row is not None
    assert row["dismissal"] == {"on": "2013-03-23", "recorded_at": NOW}


async def test_a_bulk_of_detections_is_quick_and_a_second_sighting_costs_a_read(
    mongo: Mongo, hear: Callable[..., Any]
) -> None:
    batches = [[_received(detected(f"y{batch}-{number}")) for number in range(1_000)] for batch in range(5)]

    async def took(batch: list[Received[Any]]) -> float:
        began = perf_counter()
        await hear(*batch)
        return perf_counter() - began

    first = [await took(batch) for batch in batches]
    again = [await took(batch) for batch in batches]
    print(f"1,000 detections: new {min(first) * 1e3:.1f} ms, known {min(again) * 1e3:.1f} ms")
    assert await mongo["youths"].count_documents({}) == 5_000
    assert min(first) < 0.2  # ten times what two cores need
    assert min(again) < 0.1
