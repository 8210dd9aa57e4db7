"""What has grown is settled in a quiet moment: readers come first."""

import asyncio
import time

from services.reporting.app import FACTS, REGISTRATIONS
from services.reporting.generations import FACTS as DOCUMENTS
from services.reporting.generations import FIRST, GROWTHS
from services.reporting.handlers import FactsConsumer, live
from shared.envelope import Record
from shared.mongo import Mongo
from shared.observability import Metrics
from tests.bench.events import TOPICS, Lives
from tests.support.board import prepared
from tests.support.probe import eventually

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
