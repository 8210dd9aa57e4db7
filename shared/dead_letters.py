"""Dead letters: records that could not be read or applied, kept by the service that could not, and replayable.

What may heal (a handler that failed) is tried again by a schedule (`dead_letter_retries.py`); `next_try_at` says when.
That one is kept, and that one is settled, is published in the same transaction (`shared.events.dead_letters`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from shared.crash_points import pass_by
from shared.envelope import Record
from shared.events.dead_letters import KEPT, SETTLED
from shared.mongo import Document, Index, Mongo
from shared.unit_of_work import Tx, UnitOfWork

COLLECTION = "dead_letters"
INDEXES = (
    Index(COLLECTION, "waiting", (("state", 1), ("_id", 1))),
    Index(COLLECTION, "waiting_by_code", (("state", 1), ("code", 1), ("kept_at", 1))),
    Index(COLLECTION, "next_try", (("state", 1), ("next_try_at", 1))),
)
MAY_HEAL: Final = "not_applicable"
"""The code of what a handler failed at, for no reason of its own: the one that is worth another try."""

By = Literal["person", "schedule"]

_KEPT_AT_ONCE: Final = 100
_OF_DEAD_LETTERS: Final = b".dead-letter-"


@dataclass(frozen=True, slots=True)
class Refused:
    """A record and why it is set aside. `code` is stable; `message` names what is wrong and what mends it."""

    record: Record
    code: str
    message: str
    may_heal: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters; all that are given must hold. `since` and `until` bound when they were kept."""

    state: str | None = None
    code: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self, after: str | None = None) -> Document:
        """As a query of the store; `after` is a cursor."""
        query: Document = {
            name: value
            for name, value in (("state", self.state), ("code", self.code), ("topic", self.topic))
            if value is not None
        }
        kept_at = {op: moment for op, moment in (("$gte", self.since), ("$lte", self.until)) if moment is not None}
        if kept_at:
            query["kept_at"] = kept_at
        if after:
            query["_id"] = {"$gt": after}
        return query


def identifier(record: Record) -> str:
    """The same record always gets the same identifier, so that seeing it again adds nothing."""
    digest = hashlib.sha256(record.value or b"").hexdigest()[:16]
    return f"{record.topic}.{record.partition}.{record.offset}.{digest}"


async def keep(unit_of_work: UnitOfWork, refused: Sequence[Refused], *, first_retry_s: float | None = None) -> None:
    """Store the records with their reasons; one already kept stays as it is. What may heal is tried after the pause."""
    for start in range(0, len(refused), _KEPT_AT_ONCE):
        some = refused[start : start + _KEPT_AT_ONCE]
        await unit_of_work.run(partial(_keep, refused=some, first_retry_s=first_retry_s), reach=pass_by)


async def _keep(tx: Tx, *, refused: Sequence[Refused], first_retry_s: float | None) -> None:
    first_try_at = None if first_retry_s is None else tx.now + timedelta(seconds=first_retry_s)
    for item in refused:
        record, dead_letter_id = item.record, identifier(item.record)
        kept = await tx[COLLECTION].update_one(
            {"_id": dead_letter_id},
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
                    "kept_at": tx.now,
                    "replays": 0,
                    "last_try_at": None,
                    "next_try_at": first_try_at if item.may_heal else None,
                    "replayed_by": None,
                }
            },
            upsert=True,
            session=tx.session,
        )
        event = KEPT.get(tx.service)
        if event is not None and kept.upserted_id is not None and not _is_of_dead_letters(record.headers):
            tx.emit(event(on=tx.now.date(), dead_letter_id=dead_letter_id, topic=record.topic, code=item.code))


def _is_of_dead_letters(headers: Iterable[Sequence[Any]]) -> bool:
    """Whether a record tells of a dead letter: nothing is told of such, or two services could go on for ever."""
    return any(name.lower() == "ce_type" and _OF_DEAD_LETTERS in bytes(content or b"") for name, content in headers)


async def page(mongo: Mongo, wanted: Filter, *, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
    """Dead letters in the order of their identifiers, and the cursor of the next page."""
    rows = await mongo[COLLECTION].find(wanted.query(cursor)).sort("_id", 1).limit(limit + 1).to_list(None)
    return rows[:limit], rows[limit - 1]["_id"] if len(rows) > limit else None


async def find(mongo: Mongo, dead_letter_id: str) -> Document | None:
    """One dead letter."""
    return await mongo[COLLECTION].find_one({"_id": dead_letter_id})


async def count(mongo: Mongo, wanted: Filter, after: str | None = None) -> int:
    """How many there are; with `after`, behind that cursor."""
    return await mongo[COLLECTION].count_documents(wanted.query(after))


async def waiting(mongo: Mongo) -> dict[str, tuple[int, datetime]]:
    """Of each code, how many wait, and when the oldest of them was kept."""
    pipeline: list[Document] = [
        {"$match": {"state": "waiting"}},
        {"$group": {"_id": "$code", "number": {"$sum": 1}, "since": {"$min": "$kept_at"}}},
    ]
    return {row["_id"]: (row["number"], row["since"]) async for row in mongo.aggregate(COLLECTION, pipeline)}


async def mark(
    unit_of_work: UnitOfWork, dead_letter_id: str, *, reason: tuple[str, str] | None, by: By, next_try_at: Any = ...
) -> None:
    """Write down how a try went: None when the record is applied, else the code and message of why not.

    Without `next_try_at` the schedule stays as it is.
    """
    changes: Document = {}
    if reason is None:
        changes |= {"state": "replayed", "replayed_by": by, "next_try_at": None}
    else:
        changes |= {"code": reason[0], "message": reason[1]}
        if next_try_at is not ...:
            changes["next_try_at"] = next_try_at
    # One that somebody else has replayed meanwhile stays so.
    query = {"_id": dead_letter_id} if reason is None else {"_id": dead_letter_id, "state": "waiting"}
    await unit_of_work.run(partial(_mark, query=query, changes=changes, by=by), reach=pass_by)


async def _mark(tx: Tx, *, query: Document, changes: Document, by: By) -> None:
    before: Document | None = await tx[COLLECTION].find_one_and_update(
        query,
        {"$inc": {"replays": 1}, "$set": {"last_try_at": tx.now, **changes}},
        projection={"value": 0},
        session=tx.session,
    )
    event = SETTLED.get(tx.service)
    if event is None or before is None or "state" not in changes or before["state"] != "waiting":
        return
    if not _is_of_dead_letters(before["headers"]):
        told = {name: before[name] for name in ("topic", "code")}
        tx.emit(event(on=tx.now.date(), dead_letter_id=before["_id"], by=by, **told))


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
