"""What has grown is settled in a quiet moment: readers come first."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from services.reporting import store
from services.reporting.app import FACTS, REGISTRATIONS
from services.reporting.generations import FACTS as DOCUMENTS
from services.reporting.generations import FIRST, GROWTHS
from services.reporting.handlers import FactsConsumer, live
from shared.envelope import Record
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.unit_of_work import UnitOfWork
from tests.bench.events import TOPICS, Lives
from tests.support.board import prepared
from tests.support.lives import detected
from tests.support.oracle import Happened
from tests.support.probe import eventually
from tests.support.reporting import received

RECORDED = datetime(2013, 3, 1, tzinfo=UTC)
_YOUTHS = 60


async def test_facts_are_settled_only_while_nobody_waits(mongo_url: str, db_name: str) -> None:
    mongo = Mongo(mongo_url, db_name)
    consumer = FactsConsumer(await prepared(mongo), FACTS, REGISTRATIONS, Metrics("reporting"), live(), youths=1_000)
    documents, growths = mongo[FIRST.collection(DOCUMENTS)], mongo[FIRST.collection(GROWTHS)]
    await consumer.on_batch(
        [
            Record(TOPICS[event.topic], 0, offset, event.key.encode(), event.value, event.headers)
            for offset, event in enumerate(Lives(_YOUTHS, seed=9).in_order_of_lives())
        ]
    )
    assert await growths.count_documents({}) > 0

    async def busy() -> None:
        while True:
            time.sleep(0.005)  # noqa: ASYNC251  the loop is to be busy
            await asyncio.sleep(0)

    async def all_settled() -> bool:
        return await documents.count_documents({}) == _YOUTHS and await growths.count_documents({}) == 0

    readers = asyncio.create_task(busy())
    settling = asyncio.create_task(consumer.keep_settled(0.05))
    try:
        await asyncio.sleep(1.0)
        assert await documents.count_documents({}) == 0
        readers.cancel()
        await eventually(all_settled, what="all facts settled")
    finally:
        readers.cancel()
        settling.cancel()
        await asyncio.gather(readers, settling, return_exceptions=True)
        await mongo.close()


async def test_a_projection_of_an_earlier_version_is_refused_before_anything_is_applied(
    mongo_url: str, db_name: str
) -> None:
    mongo = Mongo(mongo_url, db_name)
    await prepared(mongo)
    await store.refuse_older(mongo)
    consumer = FactsConsumer(
        UnitOfWork(mongo, "reporting"), FACTS, REGISTRATIONS, Metrics("reporting"), live(), youths=1_000
    )
    await consumer.apply(received([Happened("e1", RECORDED, detected("y1", RECORDED.date()))]), [])
    assert await consumer.settle_some()
    await store.refuse_older(mongo)
    await mongo[FIRST.collection(DOCUMENTS)].replace_one({"_id": "y1"}, {"_id": "y1", "first": {}})
    with pytest.raises(store.OlderProjection, match=r"drop that database.*publish the journals again"):
        await store.refuse_older(mongo)
    await mongo.close()
