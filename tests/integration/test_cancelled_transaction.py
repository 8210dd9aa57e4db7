"""A transaction that is cancelled ends as cancelled, whatever its client says of the session: else a stop hangs."""

import asyncio
import random

from shared.mongo import Mongo, Session


async def test_a_cancelled_transaction_never_ends_as_anything_else(mongo_url: str, db_name: str) -> None:
    mongo = Mongo(mongo_url, db_name)
    await mongo.ensure(["some"], [])
    rng = random.Random(1)

    async def work(session: Session) -> None:
        for _ in range(4):
            await mongo["some"].insert_one({}, session=session)

    cancelled = done = 0
    for _ in range(300):
        task = asyncio.create_task(mongo.transaction(work))
        await asyncio.sleep(rng.uniform(0, 0.006))
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert ended is None or isinstance(ended, asyncio.CancelledError)
        cancelled += ended is not None
        done += ended is None
    assert cancelled > 50
    await mongo.close()
