"""Dead letters: records that could not be read or applied, kept by the service that could not, and replayable."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.envelope import Record
from shared.mongo import Document, Index, Mongo, Session

COLLECTION = "dead_letters"
INDEXES = (Index(COLLECTION, "waiting", (("state", 1), ("_id", 1))),)


@dataclass(frozen=True, slots=True)
class Refused:
    """A record and why it is set aside. `code` is stable; `message` names what is wrong and what mends it."""

    record: Record
    code: str
    message: str


def identifier(record: Record) -> str:
    """The same record always gets the same identifier, so that seeing it again adds nothing."""
    digest = hashlib.sha256(record.value or b"").hexdigest()[:16]
    return f"{record.topic}.{record.partition}.{record.offset}.{digest}"


async def keep(mongo: Mongo, refused: Sequence[Refused], now: datetime, session: Session | None = None) -> None:
    """Store the records with their reasons; one already kept stays as it is."""
    for item in refused:
        record = item.record
        await mongo[COLLECTION].update_one(
            {"_id": identifier(record)},
            {
                "$setOnInsert": {
                    "topic": record.topic,
                    "partition": record.partition,
                    "offset": record.offset,
                    "key": record.key,
                    "value": record.value,
                    "headers": [[name, content] for name, content in record.headers],
                    "code": item.code,
                    "message": item.message,
                    "state": "waiting",
                    "kept_at": now,
                    "replays": 0,
                }
            },
            upsert=True,
            session=session,
        )


async def page(
    mongo: Mongo, *, state: str | None, code: str | None, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """Dead letters in the order of their identifiers, and the cursor of the next page."""
    query: Document = {}
    if state:
        query["state"] = state
    if code:
        query["code"] = code
    if cursor:
        query["_id"] = {"$gt": cursor}
    rows = await mongo[COLLECTION].find(query).sort("_id", 1).limit(limit + 1).to_list(None)
    return rows[:limit], rows[limit - 1]["_id"] if len(rows) > limit else None


async def find(mongo: Mongo, dead_letter_id: str) -> Document | None:
    """One dead letter."""
    return await mongo[COLLECTION].find_one({"_id": dead_letter_id})


async def mark(mongo: Mongo, dead_letter_id: str, *, replayed: bool, reason: tuple[str, str] | None = None) -> None:
    """Write down how a replay went."""
    change: dict[str, Any] = {"$inc": {"replays": 1}, "$set": {"state": "replayed" if replayed else "waiting"}}
    if reason:
        change["$set"] |= {"code": reason[0], "message": reason[1]}
    await mongo[COLLECTION].update_one({"_id": dead_letter_id}, change)


def record_of(row: Document) -> Record:
    """The record as it lay in the log."""
    return Record(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        key=None if row["key"] is None else bytes(row["key"]),
        value=None if row["value"] is None else bytes(row["value"]),
        headers=[(name, None if content is None else bytes(content)) for name, content in row["headers"]],
    )
