"""What reporting does with records between reading and writing: it lets go of them, and tells apart what is refused."""

import asyncio
import gc
import json
import weakref
from typing import Any

import pytest

from services.reporting.app import FACTS, REGISTRATIONS
from services.reporting.generations import CHANGES, FIRST, GROWTHS, Entry
from services.reporting.handlers import FactsConsumer, live
from services.reporting.store import positions
from shared.dead_letters import record_of
from shared.envelope import Record
from shared.handling import NotYet
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.unit_of_work import Tx
from tests.bench.events import TOPICS, Lives
from tests.support.board import prepared
from tests.support.probe import eventually

_YOUTHS = 40


class _Watched(Record):
    """A record whose end can be seen."""


def _records() -> list[Record]:
    return [
        _Watched(TOPICS[event.topic], 0, offset, event.key.encode(), event.value, event.headers)
        for offset, event in enumerate(Lives(_YOUTHS, seed=9).in_order_of_lives())
    ]


class _Into:
    """Writes to what is live, once the gate is open; how often."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.writes = 0
        self._live = live()

    async def __call__(self, tx: Tx) -> Entry:
        await self.gate.wait()
        self.writes += 1
        return await self._live(tx)


async def _applied(mongo: Mongo) -> int:
    return sum(position.next_offset for position in (await positions(mongo, FIRST)).values())


async def test_records_that_wait_to_be_written_are_gone_once_they_are_read(mongo_url: str, db_name: str) -> None:
    mongo = Mongo(mongo_url, db_name)
    into = _Into()
    consumer = FactsConsumer(await prepared(mongo), FACTS, REGISTRATIONS, Metrics("reporting"), into, youths=1_000)
    records = _records()
    watched = [weakref.ref(record) for record in records]
    batches = [
        asyncio.create_task(consumer.on_batch(records[:20])),
        asyncio.create_task(consumer.on_batch(records[20:])),
    ]
    del records

    async def all_gone() -> bool:
        gc.collect()
        return not any(record() for record in watched)

    try:
        await eventually(all_gone, what="no record in memory")
        assert await _applied(mongo) == 0
        into.gate.set()
        await asyncio.gather(*batches)
        assert await mongo[FIRST.collection(GROWTHS)].count_documents({}) > 0
        assert into.writes == 2
    finally:
        for batch in batches:
            batch.cancel()
        await mongo.close()


async def test_what_the_store_refuses_is_found_by_halves_when_it_comes_again(mongo_url: str, db_name: str) -> None:
    mongo = Mongo(mongo_url, db_name)
    into = _Into()
    into.gate.set()
    consumer = FactsConsumer(await prepared(mongo), FACTS, REGISTRATIONS, Metrics("reporting"), into, youths=1_000)
    records = _records()
    first = next(data for record in records if "departement" in (data := _data(record)))
    leaf = [first["academie"], first["departement"], first["network_id"]]
    bad = {_id(record) for record in records if _brings_to(record, leaf[2])}
    await mongo.db.command({"collMod": FIRST.collection(CHANGES), "validator": {"leaves": {"$nin": [leaf]}}})
    try:
        with pytest.raises(NotYet) as told:
            await consumer.on_batch(records)
        assert told.value.code == "batch_refused"
        assert await _applied(mongo) == 0
        await consumer.on_batch(records)
        dead = await mongo["dead_letters"].find({}).to_list(None)
        assert {_id(record_of(letter)) for letter in dead} == bad
        assert 0 < len(bad) < 10
        assert await _applied(mongo) == sum({record.topic: record.offset + 1 for record in records}.values())
        assert into.writes < len(bad) * 2 * len(records).bit_length() + 10 < len(records)
    finally:
        await mongo.close()


def _id(record: Record) -> str:
    return (dict(record.headers)["ce_id"] or b"").decode()


def _brings_to(record: Record, network: str) -> bool:
    """Whether by this record a youth belongs to a network."""
    data = _data(record)
    return "departement" in data and data["network_id"] == network


def _data(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(record.value or b"")
    return data
