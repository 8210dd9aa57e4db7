"""A service that counts: one `$inc` an event, so that any event lost or applied twice shows."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

from shared.consumer import Received, SomeUnapplicable, Unapplicable
from shared.envelope import Envelope
from shared.events import ContactAttempted
from shared.service import Service
from shared.settings import ServiceSettings
from shared.unit_of_work import Tx

TOPIC = "referral.events"


def contact(event_id: str, youth: str | None = None) -> Envelope:
    """An event as referral publishes it."""
    data = ContactAttempted(youth_id=youth or f"y-{event_id}", on=date(2013, 4, 2), channel="phone", outcome="reached")
    return Envelope(
        id=event_id,
        type=data.TYPE,
        source="/foquale/referral",
        subject=data.youth_id,
        time=datetime(2013, 4, 2, 9, tzinfo=UTC),
        data=data.model_dump_json().encode(),
    )


class Counting:
    """Counts how often each event had its effect. What it is told to fail on, it fails on after the effect.

    `model`: how it reads an event. Of those in `never` it says that they can never be applied.
    """

    def __init__(self, settings: ServiceSettings, model: type[ContactAttempted] = ContactAttempted) -> None:
        self.service = Service(settings, collections=["counts"])
        self.service.consume([TOPIC], {model: self.on_contacts})
        self.never: set[str] = set()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fail_on: set[str] = set()
        self.cancelled_once: set[str] = set()
        """Events amid which a connection breaks, and cancels whoever waits for it."""
        self.given: Counter[str] = Counter()

    async def on_contacts(self, tx: Tx, events: Sequence[Received[ContactAttempted]]) -> None:
        """One `$inc` an event."""
        await self.go_on.wait()
        never = [(event, Unapplicable("never", "not this one")) for event in events if event.envelope.id in self.never]
        if never:
            raise SomeUnapplicable(never)
        for event in events:
            self.given[event.envelope.id] += 1
            await tx["counts"].update_one(
                {"_id": event.envelope.id}, {"$inc": {"n": 1}}, upsert=True, session=tx.session
            )
            if event.envelope.id in self.cancelled_once:
                self.cancelled_once.discard(event.envelope.id)
                raise asyncio.CancelledError
            if event.envelope.id in self.fail_on:
                raise ValueError("this event breaks the handler")

    async def counts(self) -> dict[str, int]:
        """How often each event had its effect."""
        return {row["_id"]: row["n"] async for row in self.service.mongo["counts"].find()}

    async def has(self, number: int) -> bool:
        """Whether so many events had an effect."""
        return len(await self.counts()) == number


def counting_settings(
    mongo_url: str, db_name: str, bootstrap: str, *, idempotence: bool, service: str = "counting"
) -> ServiceSettings:
    """Settings of a test's own: short sessions, a database and topics that nobody else has."""
    return ServiceSettings(
        service=service,
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=bootstrap,
        kafka_idempotence=idempotence,
        kafka_partitions=3,
        topic_prefix=f"{db_name}.",
        kafka_session_ms=1_500,
        relay_lease_s=2,
        watch_every_s=0.3,
        graceful_timeout_s=3,
    )
