"""What the store refuses in a transaction is told as it is: an event at fault must not pass for an outage."""

import pytest

from shared.mongo import InsertOne, Mongo, ReplaceOne, Session, StoreError, UpdateOne, Write, by_kind, is_outage


@pytest.mark.parametrize("refused", [InsertOne({"_id": "bad"}), ReplaceOne({"_id": "there"}, {"bad": 1})])
async def test_a_refused_write_among_several_kinds_is_no_outage(mongo_url: str, db_name: str, refused: Write) -> None:
    mongo = Mongo(mongo_url, db_name)
    await mongo.ensure(["things"], [])
    await mongo["things"].insert_one({"_id": "there"})
    await mongo.db.command({"collMod": "things", "validator": {"_id": {"$ne": "bad"}, "bad": {"$exists": False}}})
    writes: list[Write] = [
        UpdateOne({"_id": "there"}, {"$set": {"n": 1}}),
        InsertOne({"_id": "good"}),
        refused,
        UpdateOne({"_id": "good"}, {"$set": {"n": 1}}),
    ]

    async def work(session: Session) -> None:
        await mongo["things"].bulk_write(by_kind(writes), session=session)

    with pytest.raises(StoreError) as error:
        await mongo.transaction(work, deadline_s=5)
    assert not is_outage(error.value)
    assert "BulkWriteError" in type(error.value).__name__
    assert [row async for row in mongo["things"].find()] == [{"_id": "there"}]
    await mongo.close()
