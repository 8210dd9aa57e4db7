"""What a batch writes: facts, the changes of the figures, how far the topics are applied, names of networks.

    facts       one document a youth, `_id` is the youth_id (shard key): `fact` packed (`compact.pack`), and how many
                `details` it has
    shards      how often each group of youths was written (`shards.py`): a writer that knew older facts is refused
    growths     one document a batch and shard, `_id` shard|n: facts that grew, whole, packed (`compact.pack`), which
                are not in `facts` yet: newer than those there. A batch writes only these; what has gathered is
                settled into `facts` now and then, so that a youth is written there less often than it grows
    changes     one document a batch: what it adds to which figures (`deltas`), how far the topics are applied by it and
                what networks are called. Only ever inserted, so that two replicas never write the same figure;
                folded into `cells` later (`cells.py`). `slot` and `n` number them (`generations.py`)
    positions   one document a partition: the offset of the next record to apply, and the time of the last event
    networks, platforms   the latest registration of each, for labels
    taken_lists, disputes, told_dead_letters   what tells of quality (`quality.notes`)

Each is of one generation of the projection (`generations.py`), which every function here is told.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from services.reporting import compact, generations
from services.reporting.compact import Fact
from services.reporting.deltas import Deltas, of_sums
from services.reporting.freshness import Partition, Position
from services.reporting.generations import (
    CHANGES,
    FACTS,
    FIRST,
    GROWTHS,
    POSITIONS,
    PROJECTION,
    SHARDS,
    SLOTS,
    Entry,
    Generation,
)
from services.reporting.memory import Shard
from services.reporting.quality.notes import Note
from shared.clock import event_id
from shared.events import Event
from shared.mongo import Document, Mongo, ReplaceOne, Session, UpdateOne
from shared.unit_of_work import Tx

COLLECTIONS: Final = (*PROJECTION, SLOTS, "builds")
INDEXES: Final = tuple(FIRST.indexes())


_PAUSE_EVERY: Final = 50


class Stale(Exception):
    """Somebody else has written to these youths meanwhile: read them again."""


class OlderProjection(Exception):
    """The store holds a projection that an earlier version made, which this one cannot read."""


async def refuse_older(mongo: Mongo) -> None:
    """Raise `OlderProjection`, before anything is applied to it."""
    of = await generations.live(mongo)
    row = await mongo[of.collection(FACTS)].find_one({})
    if row is not None and "fact" not in row:
        raise OlderProjection(
            f"the projection in the database {mongo.db.name} was made by an earlier version: drop that database, start "
            "reporting, and publish the journals again (foquale republish)"
        )


async def load(mongo: Mongo, of: Generation, youth_ids: Collection[str]) -> dict[str, Fact]:
    """The facts of those youths that the store has in its documents."""
    rows = await mongo[of.collection(FACTS)].find({"_id": {"$in": list(youth_ids)}}).to_list(None)
    return {row["_id"]: compact.unpack_one(row["fact"]) for row in rows}


async def load_shards(mongo: Mongo, of: Generation, shards: Collection[int]) -> dict[int, Shard]:
    """How often these shards were written, and the facts of them that are not in documents yet."""
    chosen = {"$in": list(shards)}
    loaded = {shard: Shard(0, {}) for shard in shards}
    # In this order: what is written after the numbers are read, shows when one writes.
    async for row in mongo[of.collection(SHARDS)].find({"_id": chosen}):
        loaded[row["_id"]].writes = row["n"]
    async for row in _growths(mongo, of, {"shard": chosen}):
        loaded[row["shard"]].fresh |= compact.unpack(row["facts"])
    return loaded


async def growths(mongo: Mongo, of: Generation, session: Session | None = None) -> dict[str, Fact]:
    """The facts that are not in documents yet."""
    fresh: dict[str, Fact] = {}
    async for row in _growths(mongo, of, {}, session):
        fresh |= compact.unpack(row["facts"])
    return fresh


def _growths(mongo: Mongo, of: Generation, query: Document, session: Session | None = None) -> AsyncIterator[Document]:
    return mongo[of.collection(GROWTHS)].find(query, session=session).sort([("shard", 1), ("n", 1)])


async def facts(mongo: Mongo, of: Generation, session: Session | None = None) -> AsyncIterator[tuple[str, Fact]]:
    """All facts, in the order of identifiers."""
    fresh = await growths(mongo, of, session)
    waiting = deque(sorted(fresh))
    async for row in mongo[of.collection(FACTS)].find({}, session=session).sort("_id", 1).batch_size(5_000):
        while waiting and waiting[0] <= row["_id"]:
            youth_id = waiting.popleft()
            yield youth_id, fresh[youth_id]
        if row["_id"] not in fresh:
            yield row["_id"], compact.unpack_one(row["fact"])
    for youth_id in waiting:
        yield youth_id, fresh[youth_id]


@dataclass(frozen=True, slots=True)
class Known:
    """How much a generation knows: of how many youths, and how many details (days, owners, dismissals) of them.

    Neither falls when a fact grows.
    """

    youths: int = 0
    details: int = 0


async def known(mongo: Mongo, of: Generation) -> Known:
    """How much is known."""
    fresh = await growths(mongo, of)
    settled = await _counted(mongo, of, {})
    replaced = await _counted(mongo, of, {"_id": {"$in": list(fresh)}}) if fresh else Known()
    details = sum(map(compact.details, fresh.values()))
    return Known(
        settled.youths - replaced.youths + len(fresh),
        settled.details - replaced.details + details,
    )


async def _counted(mongo: Mongo, of: Generation, query: Document) -> Known:
    group = {"$group": {"_id": None, "youths": {"$sum": 1}, "details": {"$sum": "$details"}}}
    counted = mongo.aggregate(of.collection(FACTS), [{"$match": query}, group])
    return next(iter([Known(row["youths"], row["details"]) async for row in counted]), Known())


async def save(tx: Tx, of: Generation, writes: Mapping[int, int], grown: Mapping[int, Mapping[str, Fact]]) -> None:
    """Write facts that grew, by shard. `writes` says how often each shard was written so far.

    `Stale` where that is not so any more.
    """
    rows = [
        {"_id": f"{shard}|{writes[shard] + 1}", "shard": shard, "n": writes[shard] + 1, "facts": compact.pack(facts)}
        for shard, facts in grown.items()
    ]
    await _count(tx, of, writes)
    if not await tx.mongo.insert(of.collection(GROWTHS), rows, tx.session):
        raise Stale


async def settle(
    tx: Tx, of: Generation, writes: Mapping[int, int], fresh: Sequence[Mapping[str, Fact]], new: Collection[str]
) -> None:
    """Write the fresh facts of these shards to their documents; of the `new` youths there are none yet.

    `Stale` where a shard was written meanwhile.
    """
    await _count(tx, of, writes)
    inserts: list[Document] = []
    updates: list[tuple[Document, Document]] = []
    for number, (youth_id, fact) in enumerate(chain.from_iterable(facts.items() for facts in fresh)):
        document: Document = {"_id": youth_id, "fact": compact.pack(fact), "details": compact.details(fact)}
        if youth_id in new:
            inserts.append(document)
        else:
            updates.append(({"_id": youth_id}, document))
        if number % _PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # queries are answered meanwhile
    written = await tx.mongo.update(of.collection(FACTS), updates, tx.session, upsert=True)
    if not (written and await tx.mongo.insert(of.collection(FACTS), inserts, tx.session)):
        raise Stale
    await tx[of.collection(GROWTHS)].delete_many({"shard": {"$in": list(writes)}}, session=tx.session)


async def _count(tx: Tx, of: Generation, writes: Mapping[int, int]) -> None:
    counted: list[tuple[Document, Document]] = [
        ({"_id": shard, "n": n}, {"$set": {"n": n + 1}}) for shard, n in writes.items()
    ]
    if not await tx.mongo.update(of.collection(SHARDS), counted, tx.session, upsert=True):
        raise Stale


async def add_changes(
    tx: Tx, entry: Entry, figures: Deltas, positions: Mapping[Partition, Position], names: Mapping[str, str]
) -> None:
    """Write down what the batch adds to the figures, how far it goes, and what it calls networks."""
    told = [[topic, number, to.next_offset, to.last_event_time] for (topic, number), to in positions.items()]
    number = {"slot": entry.slot, "n": entry.number}
    row = {"_id": event_id(), **number, **figures.document(), "positions": told, "names": dict(names)}
    await tx[entry.generation.collection(CHANGES)].insert_one(row, session=tx.session)


async def move(tx: Tx, of: Generation, positions: Mapping[Partition, Position]) -> None:
    """Note how far the topics are applied; never backwards, as a replica that lost a partition may come late."""
    if positions:
        await tx[of.collection(POSITIONS)].bulk_write(
            [
                UpdateOne(
                    {"_id": f"{topic}|{partition}"},
                    {
                        "$setOnInsert": {"topic": topic, "partition": partition},
                        "$max": {"next": position.next_offset}
                        | ({"last_event_time": position.last_event_time} if position.last_event_time else {}),
                    },
                    upsert=True,
                )
                for (topic, partition), position in positions.items()
            ],
            ordered=False,
            session=tx.session,
        )


async def positions(mongo: Mongo, of: Generation, session: Session | None = None) -> dict[Partition, Position]:
    """How far the topics are applied."""
    return {
        (row["topic"], row["partition"]): Position(row["next"], row.get("last_event_time"))
        async for row in mongo[of.collection(POSITIONS)].find({}, session=session)
    }


async def begin_again(tx: Tx, entry: Entry, lost: Mapping[Partition, Position]) -> None:
    """Count these partitions from 0 again, unless they have moved on meanwhile."""
    begun: dict[Partition, Position] = {}
    for (topic, partition), position in lost.items():
        found = await tx[entry.generation.collection(POSITIONS)].update_one(
            {"_id": f"{topic}|{partition}", "next": position.next_offset}, {"$set": {"next": 0}}, session=tx.session
        )
        if found.modified_count:
            begun[topic, partition] = Position(0)
    await add_changes(tx, entry, of_sums([], {}), begun, {})


async def note(tx: Tx, of: Generation, notes: Iterable[Note]) -> None:
    """Set the fields that the notes tell of; the same again changes nothing."""
    writes: dict[str, list[UpdateOne]] = {}
    for each in notes:
        writes.setdefault(each.collection, []).append(UpdateOne({"_id": each.id}, {"$set": each.fields}, upsert=True))
    for name, of_collection in writes.items():
        await tx[of.collection(name)].bulk_write(of_collection, session=tx.session)


async def register(tx: Tx, of: Generation, name: str, registrations: Mapping[str, Event]) -> dict[str, str]:
    """Keep the registrations that are newer than what is known, by `version`; the names of those, by identifier."""
    if not registrations:
        return {}
    collection = of.collection(name)
    newest: dict[str, Document] = {key: event.model_dump(mode="json") for key, event in registrations.items()}
    query = {"_id": {"$in": list(newest)}}
    async for row in tx[collection].find(query, {"version": 1}, session=tx.session):
        if row["version"] >= newest[row["_id"]]["version"]:
            del newest[row["_id"]]
    if newest:
        await tx[collection].bulk_write(
            [ReplaceOne({"_id": key}, {"_id": key, **document}, upsert=True) for key, document in newest.items()],
            ordered=False,
            session=tx.session,
        )
    return {key: document["name"] for key, document in newest.items()}


async def names(mongo: Mongo, of: Generation, name: str, session: Session | None = None) -> dict[str, str]:
    """The names of the networks, or of the platforms, by code."""
    rows = mongo[of.collection(name)].find({}, {"name": 1}, session=session)
    return {row["_id"]: row["name"] async for row in rows}
