"""The versions of bilans as documents, and what is sealed of them.

bilans   one document a version, `_id` year|period|académie|version. `sealed` is the canonical JSON that `hash` is over,
as text, so that nothing on the way to the store and back can change it; `public` and `public_hash` are the
same for those who may not see small counts; `explanation` says which events a correction is due to
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from services.reporting import generations
from services.reporting.bilans.domain import Entry, Key, Text, Version, Visa
from shared.mongo import Document, Index, Mongo, Session
from shared.unit_of_work import Tx

BILANS: Final = "bilans"
COLLECTIONS: Final = (BILANS,)
INDEXES: Final = (Index(BILANS, "by_academie", (("academie", 1), ("_id", 1))),)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is frozen, for one kind of reader: canonical JSON and the hash over it."""

    content: str
    hash: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A version as it is kept. `staff`, `public` and `frozen` (by, at) are there once it is frozen.

    `correction`: of which version, by whom, why, when; None of a first version.
    """

    version: Version
    staff: Sealed | None = None
    public: Sealed | None = None
    frozen: Mapping[str, Any] | None = None
    correction: Mapping[str, Any] | None = None
    explanation: Mapping[str, Any] | None = None
    public_changes: list[dict[str, Any]] | None = None


def identifier(key: Key, number: int) -> str:
    """The `_id` of a version; in order of year, period, académie, version."""
    return f"{key.year}|{key.period}|{key.academie}|{number:04}"


async def versions(mongo: Mongo, key: Key, session: Session | None = None) -> list[Kept]:
    """All versions of a bilan that anything was done to, the first first."""
    query = {"year": key.year, "period": key.period, "academie": key.academie}
    return [_kept(row) async for row in mongo[BILANS].find(query, session=session).sort("_id", 1)]


async def put(tx: Tx, kept: Kept) -> None:
    """Write a version: a new one, or one that is there already and not frozen."""
    row = _document(kept)
    await tx[BILANS].replace_one({"_id": row["_id"]}, row, upsert=True, session=tx.session)


async def page(mongo: Mongo, query: Document, cursor: str | None, limit: int) -> tuple[list[Kept], str | None]:
    """Versions in the order of `_id`, and the cursor of the next page."""
    after = {"_id": {"$gt": cursor}} if cursor else {}
    without = {"sealed": 0, "public": 0, "explanation": 0, "public_changes": 0}
    rows = await mongo[BILANS].find({**query, **after}, without).sort("_id", 1).limit(limit + 1).to_list(None)
    return [_kept(row) for row in rows[:limit]], rows[limit - 1]["_id"] if len(rows) > limit else None


async def networks(mongo: Mongo, academie: str) -> dict[str, str]:
    """The names of the networks that are registered with an académie, by identifier."""
    collection = (await generations.live(mongo)).collection("networks")
    rows: AsyncIterator[Document] = mongo[collection].find({"academie": academie}, {"name": 1})
    return {row["_id"]: row["name"] async for row in rows}


def _document(kept: Kept) -> Document:
    version = kept.version
    return {
        "_id": identifier(version.key, version.number),
        **asdict(version.key),
        "version": version.number,
        "state": version.state,
        "texts": [{"unit": unit, **asdict(text)} for unit, text in sorted(version.texts.items())],
        "visas": [asdict(visa) for visa in version.visas],
        "journal": [asdict(entry) for entry in version.journal],
        "sealed": kept.staff and kept.staff.content,
        "hash": kept.staff and kept.staff.hash,
        "public": kept.public and kept.public.content,
        "public_hash": kept.public and kept.public.hash,
        "frozen": kept.frozen,
        "correction": kept.correction,
        "explanation": kept.explanation,
        "public_changes": kept.public_changes,
    }


def _kept(row: Document) -> Kept:
    version = Version(
        Key(row["year"], row["period"], row["academie"]),
        row["version"],
        row["state"],
        {text["unit"]: _text(text) for text in row["texts"]},
        tuple(Visa(**visa) for visa in row["visas"]),
        tuple(Entry(**entry) for entry in row["journal"]),
    )
    return Kept(
        version,
        _sealed(row.get("sealed"), row.get("hash")),
        _sealed(row.get("public"), row.get("public_hash")),
        row.get("frozen"),
        row.get("correction"),
        row.get("explanation"),
        row.get("public_changes"),
    )


def _text(row: Mapping[str, Any]) -> Text:
    at: datetime = row["at"]
    return Text(row["worked"], row["needs"], row["obstacles"], row["by"], at)


def _sealed(content: str | None, hash_: str | None) -> Sealed | None:
    return None if hash_ is None else Sealed(content or "", hash_)
