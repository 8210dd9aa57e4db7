"""What history keeps.

readings        figures as they were known at the end of a day: `_id` is the day, with the positions up to which the
                log was looked at, when that was, and by which rules they were counted (`rules`)
reading_pieces  the figures of a reading (`deltas`), by `reading` (day|version) and `n`
lineage_reads   who looked at the youths behind which figure, and when; kept for a year
made_anew       when a partition of the log was found to have been made anew
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, Final

from services.reporting.deltas import Deltas, of_document
from services.reporting.freshness import Partition
from services.reporting.indicators import DEFINITION_VERSION
from services.reporting.measures import DELAY_NAMES, FIXED
from shared.clock import event_id
from shared.mongo import Document, DuplicateKeyError, Index, Mongo
from shared.unit_of_work import Tx

READINGS: Final = "readings"
PIECES: Final = "reading_pieces"
READS: Final = "lineage_reads"
MADE_ANEW: Final = "made_anew"
COLLECTIONS: Final = (READINGS, PIECES, READS, MADE_ANEW)
_YEAR_S: Final = 366 * 24 * 3600
INDEXES: Final = (
    Index(PIECES, "by_reading", (("reading", 1), ("n", 1))),
    Index(READINGS, "by_looked_at", (("looked_at", 1),)),
    Index(READS, "kept_for_a_year", (("at", 1),), {"expireAfterSeconds": _YEAR_S}),
)

_MOST_READINGS: Final = 60
RULES: Final = blake2b(repr((DEFINITION_VERSION, FIXED, DELAY_NAMES)).encode(), digest_size=8).hexdigest()
"""A reading that was counted by other rules is none."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Of the figures of a day: where they are, and up to where and when the log was looked at for them."""

    day: date
    version: str
    pieces: int
    positions: Mapping[Partition, int]
    looked_at: datetime


async def reading(mongo: Mongo, day: date) -> Reading | None:
    """The reading of a day, if there is one by today's rules."""
    row = await mongo[READINGS].find_one({"_id": day.isoformat(), "rules": RULES})
    if row is None:
        return None
    positions = {(topic, number): upto for topic, number, upto in row["positions"]}
    return Reading(day, row["version"], row["pieces"], positions, row["looked_at"])


async def figures(mongo: Mongo, of: Reading) -> list[Deltas] | None:
    """The figures of a reading; None where another has taken its place meanwhile."""
    rows = await mongo[PIECES].find({"reading": _pieces_of(of)}).sort("n", 1).to_list(None)
    return [of_document(row) for row in rows] if len(rows) == of.pieces else None


async def keep(mongo: Mongo, of: Reading, pieces: Sequence[Mapping[str, Any]]) -> None:
    """Keep a reading in the place of an older one of its day; of all readings, those looked at last."""
    for number, piece in enumerate(pieces):
        await mongo[PIECES].insert_one({"reading": _pieces_of(of), "n": number, **piece})
    before = await mongo[READINGS].find_one_and_update(
        {"_id": of.day.isoformat()},
        {"$set": {"version": of.version, "pieces": of.pieces, "rules": RULES, **_looked(of)}},
        upsert=True,
    )
    if before is not None:
        await mongo[PIECES].delete_many({"reading": f"{before['_id']}|{before['version']}"})
    surplus = mongo[READINGS].find({}).sort("looked_at", -1).skip(_MOST_READINGS)
    async for row in surplus:
        await mongo[READINGS].delete_one({"_id": row["_id"], "version": row["version"]})
        await mongo[PIECES].delete_many({"reading": f"{row['_id']}|{row['version']}"})


async def look(mongo: Mongo, of: Reading) -> None:
    """Note that the log was looked at, and holds nothing that changes the reading."""
    await mongo[READINGS].update_one({"_id": of.day.isoformat(), "version": of.version}, {"$set": _looked(of)})


def _looked(of: Reading) -> Document:
    positions = [[topic, number, upto] for (topic, number), upto in of.positions.items()]
    return {"positions": positions, "looked_at": of.looked_at}


def _pieces_of(of: Reading) -> str:
    return f"{of.day.isoformat()}|{of.version}"


async def lease(mongo: Mongo, name: str, owner: str, now: datetime, until: datetime) -> bool:
    """Take or renew a lease; False while somebody else has it."""
    try:
        await mongo["leases"].update_one(
            {"_id": name, "$or": [{"owner": owner}, {"until": {"$lt": now}}]},
            {"$set": {"owner": owner, "until": until}},
            upsert=True,
        )
    except DuplicateKeyError:
        return False
    return True


async def release(mongo: Mongo, name: str, owner: str) -> None:
    """Give a lease back."""
    await mongo["leases"].delete_one({"_id": name, "owner": owner})


async def note_read(mongo: Mongo, at: datetime, reader: str, what: Document, *, count: int, shown: int) -> None:
    """Note who looked at what; `count` youths or events are behind it, `shown` were told."""
    await mongo[READS].insert_one(
        {"_id": event_id(), "at": at, "reader": reader, "what": what, "count": count, "shown": shown}
    )


async def reads(mongo: Mongo, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
    """A page of what was looked at, the last first, and the cursor of the next."""
    query: Document = {} if cursor is None else {"_id": {"$lt": cursor}}
    rows = await mongo[READS].find(query).sort("_id", -1).limit(limit + 1).to_list(None)
    return rows[:limit], rows[limit - 1]["_id"] if len(rows) > limit else None


async def note_made_anew(tx: Tx, partitions: Sequence[Partition], at: datetime) -> None:
    """Note that these partitions were found to have been made anew."""
    for topic, number in partitions:
        await tx[MADE_ANEW].update_one(
            {"_id": f"{topic}|{number}"},
            {"$set": {"topic": topic, "partition": number}, "$max": {"at": at}},
            upsert=True,
            session=tx.session,
        )


async def made_anew_since(mongo: Mongo, moment: datetime) -> bool:
    """Whether any partition was found to have been made anew after the moment."""
    return await mongo[MADE_ANEW].find_one({"at": {"$gt": moment}}) is not None
