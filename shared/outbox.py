"""The relay: publishes what transactions left in the outbox, in the order it was written, and keeps it as the journal.

One replica of a service relays at a time (a lease in the store), so that order per key holds; if it falls silent,
another takes over. An event may be published twice (a crash between publishing and marking), never not at all.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from shared.bus import Bus, BusError, Outgoing
from shared.clock import random_id
from shared.crash_points import Point, Reach, pass_by
from shared.envelope import Envelope
from shared.mongo import Document, DuplicateKeyError, Mongo, StoreError
from shared.observability import Metrics, describe
from shared.settings import ServiceSettings

log = structlog.get_logger(__name__)

_BATCH = 1_000


class Relay:
    """Publishes one service's outbox."""

    def __init__(
        self, mongo: Mongo, bus: Bus, settings: ServiceSettings, metrics: Metrics, *, reach: Reach = pass_by
    ) -> None:
        self._mongo = mongo
        self._bus = bus
        self._settings = settings
        self._metrics = metrics
        self._reach = reach
        self._owner = random_id()
        self._awake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._leads_until = datetime.fromtimestamp(0, UTC)
        self._wrote = False
        self.last_turn: datetime | None = None

    def wake(self) -> None:
        """Events were written here: look now. Where another replica leads, it is told through the store."""
        self._wrote = True
        self._awake.set()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        """Publish what is there, within reason, then give the lease back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError, BusError, asyncio.TimeoutError):
            async with asyncio.timeout(5):
                while self._leads_until > datetime.now(UTC) and await self._turn():
                    pass
                await self._mongo["leases"].delete_one({"_id": "relay", "owner": self._owner})

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            wrote, self._wrote = self._wrote, False
            try:
                if await self._lead():
                    while await self._turn():
                        await self._lead()
                elif wrote:
                    await self._mongo["signals"].update_one({"_id": "outbox"}, {"$inc": {"n": 1}}, upsert=True)
            except (StoreError, BusError, OSError) as error:
                log.warning("relay_failed", error=describe(error))
                await asyncio.sleep(0.5)
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(self._settings.relay_poll_s):
                    await self._awake.wait()

    async def _listen(self) -> None:
        """Wake when another replica has signalled; only a wake-up, the poll finds everything anyway."""
        while True:
            try:
                async with self._mongo.watch("signals") as changes:
                    async for _ in changes:
                        self._awake.set()
            except StoreError as error:
                log.info("relay_watch_ended", error=describe(error))
                await asyncio.sleep(2)

    async def _lead(self) -> bool:
        """Take or renew the lease; whether this replica relays."""
        now = datetime.now(UTC)
        lease = timedelta(seconds=self._settings.relay_lease_s)
        if self._leads_until - now > lease * 2 / 3:
            return True
        until = now + lease
        try:
            await self._mongo["leases"].update_one(
                {"_id": "relay", "$or": [{"owner": self._owner}, {"until": {"$lt": now}}]},
                {"$set": {"owner": self._owner, "until": until}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        self._leads_until = until
        return True

    async def _turn(self) -> bool:
        """Publish one batch; whether there may be more."""
        rows = await self._mongo["outbox"].find({"pending": True}).sort("_id", 1).limit(_BATCH).to_list(None)
        self.last_turn = datetime.now(UTC)
        self._metrics.outbox_pending.set(len(rows))
        self._metrics.outbox_age_seconds.set((self.last_turn - rows[0]["time"]).total_seconds() if rows else 0.0)
        if not rows:
            return False
        self._reach(Point.RELAY_READ)
        sent = await self._bus.publish([self._outgoing(row) for row in rows])
        self._reach(Point.RELAY_PUBLISHED)
        done = [row["_id"] for row, ok in zip(rows, sent, strict=True) if ok]
        if done:
            await self._mongo["outbox"].update_many(
                {"_id": {"$in": done}}, {"$set": {"published_at": datetime.now(UTC)}, "$unset": {"pending": ""}}
            )
            self._reach(Point.RELAY_MARKED)
        if len(done) < len(rows):
            log.warning("relay_unconfirmed", events=len(rows) - len(done))
            await asyncio.sleep(0.5)
        return True

    def _outgoing(self, row: Document) -> Outgoing:
        return Outgoing(self._settings.topic(row["topic"]), envelope_of(row, f"/foquale/{self._settings.service}"))


def envelope_of(row: Document, source: str) -> Envelope:
    """The event that a row of the outbox holds."""
    return Envelope(
        id=row["_id"],
        type=row["type"],
        source=source,
        subject=row["subject"],
        time=row["time"],
        data=bytes(row["data"]),
        trace=row["trace"],
    )


async def mark_unpublished(mongo: Mongo) -> int:
    """Put the whole journal back in line, for a broker that has lost its log; consumers know what they have seen."""
    answer: Any = await mongo["outbox"].update_many(
        {"pending": {"$exists": False}}, {"$set": {"pending": True}, "$unset": {"published_at": ""}}
    )
    return int(answer.modified_count)
