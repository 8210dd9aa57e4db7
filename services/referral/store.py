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
from dataclasses import fields
from datetime import date
from typing import Any

from services.referral.domain import Attempt, Owner, Platform, Sighting, Youth
from services.referral.eligibility import Row
from shared.mongo import Document, Index, InsertOne, Mongo, ReplaceOne, UpdateOne, by_kind
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

_DAYS = ("birth_date", "left_on", "assigned_on", "detected_on", "interviewed_on")
_PLAIN = tuple(
    item.name
    for item in fields(Youth)
    if item.name
    not in {*_DAYS, "youth_id", "owner", "sightings", "attempts", "dismissal", "open_contracts", "ended_contracts"}
)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def to_document(youth: Youth) -> Document:
    """A youth as stored; `campaigns` and `state` are there to be queried."""
    return {
        "_id": youth.youth_id,
        **{name: getattr(youth, name) for name in _PLAIN},
        **{name: _iso(getattr(youth, name)) for name in _DAYS},
        "owner": {
            "platform_id": youth.owner.platform_id,
            "network_id": youth.owner.network_id,
            "departement": youth.owner.departement,
            "academie": youth.owner.academie,
        },
        "sightings": [
            {
                "campaign": seen.campaign,
                "source": seen.source,
                "source_row": seen.source_row,
                "on": seen.on.isoformat(),
                "phone": seen.phone,
                "email": seen.email,
            }
            for seen in youth.sightings
        ],
        "attempts": [{"on": a.on.isoformat(), "channel": a.channel, "outcome": a.outcome} for a in youth.attempts],
        "dismissal": None if youth.dismissal is None else [youth.dismissal[0].isoformat(), youth.dismissal[1]],
        "open_contracts": sorted(youth.open_contracts),
        "ended_contracts": sorted(youth.ended_contracts),
        "campaigns": list(youth.campaigns),
        "state": youth.stored_state,
    }


def from_document(row: Mapping[str, Any]) -> Youth:
    """The youth that a document holds."""
    dismissal = row["dismissal"]
    return Youth(
        youth_id=row["_id"],
        **{name: row[name] for name in _PLAIN},
        **{name: _day(row[name]) for name in _DAYS},  # type: ignore[arg-type]  # the needed ones are never null
        owner=Owner(**row["owner"]),
        sightings=tuple(Sighting(**{**seen, "on": date.fromisoformat(seen["on"])}) for seen in row["sightings"]),
        attempts=tuple(Attempt(**{**a, "on": date.fromisoformat(a["on"])}) for a in row["attempts"]),
        dismissal=None if dismissal is None else (date.fromisoformat(dismissal[0]), dismissal[1]),
        open_contracts=frozenset(row["open_contracts"]),
        ended_contracts=frozenset(row["ended_contracts"]),
    )


_ROW_DAYS = ("on", "birth_date", "left_on")


def row_to_document(row: Row) -> Document:
    """A row in dispute, to be taken in once it is settled."""
    return {
        item.name: _iso(getattr(row, item.name)) if item.name in _ROW_DAYS else getattr(row, item.name)
        for item in fields(Row)
    }


def row_from_document(document: Mapping[str, Any]) -> Row:
    """The row that a dispute holds."""
    values: dict[str, Any] = {name: _day(value) if name in _ROW_DAYS else value for name, value in document.items()}
    values["warnings"] = tuple(document["warnings"])
    return Row(**values)


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
    writes: list[Any] = [InsertOne(to_document(youth)) for youth in new]
    writes += [ReplaceOne({"_id": youth.youth_id}, to_document(youth)) for youth in changed]
    if writes:
        await tx["youths"].bulk_write(by_kind(writes), session=tx.session)


async def find_claims(tx: Tx, keys: Iterable[str]) -> dict[str, list[str]]:
    """Claim -> the youths that have it."""
    rows = tx["claims"].find({"_id": {"$in": list(keys)}}, session=tx.session)
    return {row["_id"]: row["youths"] async for row in rows}


async def save_claims(tx: Tx, fresh: Mapping[str, list[str]], grown: Mapping[str, list[str]]) -> None:
    """Store new claims, and those that more youths now have."""
    writes: list[Any] = [InsertOne({"_id": key, "youths": youths}) for key, youths in fresh.items()]
    writes += [UpdateOne({"_id": key}, {"$set": {"youths": youths}}) for key, youths in grown.items()]
    if writes:
        await tx["claims"].bulk_write(by_kind(writes), session=tx.session)


async def known_rows(tx: Tx, keys: Iterable[str]) -> set[str]:
    """Which of the rows were taken in before."""
    rows = tx["rows"].find({"_id": {"$in": list(keys)}}, {"_id": 1}, session=tx.session)
    return {row["_id"] async for row in rows}


async def save_rows(tx: Tx, about: Mapping[str, str]) -> None:
    """Mark rows as taken in: row key -> youth or dispute."""
    if about:
        documents = [{"_id": key, "about": target, "at": tx.now} for key, target in about.items()]
        await tx["rows"].insert_many(documents, ordered=False, session=tx.session)


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
