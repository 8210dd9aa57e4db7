"""Referral's collections: the only place where identity is kept.

youths      one document a youth
claims      `i:<INE>` or `n:<names, birth date>` -> youths: written with every new youth, so that two transactions
            that name the same person at once collide and one of them looks again
rows        every row taken in (source, campaign, source_row) -> youth or dispute
disputes    rows that a person must settle
platforms   the directory, as heard from the bus
imports, import_errors, rejections    what became of lists and events
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from msgspec import convert, to_builtins

from services.referral.domain import Platform, Youth
from services.referral.eligibility import Row
from shared.mongo import Document, DuplicateKeyError, Index, Mongo, ReplaceOne, UpdateOne
from shared.unit_of_work import Tx

COLLECTIONS = (
    "youths",
    "claims",
    "rows",
    "disputes",
    "platforms",
    "networks",
    "imports",
    "import_errors",
    "rejections",
    "rejection_counts",
    "state",
)
INDEXES = (
    Index("youths", "by_platform", (("owner.platform_id", 1), ("_id", 1))),
    Index("youths", "by_departement", (("owner.departement", 1), ("_id", 1))),
    Index("youths", "by_academie", (("owner.academie", 1), ("_id", 1))),
    Index("youths", "by_campaign", (("campaigns", 1), ("_id", 1))),
    Index("disputes", "by_state", (("state", 1), ("_id", 1))),
    Index("youths", "by_ine", (("ine", 1), ("_id", 1)), {"partialFilterExpression": {"ine": {"$type": "string"}}}),
    Index(
        "imports", "by_key", (("key", 1),), {"unique": True, "partialFilterExpression": {"key": {"$type": "string"}}}
    ),
    Index("import_errors", "by_import", (("import_id", 1), ("line", 1), ("_id", 1))),
    Index("rejections", "by_code", (("code", 1), ("_id", 1))),
)


def to_document(youth: Youth) -> Document:
    """A youth as stored, days as ISO texts; `campaigns` and `state` are there to be queried."""
    document: Document = to_builtins(youth)
    document["open_contracts"].sort()
    document["ended_contracts"].sort()
    document["campaigns"] = list(youth.campaigns)
    document["state"] = youth.stored_state
    return document


def from_document(row: Mapping[str, Any]) -> Youth:
    """The youth that a document holds."""
    return convert(row, Youth)


def row_to_document(row: Row) -> Document:
    """A row in dispute, to be taken in once it is settled."""
    document: Document = to_builtins(row)
    return document


def row_from_document(document: Mapping[str, Any]) -> Row:
    """The row that a dispute holds."""
    return convert(document, Row)


async def find_youth(mongo: Mongo, youth_id: str, tx: Tx | None = None) -> Youth | None:
    """One youth."""
    row = await mongo["youths"].find_one({"_id": youth_id}, session=tx.session if tx else None)
    return None if row is None else from_document(row)


async def find_youths(tx: Tx, youth_ids: Iterable[str]) -> dict[str, Youth]:
    """Youths by identifier."""
    rows = tx["youths"].find({"_id": {"$in": list(youth_ids)}}, session=tx.session)
    return {row["_id"]: from_document(row) async for row in rows}


async def replace_youth(tx: Tx, youth: Youth) -> None:
    """Store a changed youth; another change made meanwhile makes this transaction look again."""
    await tx["youths"].replace_one({"_id": youth.youth_id}, to_document(youth), session=tx.session)


async def save_youths(tx: Tx, new: Sequence[Youth], changed: Sequence[Youth]) -> None:
    """Store many."""
    await _insert(tx, "youths", [to_document(youth) for youth in new])
    if changed:
        writes = [ReplaceOne({"_id": youth.youth_id}, to_document(youth)) for youth in changed]
        await tx["youths"].bulk_write(writes, session=tx.session)


async def find_claims(tx: Tx, keys: Iterable[str]) -> dict[str, list[str]]:
    """Claim -> the youths that have it."""
    rows = tx["claims"].find({"_id": {"$in": list(keys)}}, session=tx.session)
    return {row["_id"]: row["youths"] async for row in rows}


async def save_claims(tx: Tx, fresh: Mapping[str, list[str]], grown: Mapping[str, list[str]]) -> None:
    """Store new claims, and those that more youths now have."""
    await _insert(tx, "claims", [{"_id": key, "youths": youths} for key, youths in fresh.items()])
    if grown:
        writes = [UpdateOne({"_id": key}, {"$set": {"youths": youths}}) for key, youths in grown.items()]
        await tx["claims"].bulk_write(writes, session=tx.session)


async def known_rows(tx: Tx, keys: Iterable[str]) -> set[str]:
    """Which of the rows were taken in before."""
    rows = tx["rows"].find({"_id": {"$in": list(keys)}}, {"_id": 1}, session=tx.session)
    return {row["_id"] async for row in rows}


async def save_rows(tx: Tx, about: Mapping[str, str]) -> None:
    """Mark rows as taken in: row key -> youth or dispute."""
    await _insert(tx, "rows", [{"_id": key, "about": target, "at": tx.now} for key, target in about.items()])


async def _insert(tx: Tx, collection: str, documents: Sequence[Document]) -> None:
    if not await tx.mongo.insert(collection, documents, tx.session):
        # Another transaction was quicker: this one looks again, and finds what it did.
        raise DuplicateKeyError(f"{collection} has one of these already")


async def platforms(mongo: Mongo, tx: Tx | None = None) -> AsyncIterator[Platform]:
    """The whole directory."""
    async for row in mongo["platforms"].find({}, session=tx.session if tx else None):
        yield Platform(
            platform_id=row["_id"],
            departement=row["departement"],
            academie=row["academie"],
            network_id=row["network_id"],
            communes=frozenset(row["communes"]),
            registered_at=row["registered_at"],
        )


async def directory_version(tx: Tx) -> int:
    """Grows whenever a platform is registered."""
    row = await tx["state"].find_one({"_id": "directory"}, session=tx.session)
    return 0 if row is None else int(row["version"])


async def latest_campaign(mongo: Mongo, tx: Tx | None = None) -> str | None:
    """The last campaign that has begun, that is, of which a row was taken in."""
    row = await mongo["state"].find_one({"_id": "campaign"}, session=tx.session if tx else None)
    return None if row is None else str(row["latest"])


async def begin_campaign(tx: Tx, campaign: str) -> None:
    """Note that a campaign has begun; an earlier one changes nothing."""
    await tx["state"].update_one({"_id": "campaign"}, {"$max": {"latest": campaign}}, upsert=True, session=tx.session)
