"""A service that writes down all that the consumer does, so that any event lost, doubled or out of order shows.

In a test's own process: `Bookkeeper(settings)`. As a process that can be killed or frozen:
`python -m tests.conformance.bookkeeper`, settings from the environment.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pydantic import Field

from shared.consumer import Consumer, Received
from shared.envelope import Record
from shared.events import ContactAttempted
from shared.mongo import UpdateOne
from shared.service import Service, serve
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx

TOPIC = "referral.events"
EFFECTS, ORDER, DELIVERIES = "effects", "effects_in_order", "deliveries"

Events = Sequence[Received[ContactAttempted]]
Hook = Callable[[], Awaitable[None]]


class BookkeeperSettings(ServiceSettings):
    """What the process needs to know; a service's settings, and where tests hold it."""

    service: str = "bookkeeper"
    port: int = 0
    name: str = Field("one", description="Which replica this is, in the ledger.")
    held_while: str = Field("", description="While this file is there, a handler waits amid its transaction.")
    frozen_by: str = Field(
        "", description="The batch that finds this file takes it away and freezes the process before its commit."
    )


async def nothing() -> None:
    """What happens at a hook that nobody uses."""


class Witnessed(Consumer):
    """The core's consumer; each batch is noted before the core has it, and again when its effects are durable."""

    def __init__(self, service: Service, book: "Bookkeeper") -> None:
        super().__init__(service.unit_of_work, {ContactAttempted: book.on_contacts}, service.metrics)
        self._book = book

    async def on_batch(self, records: Sequence[Record]) -> None:
        deliveries = self._mongo[DELIVERIES]
        row = {
            "by": self._book.name,
            "at": time.time_ns(),
            "records": [[record.partition, record.offset] for record in records],
            "done": False,
        }
        noted = await deliveries.insert_one(row)
        await super().on_batch(records)
        await deliveries.update_one({"_id": noted.inserted_id}, {"$set": {"done": True}})
        await self._book.before_commit()


class Bookkeeper:
    """Counts each event's effects (`$inc` by event) and keeps their order (`$push` by youth).

    Only the core stands between a repeated event and a count of 2. `midway` is called when the first half of a batch's
    effects is written, `before_commit` when all are durable and the offsets are not committed.
    """

    def __init__(self, settings: ServiceSettings, *, name: str = "one", midway: Hook = nothing) -> None:
        self.name = name
        self.midway = midway
        self.before_commit: Hook = nothing
        self.service = Service(settings, collections=[EFFECTS, ORDER, DELIVERIES])
        self.service.attach([TOPIC], Witnessed(self.service, self))
        self.app = self.service.app("bookkeeper", [])

    async def on_contacts(self, tx: Tx, events: Events) -> None:
        """The effects, in two writes."""
        half = len(events) // 2
        await self._write(tx, events[:half])
        await self.midway()
        await self._write(tx, events[half:])

    async def _write(self, tx: Tx, events: Events) -> None:
        if not events:
            return
        effects = [UpdateOne({"_id": event.envelope.id}, {"$inc": {"n": 1}}, upsert=True) for event in events]
        order = [
            UpdateOne({"_id": event.data.youth_id}, {"$push": {"seen": event.envelope.id}}, upsert=True)
            for event in events
        ]
        await tx[EFFECTS].bulk_write(effects, session=tx.session)
        await tx[ORDER].bulk_write(order, session=tx.session)


def main() -> None:
    """Serve until SIGTERM."""
    settings = BookkeeperSettings()
    held, frozen = Path(settings.held_while), Path(settings.frozen_by)

    async def wait() -> None:
        while settings.held_while and held.exists():  # noqa: ASYNC110, ASYNC240  another process takes the file away
            await asyncio.sleep(0.02)

    async def freeze() -> None:
        if settings.frozen_by and frozen.exists():  # noqa: ASYNC240  it is to stand still
            frozen.unlink()  # noqa: ASYNC240  likewise
            os.kill(os.getpid(), signal.SIGSTOP)

    book = Bookkeeper(settings, name=settings.name, midway=wait)
    book.before_commit = freeze
    serve(book.app, settings)


if __name__ == "__main__":
    main()
