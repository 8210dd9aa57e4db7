"""The first start of a deployment: all replicas at once on an empty store."""

import asyncio

from shared.mongo import Index, Mongo


async def test_replicas_that_start_at_once_make_one_set_of_collections(mongo_url: str, db_name: str) -> None:
    names = [f"collection_{number}" for number in range(12)]
    indexes = [Index(name, "by_day", (("day", 1),)) for name in names]
    replicas = [Mongo(mongo_url, db_name) for _ in range(4)]
    try:
        await asyncio.gather(*(replica.ping() for replica in replicas))
        await asyncio.gather(*(replica.ensure(names, indexes) for replica in replicas))
        assert set(await replicas[0].db.list_collection_names()) == set(names)
        for name in names:
            assert "by_day" in await replicas[0][name].index_information()
    finally:
        await replicas[0].drop()
        for replica in replicas:
            await replica.close()
