"""Reads the notes: sums by upstream base, service, code and month, each a query of the store's own sums.

A *span* is the first and the last day, either None: open at that end.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from services.reporting.generations import Generation
from services.reporting.quality.counts import OUTCOMES, Affairs, LastSeen, Rows
from services.reporting.quality.notes import DISPUTES, TAKEN_LISTS, TOLD_DEAD_LETTERS
from shared import dead_letters
from shared.mongo import Document, Mongo

Span = tuple[date | None, date | None]

UNREADABLE: Final = "UNREADABLE"
"""The upstream base of rows that name none that is known."""

_EVER: Final[Span] = (None, None)


async def rows(mongo: Mongo, of: Generation, span: Span) -> dict[str, Rows]:
    """What became of the rows of each upstream base that were read in those days."""
    told = [
        [{"k": f"outcomes.{name}", "v": f"$counts.{name}"} for name in OUTCOMES],
        *(_prefixed(kind) for kind in ("rejected", "warnings")),
    ]
    pipeline: list[Document] = [
        {"$match": _days("on", span)},
        {"$unwind": "$counts"},
        {"$project": {"source": "$counts.source", "month": _month("$on"), "told": {"$concatArrays": told}}},
        {"$unwind": "$told"},
        {"$match": {"told.v": {"$gt": 0}}},
        {"$group": {"_id": {"s": "$source", "m": "$month", "k": "$told.k"}, "n": {"$sum": "$told.v"}}},
    ]
    found: dict[str, Rows] = {}
    async for row in mongo.aggregate(of.collection(TAKEN_LISTS), pipeline):
        kind, _, code = row["_id"]["k"].partition(".")
        counts: dict[str, list[int]] = getattr(found.setdefault(row["_id"].get("s") or UNREADABLE, Rows()), kind)
        counts.setdefault(code, []).append(row["n"])
    return found


async def last_seen(mongo: Mongo, of: Generation) -> dict[str, LastSeen]:
    """When each upstream base was last heard of."""
    pipeline: list[Document] = [
        {"$unwind": "$counts"},
        {"$group": {"_id": "$counts.source", "on": {"$max": "$on"}, "campaign": {"$max": "$counts.campaign"}}},
    ]
    return {
        row["_id"] or UNREADABLE: LastSeen(date.fromisoformat(row["on"]), row["campaign"])
        async for row in mongo.aggregate(of.collection(TAKEN_LISTS), pipeline)
    }


async def disputes(mongo: Mongo, of: Generation, span: Span) -> Affairs:
    """The disputes that were opened in those days."""
    found = await _affairs(mongo, of.collection(DISPUTES), "opened_on", span, [])
    return found.get((), Affairs())


async def told_dead_letters(mongo: Mongo, of: Generation, span: Span) -> dict[tuple[str, ...], Affairs]:
    """(service, code) -> the dead letters of the other services that were kept in those days."""
    return await _affairs(mongo, of.collection(TOLD_DEAD_LETTERS), "kept_on", span, ["service", "code"])


async def own_dead_letters(mongo: Mongo, service: str, span: Span) -> dict[tuple[str, ...], Affairs]:
    """The same of this service's own, out of its store."""
    days: Document = {"$dateToString": {"date": "$kept_at", "format": "%Y-%m-%d"}}
    as_told: list[Document] = [
        {
            "$project": {
                "kept_on": days,
                "service": {"$literal": service},
                "code": 1,
                "settled_on": {"$cond": [{"$eq": ["$state", "replayed"]}, "yes", None]},
            }
        }
    ]
    return await _affairs(mongo, dead_letters.COLLECTION, "kept_on", span, ["service", "code"], as_told)


async def _affairs(  # noqa: PLR0917  what distinguishes the three above
    mongo: Mongo, collection: str, begun: str, span: Span, by: Sequence[str], first: Sequence[Document] = ()
) -> dict[tuple[str, ...], Affairs]:
    """Counts by those fields and by the month of `begun`; what has no such day yet is not counted."""
    key = {name: f"${name}" for name in by}
    pipeline: list[Document] = [
        *first,
        {"$match": {begun: {"$type": "string"}} if span == _EVER else _days(begun, span)},
        {
            "$group": {
                "_id": {**key, "month": _month(f"${begun}"), "settled": {"$gt": ["$settled_on", None]}},
                "n": {"$sum": 1},
                "oldest": {"$min": f"${begun}"},
            }
        },
    ]
    found: dict[tuple[str, ...], Affairs] = {}
    async for row in mongo.aggregate(collection, pipeline):
        affairs = found.setdefault(tuple(row["_id"][name] for name in by), Affairs())
        if row["_id"]["settled"]:
            affairs.settled.append(row["n"])
        else:
            affairs.open.append(row["n"])
            oldest = date.fromisoformat(row["oldest"])
            affairs.oldest_open = min(affairs.oldest_open or oldest, oldest)
    return found


def _prefixed(kind: str) -> Document:
    """The pairs of code and number of a document's counts by code, the code with its kind before it."""
    pairs: Document = {"$objectToArray": f"$counts.{kind}"}
    return {"$map": {"input": pairs, "in": {"k": {"$concat": [f"{kind}.", "$$this.k"]}, "v": "$$this.v"}}}


def _days(name: str, span: Span) -> Document:
    bounds = {op: day.isoformat() for op, day in zip(("$gte", "$lte"), span, strict=True) if day is not None}
    return {name: bounds} if bounds else {}


def _month(day: Any) -> Document:
    return {"$substrBytes": [day, 0, 7]}
