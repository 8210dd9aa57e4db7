"""Which collections hold the live projection, so that another may be built beside it and take its place in one step.

A *generation* is a whole projection: facts, changes, cells, positions, names, notes. Generation 1 has their plain
names, a later one has its number behind them.

    slots   32 documents that all say the same: `generation`, the live one; and, while a switch is near, `held_until`

Whoever applies events writes to one slot first, in the same transaction, and so learns what is live. A switch writes
to all slots in one transaction. So the store lets no batch into the old generation once the new one is live: one of the
two runs again. There are many slots only so that replicas do not collide with each other.
"""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.reporting.quality.notes import COLLECTIONS as NOTES
from shared.consumer import NotYet
from shared.mongo import DuplicateKeyError, Index, Mongo, Session
from shared.unit_of_work import Tx

SLOTS: Final = "slots"
FACTS: Final = "facts"
CHANGES: Final = "changes"
POSITIONS: Final = "positions"
CELLS: Final = "cells"
SHARDS: Final = "shards"
GROWTHS: Final = "growths"
NAMES: Final = ("networks", "platforms")
PROJECTION: Final = (FACTS, CHANGES, POSITIONS, CELLS, SHARDS, GROWTHS, *NAMES, *NOTES)

_NUMBER_OF_SLOTS: Final = 32
_LEADER: Final = 0


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """One projection."""

    number: int

    def collection(self, name: str) -> str:
        """What a collection of `PROJECTION` is called in this generation."""
        return name if self.number == 1 else f"{name}_{self.number}"

    def indexes(self) -> list[Index]:
        """What its collections are searched by."""
        return [Index(self.collection(GROWTHS), "by_shard", (("shard", 1), ("n", 1)))]


FIRST: Final = Generation(1)


def slot_of(owner: str) -> int:
    """The slot of whoever applies events: always the same for the same."""
    return zlib.crc32(owner.encode()) % _NUMBER_OF_SLOTS


async def prepare(mongo: Mongo) -> None:
    """Make the slots where they are missing. Safe for replicas side by side."""
    first = await mongo[SLOTS].find_one({"_id": _LEADER}, {"generation": 1})
    number = first["generation"] if first else FIRST.number
    present = {row["_id"] async for row in mongo[SLOTS].find({}, {"_id": 1})}
    for slot in sorted(set(range(_NUMBER_OF_SLOTS)) - present, reverse=True):
        try:
            await mongo[SLOTS].insert_one({"_id": slot, "generation": number, "writes": 0})
        except DuplicateKeyError:
            continue  # another replica was quicker


@dataclass(frozen=True, slots=True)
class Entry:
    """Into which generation a transaction writes, and as which write of its slot: they are numbered without gaps."""

    generation: Generation
    slot: int
    number: int


async def enter(tx: Tx, slot: int) -> Entry:
    """Enter the live generation, for a transaction that is to write to it. NotYet while a switch is near."""
    row = await tx[SLOTS].find_one_and_update({"_id": slot}, {"$inc": {"writes": 1}}, session=tx.session)
    held_until = row.get("held_until")
    if held_until is not None and held_until > tx.now:
        raise NotYet("rebuild_switch", "another projection is about to take over")
    return Entry(Generation(row["generation"]), slot, row["writes"] + 1)


async def live(mongo: Mongo, session: Session | None = None) -> Generation:
    """The live generation, to read."""
    row = await mongo[SLOTS].find_one({"_id": _LEADER}, {"generation": 1}, session=session)
    return Generation(row["generation"]) if row else FIRST


async def hold(mongo: Mongo, until: datetime) -> None:
    """Let nobody write to the live generation before this moment. Once it returns, nobody does."""
    await mongo[SLOTS].update_many({}, {"$set": {"held_until": until}})


async def release(mongo: Mongo) -> None:
    """Let writing go on."""
    await mongo[SLOTS].update_many({}, {"$unset": {"held_until": ""}})


async def switch(tx: Tx, to: Generation) -> None:
    """Make a generation the live one, as part of the transaction."""
    await tx[SLOTS].update_many(
        {}, {"$set": {"generation": to.number}, "$unset": {"held_until": ""}}, session=tx.session
    )


async def drop(mongo: Mongo, generation: Generation) -> None:
    """Remove a generation's collections."""
    for name in PROJECTION:
        await mongo.db.drop_collection(generation.collection(name))


async def drop_all_but(mongo: Mongo, kept: Collection[Generation]) -> None:
    """Remove what earlier builds have left behind."""
    wanted = {generation.collection(name) for generation in kept for name in PROJECTION}
    for name in await mongo.db.list_collection_names():
        base, _, number = name.rpartition("_")
        if name not in wanted and (name in PROJECTION or (base in PROJECTION and number.isdecimal())):
            await mongo.db.drop_collection(name)
