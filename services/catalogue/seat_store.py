"""Queries about seats: the counters of sessions, and placements."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from services.catalogue.domain import OPEN, Placement
from services.catalogue.store import session_key
from shared.mongo import Document, Mongo, UpdateOne
from shared.mongo import Session as MongoSession
from shared.unit_of_work import Tx

_FREE = {"$lt": [{"$add": ["$held", "$occupied"]}, "$places"]}


class Seats:
    """The counters of the sessions that one transaction touches. Moves gather until `write`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._moves: dict[str, tuple[int, int]] = {}

    async def take(self, key: str, *, held: int, occupied: int) -> bool:
        """Take a place of the session, if one is free; the guard is in the filter of the write itself."""
        before = self._moves.pop(key, (0, 0))
        if before != (0, 0):
            await self._tx["sessions"].bulk_write([_move(key, before)], session=self._tx.session)
        done = await self._tx["sessions"].update_one(
            {"_id": key, "$expr": _FREE}, {"$inc": {"held": held, "occupied": occupied}}, session=self._tx.session
        )
        return done.modified_count == 1

    async def hold(self, places: Mapping[str, int]) -> None:
        """Hold so many places of each session, which must be free: the guard is in the filter of the write itself."""
        updates: list[tuple[Document, Document]] = []
        for key, number in sorted(places.items()):
            room = {"$lte": [{"$add": ["$held", "$occupied", number]}, "$places"]}
            updates.append(({"_id": key, "$expr": room}, {"$inc": {"held": number}}))
        if not await self._tx.mongo.update("sessions", updates, self._tx.session):
            raise RuntimeError("a session has fewer free places than this transaction has read")

    def move(self, key: str, *, held: int, occupied: int) -> None:
        """Give a place back, or turn a held one into an occupied one."""
        before = self._moves.get(key, (0, 0))
        self._moves[key] = (before[0] + held, before[1] + occupied)

    async def write(self) -> None:
        """Write what has gathered."""
        writes = [_move(key, move) for key, move in self._moves.items() if move != (0, 0)]
        self._moves.clear()
        if writes:
            await self._tx["sessions"].bulk_write(writes, ordered=False, session=self._tx.session)


def _move(key: str, move: tuple[int, int]) -> UpdateOne:
    return UpdateOne({"_id": key}, {"$inc": {"held": move[0], "occupied": move[1]}})


class Placements:
    """Reads and writes of one transaction, or reads outside of any."""

    def __init__(self, mongo: Mongo, session: MongoSession | None = None) -> None:
        self._mongo = mongo
        self._session = session

    @classmethod
    def within(cls, tx: Tx) -> "Placements":
        return cls(tx.mongo, tx.session)

    async def find(self, placement_id: str) -> Placement | None:
        row = await self._mongo["placements"].find_one({"_id": placement_id}, session=self._session)
        return None if row is None else placement_of(row)

    async def find_all(self, placement_ids: Iterable[str]) -> dict[str, Placement]:
        """Those of the identifiers that there are."""
        rows = self._mongo["placements"].find({"_id": {"$in": sorted(set(placement_ids))}}, session=self._session)
        return {row["_id"]: placement_of(row) async for row in rows}

    async def open_offers(self, youth_ids: Iterable[str], keys: Iterable[str]) -> dict[tuple[str, str], str]:
        """(youth, session) -> the offer that waits for an answer or a contract."""
        query = {
            "youth_id": {"$in": sorted(youth_ids)},
            "session": {"$in": sorted(keys)},
            "state": {"$in": list(OPEN)},
        }
        rows = self._mongo["placements"].find(query, {"youth_id": 1, "session": 1}, session=self._session)
        return {(row["youth_id"], row["session"]): row["_id"] async for row in rows}

    async def overdue(self, before: datetime, limit: int) -> list[str]:
        """Unanswered offers held until a moment before `before`, the longest overdue first."""
        query = {"state": "held", "held_until": {"$lt": before}}
        rows = self._mongo["placements"].find(query, {"_id": 1}, session=self._session)
        return [row["_id"] async for row in rows.sort([("held_until", 1), ("_id", 1)]).limit(limit)]

    async def with_overdue(self, keys: Sequence[str], before: datetime) -> set[str]:
        """Those of the sessions that have an unanswered offer held until a moment before `before`."""
        query = {"state": "held", "session": {"$in": list(keys)}, "held_until": {"$lt": before}}
        return set(await self._mongo["placements"].distinct("session", query, session=self._session))

    async def overdue_in(self, key: str, before: datetime) -> Placement | None:
        """The longest overdue of a session."""
        query = {"state": "held", "session": key, "held_until": {"$lt": before}}
        row = await self._mongo["placements"].find_one(query, sort=[("held_until", 1)], session=self._session)
        return None if row is None else placement_of(row)

    async def add(self, placements: Sequence[Placement], at: datetime) -> None:
        rows = [
            {
                "_id": placement.placement_id,
                "youth_id": placement.youth_id,
                "solution_id": placement.solution_id,
                "session_id": placement.session_id,
                "session": session_key(placement.solution_id, placement.session_id),
                "state": placement.state,
                "on": placement.on.isoformat(),
                "held_until": placement.held_until,
                "offered_at": at,
            }
            for placement in placements
        ]
        await self._mongo["placements"].insert_many(rows, ordered=False, session=self._session)

    async def write(self, placements: Sequence[Placement]) -> None:
        """Write what became of them."""
        if placements:
            writes = [UpdateOne({"_id": p.placement_id}, _change(p)) for p in placements]
            await self._mongo["placements"].bulk_write(writes, ordered=False, session=self._session)

    async def conflicts(self) -> int:
        """How many placements wait for a person because their seat had gone."""
        return await self._mongo["placements"].count_documents({"conflict": {"$exists": True}})


def _change(placement: Placement) -> Document:
    optional = {"contract_id": placement.contract_id, "conflict": placement.conflict}
    change: Document = {"$set": {"state": placement.state} | {k: v for k, v in optional.items() if v is not None}}
    gone = {key: "" for key, value in optional.items() if value is None}
    return change | {"$unset": gone} if gone else change


def placement_of(row: Document) -> Placement:
    """A placement as it is stored."""
    return Placement(
        placement_id=row["_id"],
        youth_id=row["youth_id"],
        solution_id=row["solution_id"],
        session_id=row["session_id"],
        state=row["state"],
        on=date.fromisoformat(row["on"]),
        held_until=row["held_until"],
        contract_id=row.get("contract_id"),
        conflict=row.get("conflict"),
    )
