"""The relay: publishes what transactions left in the outbox, in the order it was written, and keeps it as the journal.

One replica of a service relays at a time (a lease in the store), so that order per key holds; if it falls silent,
another takes over. An event may be published twice (a crash between publishing and marking), never not at all. What is
new goes first; in between the relay works through the running publication of the journal (`journal.py`).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from time import monotonic

import structlog

from shared.bus import Bus, BusError, Outgoing
from shared.clock import random_id
from shared.crash_points import Point, Reach, pass_by
from shared.ending import asked_to_end
from shared.envelope import Envelope
from shared.journal import note_published, oldest_pending, rows_left, running_publication, waiting
from shared.mongo import Document, DuplicateKeyError, Mongo, StoreError
from shared.observability import Metrics, describe
from shared.settings import ServiceSettings
from shared.unit_of_work import UNPUBLISHED

log = structlog.get_logger(__name__)

_NOTES = 100  # read at once
_MOST_S = 60.0  # of one turn: past that it is given up and tried again


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
        self._turned_at = monotonic()

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
                await self._round(wrote=wrote)
                self._turned_at = monotonic()
            except (Exception, asyncio.CancelledError) as error:
                # Whatever it is, what waits must be tried again.
                if asked_to_end():
                    raise
                self._turned_at = monotonic()
                log.warning("relay_failed", error=describe(error))
                await asyncio.sleep(0.5)
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(self._settings.relay_poll_s):
                    await self._awake.wait()

    async def _round(self, *, wrote: bool) -> None:
        """Publish all there is, for as long as this replica leads; where another does, tell it that there is more."""
        async with asyncio.timeout(_MOST_S) as limit:
            while await self._lead():
                if not (await self._turn() or await self._turn_of_publication()):
                    return
                self._turned_at = monotonic()
                limit.reschedule(asyncio.get_running_loop().time() + _MOST_S)
            if wrote:
                await self._mongo["signals"].update_one({"_id": "outbox"}, {"$inc": {"n": 1}}, upsert=True)

    async def _listen(self) -> None:
        """Wake when another replica has signalled; only a wake-up, the poll finds everything anyway."""
        while True:
            try:
                async with self._mongo.watch("signals") as changes:
                    async for _ in changes:
                        self._awake.set()
            except (StoreError, asyncio.CancelledError) as error:
                if asked_to_end():
                    raise
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
        notes = await self._mongo[UNPUBLISHED].find({}).sort("_id", 1).limit(_NOTES).to_list(None)
        ids = list(islice(chain.from_iterable(note["events"] for note in notes), self._settings.relay_batch))
        if not notes:
            return False
        rows = await self._mongo["outbox"].find({"_id": {"$in": ids}}).sort("_id", 1).to_list(None)
        sent = await self._publish(rows)
        refused = {row["_id"] for row, ok in zip(rows, sent, strict=True) if not ok}
        done = set(ids) - refused
        if done or not ids:
            await self._strike_out(notes, done)
            self._reach(Point.RELAY_MARKED)
        if refused:
            log.warning("relay_unconfirmed", events=len(refused))
            await asyncio.sleep(0.5)
        return bool(done)

    async def _strike_out(self, notes: Sequence[Document], done: set[str]) -> None:
        """These events are published."""
        whole = [note["_id"] for note in notes if done.issuperset(note["events"])]
        await self._mongo[UNPUBLISHED].delete_many({"_id": {"$in": whole}})
        for note in notes:
            part = [event_id for event_id in note["events"] if event_id in done]
            if part and len(part) < len(note["events"]):
                await self._mongo[UNPUBLISHED].update_one({"_id": note["_id"]}, {"$pullAll": {"events": part}})

    async def _turn_of_publication(self) -> bool:
        """Publish the next batch of the journal, where that was asked for; whether there may be more."""
        publication = await running_publication(self._mongo)
        if publication is None:
            return False
        rows = (
            await self._mongo["outbox"]
            .find(rows_left(publication))
            .sort("_id", 1)
            .limit(self._settings.relay_batch)
            .to_list(None)
        )
        sent = await self._publish(rows) if rows else []
        refused_ids = [row["_id"] for row, ok in zip(rows, sent, strict=True) if not ok]
        # What waits in the outbox as well goes on waiting there when it is refused here.
        waits = await waiting(self._mongo, refused_ids) if refused_ids else set()
        refused = [not ok and row["_id"] not in waits for row, ok in zip(rows, sent, strict=True)]
        done = rows[: refused.index(True)] if any(refused) else rows
        last = len(rows) < self._settings.relay_batch and len(done) == len(rows)
        await note_published(self._mongo, publication, done, last=last, now=datetime.now(UTC))
        if len(done) < len(rows):
            await asyncio.sleep(0.5)
        return True

    async def _publish(self, rows: list[Document]) -> list[bool]:
        self._reach(Point.RELAY_READ)
        sent = await self._bus.publish([self._outgoing(row) for row in rows])
        self._reach(Point.RELAY_PUBLISHED)
        return sent

    async def behind(self, most_s: float) -> str | None:
        """What to say when the oldest event that no broker has is older than this; None when all is well."""
        oldest = await oldest_pending(self._mongo)
        age = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
        return f"the oldest event that waits to be published is {age:.0f} s old" if age > most_s else None

    def stuck(self) -> str | None:
        """What to say when the relay's own loop has ended or hangs, which only a restart mends; None when it runs."""
        if not self._tasks or any(task.done() for task in self._tasks):
            return "the relay has ended"
        silent = monotonic() - self._turned_at
        return f"the relay has not come round for {silent:.0f} s" if silent > 2 * _MOST_S else None

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
