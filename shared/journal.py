"""The journal: all a service has ever published, kept in its outbox, so that the bus is disposable.

A broker that has lost its log, or a new and empty one, gets it again by a *publication*: the relay goes through the
journal in the order of the outbox and publishes it beside what is new. Consumers know what they have seen, so nothing
changes downstream. How far it has come is kept in the store: a publication survives its relay.

    publications   `_id`, `since` (recorded at or after, None: all), `until` (the last row), `next` (the last row done),
                   `events` and `published` (numbers), `state`: running, done or replaced
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.clock import Clock, random_id, utc_now
from shared.mongo import Document, Index, Mongo, Session
from shared.unit_of_work import UNPUBLISHED

PUBLICATIONS: Final = "publications"
INDEXES: Final = (Index(PUBLICATIONS, "by_state", (("state", 1), ("_id", 1))),)

_SLACK: Final = timedelta(hours=1)  # clocks of replicas differ, and a transaction may be slow


class Journal:
    """One service's journal. `wake` tells the relay that there is something to do."""

    def __init__(self, mongo: Mongo, wake: Callable[[], None] = lambda: None, *, clock: Clock = utc_now) -> None:
        self._mongo = mongo
        self._wake = wake
        self._clock = clock

    async def publish_again(self, since: datetime | None = None) -> Document:
        """Begin a publication of all that was recorded at or after `since`; one that runs already is replaced by it."""
        last = await self._mongo["outbox"].find_one({}, {"_id": 1}, sort=[("_id", -1)])
        publication: Document = {
            "_id": random_id(),
            "since": since,
            "until": last["_id"] if last else "",
            "next": _first_id(since),
            "published": 0,
            "state": "running",
            "begun_at": self._clock(),
            "ended_at": None,
        }
        publication["events"] = await self._mongo["outbox"].count_documents(rows_left(publication))
        replaced = {"$set": {"state": "replaced", "ended_at": publication["begun_at"]}}

        async def work(session: Session) -> None:
            # Together: whoever dies in between must not have ended the publication that was promised to another.
            await self._mongo[PUBLICATIONS].update_many({"state": "running"}, replaced, session=session)
            await self._mongo[PUBLICATIONS].insert_one(publication, session=session)

        await self._mongo.transaction(work)
        self._wake()
        return publication

    async def find(self, publication_id: str) -> Document | None:
        """One publication."""
        return await self._mongo[PUBLICATIONS].find_one({"_id": publication_id})

    async def state(self) -> dict[str, Any]:
        """What waits to be published: `pending` events never yet, `to_republish` of the journal, and since when."""
        pending = len(await waiting(self._mongo))
        oldest = await oldest_pending(self._mongo)
        running = await running_publication(self._mongo)
        return {
            "pending": pending,
            "oldest_pending_at": oldest,
            "to_republish": max(0, running["events"] - running["published"]) if running else 0,
            "publication": running,
        }


async def running_publication(mongo: Mongo) -> Document | None:
    """The publication that is under way."""
    return await mongo[PUBLICATIONS].find_one({"state": "running"}, sort=[("begun_at", -1)])


async def waiting(mongo: Mongo, among: Sequence[str] | None = None) -> set[str]:
    """The events that no broker has yet; only those `among` some, where these are given."""
    notes = mongo[UNPUBLISHED].find({} if among is None else {"events": {"$in": list(among)}}, {"events": 1})
    found = {event_id async for note in notes for event_id in note["events"]}
    return found if among is None else found.intersection(among)


async def oldest_pending(mongo: Mongo) -> datetime | None:
    """When the oldest event was recorded that no broker has yet; None when there is none."""
    note = await mongo[UNPUBLISHED].find_one({}, {"at": 1}, sort=[("_id", 1)])
    return note["at"] if note else None


def rows_left(publication: Document) -> Document:
    """The query for the rows that a publication has still to publish, those that wait in the outbox among them.

    A relay that stood still may yet mark one of those for a log that is lost meanwhile: it must not be passed over.
    """
    query: Document = {"_id": {"$gt": publication["next"], "$lte": publication["until"]}}
    if publication["since"] is not None:
        query["time"] = {"$gte": publication["since"]}
    return query


async def note_published(
    mongo: Mongo, publication: Document, rows: list[Document], *, last: bool, now: datetime
) -> None:
    """Write down that these rows, in order, are published again; `last`: there are no more."""
    changes: Document = {"$inc": {"published": len(rows)}}
    if rows:
        changes["$set"] = {"next": rows[-1]["_id"]}
    if last:
        changes["$set"] = changes.get("$set", {}) | {"state": "done", "ended_at": now}
    # Only from where it was read: a relay that has lost its lease must not move it back.
    await mongo[PUBLICATIONS].update_one(
        {"_id": publication["_id"], "state": "running", "next": publication["next"]}, changes
    )


def _first_id(since: datetime | None) -> str:
    """An identifier before all those given from `since` on: a UUIDv7 begins with the milliseconds since 1970."""
    if since is None:
        return ""
    milliseconds = int(max(0.0, (since.astimezone(UTC) - _SLACK).timestamp()) * 1000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"
