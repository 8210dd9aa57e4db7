"""The catalogue's collections and indexes, and the queries about networks, platforms and solutions.

Documents have the fields of the domain's types, the identifier as `_id`, dates as ISO texts. Sessions are a collection
of their own, `_id` "solution/session" (no identifier has a slash), so that offers in different sessions never meet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.catalogue.domain import Head, Network, Platform, Session, SessionChanges, Solution, in_order
from shared.mongo import DeleteOne, Document, Index, InsertOne, Mongo, UpdateOne, by_kind
from shared.mongo import Session as MongoSession
from shared.unit_of_work import Tx

COLLECTIONS = ("networks", "platforms", "solutions", "sessions", "placements", "youths", "contracts")
INDEXES = (
    Index("networks", "academie", (("academie", 1), ("_id", 1))),
    Index("networks", "platform", (("platform_ids", 1), ("_id", 1))),
    Index("platforms", "academie", (("academie", 1), ("_id", 1))),
    Index("platforms", "departement", (("departement", 1), ("_id", 1))),
    Index("solutions", "network", (("network_id", 1), ("_id", 1))),
    Index("solutions", "kind", (("kind", 1), ("track", 1), ("_id", 1))),
    Index("sessions", "solution", (("solution_id", 1),)),
    Index("placements", "youth", (("youth_id", 1), ("session", 1))),
    Index("placements", "holds", (("held_until", 1), ("_id", 1)), {"partialFilterExpression": {"state": "held"}}),
    Index(
        "placements",
        "holds_of_session",
        (("session", 1), ("held_until", 1)),
        {"partialFilterExpression": {"state": "held"}},
    ),
    Index("placements", "conflicts", (("conflict", 1),), {"partialFilterExpression": {"conflict": {"$exists": True}}}),
)

Found = tuple[list[Document], str | None]


def session_key(solution_id: str, session_id: str) -> str:
    """The `_id` of a session."""
    return f"{solution_id}/{session_id}"


@dataclass(frozen=True, slots=True)
class Offered:
    """Sessions by their keys, with the solutions (without sessions) and the networks that they belong to."""

    sessions: dict[str, Session]
    solutions: dict[str, Solution]
    networks: dict[str, Network]


class Store:
    """Reads and writes of one transaction, or reads outside of any."""

    def __init__(self, mongo: Mongo, session: MongoSession | None = None) -> None:
        self._mongo = mongo
        self._session = session

    @classmethod
    def within(cls, tx: Tx) -> "Store":
        return cls(tx.mongo, tx.session)

    async def network(self, network_id: str) -> Network | None:
        row = await self._mongo["networks"].find_one({"_id": network_id}, session=self._session)
        return None if row is None else network_of(row)

    async def networks(self, network_ids: Iterable[str]) -> dict[str, Network]:
        """Those of the identifiers that there are."""
        rows = self._mongo["networks"].find({"_id": {"$in": sorted(set(network_ids))}}, session=self._session)
        return {row["_id"]: network_of(row) async for row in rows}

    async def platform(self, platform_id: str) -> Platform | None:
        row = await self._mongo["platforms"].find_one({"_id": platform_id}, session=self._session)
        return None if row is None else platform_of(row)

    async def solution(self, solution_id: str) -> Solution | None:
        """With its sessions and their counters."""
        row = await self._mongo["solutions"].find_one({"_id": solution_id}, session=self._session)
        if row is None:
            return None
        sessions = self._mongo["sessions"].find({"solution_id": solution_id}, session=self._session)
        return solution_of(row, await sessions.to_list(None))

    async def solutions_of(self, network_id: str) -> list[Solution]:
        """What a network offers now."""
        query = {"network_id": network_id, "withdrawn": False}
        return [solution async for solution in self._with_sessions([{"$match": query}, {"$sort": {"_id": 1}}])]

    async def offered(self, keys: Iterable[str]) -> "Offered":
        """What offers in these sessions need to know; what there is not is left out."""
        wanted = sorted(set(keys))
        sessions = self._mongo["sessions"].find({"_id": {"$in": wanted}}, session=self._session)
        by_key = {row["_id"]: session_of(row) async for row in sessions}
        ids = sorted({key.partition("/")[0] for key in wanted})
        solutions = self._mongo["solutions"].find({"_id": {"$in": ids}}, session=self._session)
        by_id = {row["_id"]: solution_of(row, ()) async for row in solutions}
        return Offered(by_key, by_id, await self.networks(solution.network_id for solution in by_id.values()))

    async def put_network(self, network: Network) -> None:
        row = _network_row(network)
        await self._mongo["networks"].replace_one({"_id": row["_id"]}, row, upsert=True, session=self._session)

    async def put_platform(self, platform: Platform) -> None:
        row = _platform_row(platform)
        await self._mongo["platforms"].replace_one({"_id": row["_id"]}, row, upsert=True, session=self._session)

    async def put_solution(self, solution: Solution) -> None:
        """Without its sessions."""
        row = _solution_row(solution)
        await self._mongo["solutions"].replace_one({"_id": row["_id"]}, row, upsert=True, session=self._session)

    async def change_sessions(self, solution_id: str, changes: SessionChanges) -> None:
        """Write what has changed and nothing else, so that offers in other sessions go on undisturbed."""
        writes: list[Any] = [InsertOne(_session_row(solution_id, session)) for session in changes.added]
        for session in changes.changed:
            described = {key: value for key, value in _session_row(solution_id, session).items() if key in _DESCRIPTION}
            writes.append(UpdateOne({"_id": session_key(solution_id, session.session_id)}, {"$set": described}))
        writes += [DeleteOne({"_id": session_key(solution_id, session.session_id)}) for session in changes.dropped]
        if writes:
            await self._mongo["sessions"].bulk_write(by_kind(writes), session=self._session)

    async def missing(self, collection: str, identifiers: Sequence[str]) -> set[str]:
        """Those of the identifiers that the collection does not have."""
        rows = self._mongo[collection].find({"_id": {"$in": list(identifiers)}}, {"_id": 1}, session=self._session)
        return set(identifiers) - {row["_id"] async for row in rows}

    async def add_networks(self, networks: Iterable[Network]) -> None:
        await self._add("networks", [_network_row(network) for network in networks])

    async def add_platforms(self, platforms: Iterable[Platform]) -> None:
        await self._add("platforms", [_platform_row(platform) for platform in platforms])

    async def add_solutions(self, solutions: Sequence[Solution]) -> None:
        """With their sessions."""
        await self._add("solutions", [_solution_row(solution) for solution in solutions])
        await self._add(
            "sessions", [_session_row(solution.solution_id, s) for solution in solutions for s in solution.sessions]
        )

    async def _add(self, collection: str, rows: list[Document]) -> None:
        if rows:
            await self._mongo[collection].insert_many(rows, ordered=False, session=self._session)

    async def page_of_networks(
        self, query: Document, cursor: str | None, limit: int
    ) -> tuple[list[Network], str | None]:
        rows, following = await self._page("networks", query, cursor, limit)
        return [network_of(row) for row in rows], following

    async def page_of_platforms(
        self, query: Document, cursor: str | None, limit: int
    ) -> tuple[list[Platform], str | None]:
        rows, following = await self._page("platforms", query, cursor, limit)
        return [platform_of(row) for row in rows], following

    async def page_of_solutions(
        self, query: Document, cursor: str | None, limit: int, *, free: bool | None = None, academie: str | None = None
    ) -> tuple[list[Solution], str | None]:
        """Solutions on offer by id. `free`: with (True) or without (False) a free place in at least one session."""
        if academie is not None:
            # The académie is the network's, whose reform must not leave its solutions behind.
            ids = await self._mongo["networks"].distinct("_id", {"academie": academie}, session=self._session)
            query = {"$and": [query, {"network_id": {"$in": ids}}]}
        pipeline = [{"$match": _after(query | {"withdrawn": False}, cursor)}, {"$sort": {"_id": 1}}]
        at_most = limit + 1
        found = [s async for s in self._with_sessions(pipeline, free=free, at_most=at_most)]
        return found[:limit], found[limit - 1].solution_id if len(found) > limit else None

    async def _page(self, collection: str, query: Document, cursor: str | None, limit: int) -> Found:
        cursor_rows = self._mongo[collection].find(_after(query, cursor), session=self._session)
        rows = await cursor_rows.sort("_id", 1).limit(limit + 1).to_list(None)
        return rows[:limit], rows[limit - 1]["_id"] if len(rows) > limit else None

    async def _with_sessions(
        self, stages: list[Document], *, free: bool | None = None, at_most: int | None = None
    ) -> Any:
        lookup = {"from": "sessions", "localField": "_id", "foreignField": "solution_id", "as": "sessions"}
        join: list[Document] = [{"$lookup": lookup}]
        if free is not None:
            join += [{"$match": {"$expr": {"$eq": [_HAS_FREE, free]}}}]
        top: list[Document] = [] if at_most is None else [{"$limit": at_most}]
        # Joining after the limit where nothing filters on the join.
        pipeline = [*stages, *(join + top if free is not None else top + join)]
        async for row in self._mongo.aggregate("solutions", pipeline, self._session):
            yield solution_of(row, row["sessions"])


_DESCRIPTION = ("starts_on", "ends_on", "places")
_HAS_FREE = {
    "$anyElementTrue": [
        {
            "$map": {
                "input": "$sessions",
                "in": {"$lt": [{"$add": ["$$this.held", "$$this.occupied"]}, "$$this.places"]},
            }
        }
    ]
}


def _after(query: Document, cursor: str | None) -> Document:
    return query if cursor is None else query | {"_id": {"$gt": cursor}}


def _network_row(network: Network) -> Document:
    return {
        "_id": network.network_id,
        "name": network.name,
        "academie": network.academie,
        "platform_ids": list(network.platform_ids),
        "head": {"name": network.head.name, "email": network.head.email} if network.head else None,
        "version": network.version,
    }


def _platform_row(platform: Platform) -> Document:
    return {
        "_id": platform.platform_id,
        "name": platform.name,
        "departement": platform.departement,
        "academie": platform.academie,
        "communes": list(platform.communes),
        "default_network_id": platform.default_network_id,
        "registered_at": platform.registered_at,
        "version": platform.version,
    }


def _solution_row(solution: Solution) -> Document:
    return {
        "_id": solution.solution_id,
        "title": solution.title,
        "kind": solution.kind,
        "track": solution.track,
        "network_id": solution.network_id,
        "uai": solution.uai,
        "commune": solution.commune,
        "sector": solution.sector,
        "lon": solution.lon,
        "lat": solution.lat,
        "withdrawn": solution.withdrawn,
        "version": solution.version,
    }


def _session_row(solution_id: str, session: Session) -> Document:
    return {
        "_id": session_key(solution_id, session.session_id),
        "solution_id": solution_id,
        "session_id": session.session_id,
        "starts_on": session.starts_on.isoformat(),
        "ends_on": session.ends_on.isoformat() if session.ends_on else None,
        "places": session.places,
        "held": session.held,
        "occupied": session.occupied,
    }


def network_of(row: Document) -> Network:
    """A network as it is stored."""
    head = row["head"]
    return Network(
        network_id=row["_id"],
        name=row["name"],
        academie=row["academie"],
        platform_ids=tuple(row["platform_ids"]),
        head=Head(head["name"], head["email"]) if head else None,
        version=row["version"],
    )


def platform_of(row: Document) -> Platform:
    """A platform as it is stored."""
    fields = {key: value for key, value in row.items() if key not in ("_id", "communes")}
    return Platform(platform_id=row["_id"], communes=tuple(row["communes"]), **fields)


def session_of(row: Document) -> Session:
    """A session as it is stored."""
    return Session(
        session_id=row["session_id"],
        starts_on=date.fromisoformat(row["starts_on"]),
        ends_on=date.fromisoformat(row["ends_on"]) if row["ends_on"] else None,
        places=row["places"],
        held=row["held"],
        occupied=row["occupied"],
    )


def solution_of(row: Document, sessions: Iterable[Document]) -> Solution:
    """A solution as it is stored."""
    fields = {key: value for key, value in row.items() if key not in ("_id", "sessions")}
    return Solution(solution_id=row["_id"], sessions=in_order(map(session_of, sessions)), **fields)
