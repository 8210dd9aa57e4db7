"""Tracking's collections, their indexes and their queries.

- `youths`: `_id` youth_id; `birth_month` once detected; `dismissal` (the last one); `offers`, which every offer raises:
  an offer and a dismissal that pass each other in two replicas conflict, and the one that tries again sees the other.
- `placements`: `_id` placement_id, see `documents.of_placement`.
- `contracts`: `_id` contract_id, see `documents.of_contract`. A unique index lets a youth have one with `open`.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from services.tracking import documents
from services.tracking.domain import Contract, Dismissal, EarlyExpiry, Placement
from shared.mongo import Document, Index, InsertOne, Mongo, ReplaceOne, UpdateOne, by_kind
from shared.problems import Problem
from shared.unit_of_work import Tx

Equal = Mapping[str, str | None]
"""Filters of a list: fields and the values they must have; None filters nothing."""

_OFFERED = {"offered_on": {"$exists": True}}

COLLECTIONS = ("youths", "placements", "contracts")
INDEXES = (
    Index("placements", "of_youth", (("youth_id", 1), ("_id", 1))),
    Index("placements", "by_state", (("state", 1), ("_id", 1))),
    Index("placements", "by_network", (("network_id", 1), ("_id", 1))),
    Index(
        "contracts",
        "one_open_per_youth",
        (("youth_id", 1),),
        {"unique": True, "partialFilterExpression": {"open": True}},
    ),
    Index("contracts", "one_per_placement", (("placement_id", 1),), {"unique": True}),
    Index("contracts", "of_youth", (("youth_id", 1), ("_id", 1))),
    Index("contracts", "by_state", (("state", 1), ("_id", 1))),
    Index("contracts", "by_network", (("network_id", 1), ("_id", 1))),
    Index("contracts", "by_review", (("state", 1), ("next_review_on", 1), ("_id", 1))),
)


async def learn_birth_months(tx: Tx, months: Mapping[str, str]) -> None:
    """Remember the month of birth of each youth; one that is known stays (a youth has one birth date)."""
    known = await _youths(tx, months)
    missing = [youth_id for youth_id in months if "birth_month" not in known.get(youth_id, {})]
    writes = [
        UpdateOne({"_id": youth_id}, {"$set": {"birth_month": months[youth_id]}})
        if youth_id in known
        else InsertOne({"_id": youth_id, "birth_month": months[youth_id], "offers": 0})
        for youth_id in missing
    ]
    if writes:
        await tx["youths"].bulk_write(by_kind(writes), session=tx.session)


async def learn_dismissals(tx: Tx, dismissals: Mapping[str, Dismissal]) -> None:
    """Remember the last dismissal of each youth."""
    known = await _youths(tx, dismissals)
    writes: list[InsertOne[Document] | UpdateOne] = []
    for youth_id, dismissal in dismissals.items():
        before = known.get(youth_id)
        if before is None:
            writes.append(InsertOne({"_id": youth_id, "dismissal": documents.of_dismissal(dismissal), "offers": 0}))
        elif "dismissal" not in before or documents.to_dismissal(before["dismissal"]) < dismissal:
            writes.append(UpdateOne({"_id": youth_id}, {"$set": {"dismissal": documents.of_dismissal(dismissal)}}))
    if writes:
        await tx["youths"].bulk_write(by_kind(writes), session=tx.session)


async def dismissals_against_offers(tx: Tx, youth_ids: Iterable[str]) -> dict[str, Dismissal]:
    """The last dismissal of each youth who gets an offer, where there is one; later ones will see the offer."""
    wanted = set(youth_ids)
    known = await _youths(tx, wanted)
    await tx["youths"].bulk_write(
        by_kind(
            UpdateOne({"_id": youth_id}, {"$inc": {"offers": 1}})
            if youth_id in known
            else InsertOne({"_id": youth_id, "offers": 1})
            for youth_id in sorted(wanted)
        ),
        session=tx.session,
    )
    dismissed = {youth_id: youth["dismissal"] for youth_id, youth in known.items() if "dismissal" in youth}
    return {youth_id: documents.to_dismissal(dismissal) for youth_id, dismissal in dismissed.items()}


async def birth_month(tx: Tx, youth_id: str) -> str | None:
    """`YYYY-MM`, or None while the youth's detection has not been heard of."""
    youth = await tx["youths"].find_one({"_id": youth_id}, session=tx.session)
    return youth.get("birth_month") if youth else None


async def _youths(tx: Tx, youth_ids: Iterable[str]) -> dict[str, Document]:
    found = tx["youths"].find({"_id": {"$in": list(youth_ids)}}, session=tx.session)
    return {youth["_id"]: youth async for youth in found}


async def placements(tx: Tx, placement_ids: Iterable[str]) -> dict[str, Placement | EarlyExpiry]:
    """What has been heard of these placements, by identifier."""
    found = tx["placements"].find({"_id": {"$in": list(placement_ids)}}, session=tx.session)
    return {row["_id"]: documents.to_known(row) async for row in found}


async def unsettled_placements(tx: Tx, youth_ids: Iterable[str]) -> list[Placement]:
    """The youths' placements that are offered, or accepted without a contract."""
    found = tx["placements"].find(
        {"youth_id": {"$in": list(youth_ids)}, "state": {"$in": ["offered", "accepted"]}}, session=tx.session
    )
    return [documents.to_placement(row) async for row in found.sort("_id", 1)]


async def save_placements(tx: Tx, changed: Iterable[Placement | EarlyExpiry]) -> None:
    """Write the placements whole; a change that another transaction made meanwhile is a conflict."""
    writes = [
        ReplaceOne({"_id": placement.placement_id}, documents.of_placement(placement), upsert=True)
        for placement in changed
    ]
    if writes:
        await tx["placements"].bulk_write(by_kind(writes), session=tx.session)


async def contract(tx: Tx, contract_id: str) -> Contract | None:
    """The contract, or None where there is none."""
    row = await tx["contracts"].find_one({"_id": contract_id}, session=tx.session)
    return documents.to_contract(row) if row else None


async def open_contract(tx: Tx, youth_id: str) -> Contract | None:
    """The youth's contract that has not ended: there is at most one."""
    row = await tx["contracts"].find_one({"youth_id": youth_id, "open": True}, session=tx.session)
    return documents.to_contract(row) if row else None


async def save_contract(tx: Tx, changed: Contract) -> None:
    """Write the contract whole; a change that another transaction made meanwhile is a conflict."""
    await tx["contracts"].replace_one(
        {"_id": changed.contract_id}, documents.of_contract(changed), upsert=True, session=tx.session
    )


class Reader:
    """What the lists and single reads need; outside transactions, of what a majority has."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo

    async def placement(self, placement_id: str) -> Placement | None:
        """The placement; None also while only its expiry has been heard of."""
        row = await self._mongo["placements"].find_one({"_id": placement_id, **_OFFERED})
        return documents.to_placement(row) if row else None

    async def contract(self, contract_id: str) -> Contract | None:
        row = await self._mongo["contracts"].find_one({"_id": contract_id})
        return documents.to_contract(row) if row else None

    async def placements(self, equal: Equal, cursor: str | None, limit: int) -> tuple[list[Placement], str | None]:
        """A page of placements in the order of their identifiers, and the cursor of the next."""
        query = {**_OFFERED, **_given(equal), **_after(cursor)}
        rows = await self._mongo["placements"].find(query).sort("_id", 1).limit(limit + 1).to_list(None)
        following = rows[limit - 1]["_id"] if len(rows) > limit else None
        return [documents.to_placement(row) for row in rows[:limit]], following

    async def contracts(self, equal: Equal, cursor: str | None, limit: int) -> tuple[list[Contract], str | None]:
        """A page of contracts in the order of their identifiers, and the cursor of the next."""
        query = {**_given(equal), **_after(cursor)}
        rows = await self._mongo["contracts"].find(query).sort("_id", 1).limit(limit + 1).to_list(None)
        following = rows[limit - 1]["_id"] if len(rows) > limit else None
        return [documents.to_contract(row) for row in rows[:limit]], following

    async def overdue(
        self, day: date, equal: Equal, cursor: str | None, limit: int
    ) -> tuple[list[Contract], str | None]:
        """A page of the running contracts whose review was due before `day`, the longest overdue first."""
        given = _given(equal)
        if given.setdefault("state", "running") != "running":
            return [], None
        query: Document = {**given, "next_review_on": {"$lt": day.isoformat()}}
        if cursor is not None:
            due, _, contract_id = cursor.partition(" ")
            if not contract_id:
                raise Problem(422, "bad_cursor", "cursor: give `next` of the page before, or leave it out")
            query["$or"] = [{"next_review_on": {"$gt": due}}, {"next_review_on": due, "_id": {"$gt": contract_id}}]
        found = self._mongo["contracts"].find(query).sort([("next_review_on", 1), ("_id", 1)]).limit(limit + 1)
        rows = await found.to_list(None)
        last = rows[limit - 1] if len(rows) > limit else None
        following = f"{last['next_review_on']} {last['_id']}" if last else None
        return [documents.to_contract(row) for row in rows[:limit]], following


def _given(equal: Equal) -> Document:
    return {name: value for name, value in equal.items() if value is not None}


def _after(cursor: str | None) -> Document:
    return {} if cursor is None else {"_id": {"$gt": cursor}}
