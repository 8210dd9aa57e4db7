"""What a batch writes: facts, the changes of the figures, how far the topics are applied, names of networks.

    facts       one document a youth, `_id` is the youth_id (shard key)
    changes     one document or a few a batch: what it adds to the figures of which leaf and day; only ever inserted,
                so that two replicas never write the same figure. Folded into `cells` later (`cells.py`).
    positions   one document a partition: the offset of the next record to apply, and the time of the last event
    networks, platforms   the latest registration of each, for labels

Each is of one generation of the projection (`generations.py`), which every function here is told.
Days are ISO texts; times of facts are ISO texts in UTC with microseconds, as their order decides.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from services.reporting.freshness import Partition, Position
from services.reporting.generations import CHANGES, FACTS, FIRST, POSITIONS, PROJECTION, SLOTS, Generation
from services.reporting.indicators import Step
from services.reporting.projection import Assignment, Change, Dismissal, Fact, Leaf
from shared.clock import event_id
from shared.events import Event
from shared.mongo import Document, InsertOne, Mongo, ReplaceOne, Session, UpdateOne, by_kind
from shared.unit_of_work import Tx

COLLECTIONS: Final = (*PROJECTION, SLOTS, "builds")
INDEXES: Final = tuple(FIRST.indexes())

_MOST_FIGURES = 50_000  # of one document of `changes`, which MongoDB limits to 16 MB


async def load(tx: Tx, of: Generation, youth_ids: Iterable[str]) -> dict[str, Fact]:
    """The facts of those youths that are known."""
    rows = await tx[of.collection(FACTS)].find({"_id": {"$in": list(youth_ids)}}, session=tx.session).to_list(None)
    return {row["_id"]: fact_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Known:
    """How much a generation knows: of how many youths, and how many details (days, owners, dismissals) of them.

    Neither falls when a fact grows.
    """

    youths: int = 0
    details: int = 0


async def known(mongo: Mongo, of: Generation) -> Known:
    """How much is known."""
    optional = [{"$cond": [{"$ifNull": [f"${name}", False]}, 1, 0]} for name in ("dismissal", "assignment")]
    details = {"$add": [{"$size": {"$objectToArray": "$first"}}, *optional]}
    counted = mongo.aggregate(
        of.collection(FACTS), [{"$group": {"_id": None, "youths": {"$sum": 1}, "details": {"$sum": details}}}]
    )
    return next(iter([Known(row["youths"], row["details"]) async for row in counted]), Known())


async def save(tx: Tx, of: Generation, known: Mapping[str, Fact], grown: Mapping[str, Fact]) -> None:
    """Write the grown facts whole; `known` holds those that were there before."""
    if grown:
        await tx[of.collection(FACTS)].bulk_write(
            by_kind(
                ReplaceOne({"_id": youth_id}, _document(youth_id, fact))
                if youth_id in known
                else InsertOne(_document(youth_id, fact))
                for youth_id, fact in grown.items()
            ),
            session=tx.session,
        )


async def add_changes(tx: Tx, of: Generation, changes: Iterable[Change]) -> None:
    """Write down what the batch adds to the figures; what cancels out is left away."""
    sums: dict[tuple[Leaf | None, date, str], int] = defaultdict(int)
    for leaf, day, measure, count in changes:
        sums[leaf, day, measure] += count
    days: dict[Leaf | None, dict[str, dict[str, int]]] = defaultdict(dict)
    documents: list[Document] = []
    figures = 0
    for (leaf, day, measure), count in sums.items():
        if count:
            days[leaf].setdefault(day.isoformat(), {})[measure] = count
            figures += 1
            if figures == _MOST_FIGURES:
                documents.append(_changes(days))
                days.clear()
                figures = 0
    if days:
        documents.append(_changes(days))
    if documents:
        await tx[of.collection(CHANGES)].insert_many(documents, session=tx.session)


def _changes(days: Mapping[Leaf | None, Mapping[str, Mapping[str, int]]]) -> Document:
    leaves = [{"leaf": None if leaf is None else list(leaf), "days": dict(of_leaf)} for leaf, of_leaf in days.items()]
    return {"_id": event_id(), "leaves": leaves}


def leaf_of(row: Document) -> Leaf | None:
    """The leaf of one entry of a document of `changes`."""
    return None if row["leaf"] is None else Leaf(*row["leaf"])


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


async def begin_again(mongo: Mongo, of: Generation, lost: Mapping[Partition, Position]) -> None:
    """Count these partitions from 0 again, unless they have moved on meanwhile."""
    for (topic, partition), position in lost.items():
        await mongo[of.collection(POSITIONS)].update_one(
            {"_id": f"{topic}|{partition}", "next": position.next_offset}, {"$set": {"next": 0}}
        )


async def register(tx: Tx, of: Generation, name: str, registrations: Mapping[str, Event]) -> None:
    """Keep the registrations that are newer than what is known, by `version`."""
    if not registrations:
        return
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


async def names(mongo: Mongo, of: Generation, name: str, session: Session | None = None) -> dict[str, str]:
    """The names of the networks, or of the platforms, by code."""
    rows = mongo[of.collection(name)].find({}, {"name": 1}, session=session)
    return {row["_id"]: row["name"] async for row in rows}


def _document(youth_id: str, fact: Fact) -> Document:
    document: Document = {"_id": youth_id, "first": {step: day.isoformat() for step, day in fact.first.items()}}
    if fact.last_detected is not None:
        document["last_detected"] = fact.last_detected.isoformat()
    if fact.dismissal is not None:
        document["dismissal"] = _plain(fact.dismissal)
    if fact.assignment is not None:
        document["assignment"] = _plain(fact.assignment)
    return document


def _plain(stamped: Dismissal | Assignment) -> Document:
    plain: Document = dict(zip(stamped._fields, stamped, strict=True))
    plain["on"], plain["time"] = stamped.on.isoformat(), stamped.time.astimezone(UTC).isoformat(timespec="microseconds")
    return plain


def fact_of(row: Document) -> Fact:
    """The fact that a document holds."""
    first: dict[Step, date] = {step: date.fromisoformat(day) for step, day in row["first"].items()}
    last_detected = row.get("last_detected")
    return Fact(
        first,
        None if last_detected is None else date.fromisoformat(last_detected),
        Dismissal(**_stamped(row["dismissal"])) if "dismissal" in row else None,
        Assignment(**_stamped(row["assignment"])) if "assignment" in row else None,
    )


def _stamped(document: Document) -> Document:
    return document | {
        "on": date.fromisoformat(document["on"]),
        "time": datetime.fromisoformat(document["time"]),
    }
