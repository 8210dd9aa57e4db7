"""An honest log in place of the broker: it does what a broker may do, at the moment that a machine chooses."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from shared.bus import Bus, Outgoing
from shared.crash_points import Reach, pass_by
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.outbox import Relay
from shared.settings import ServiceSettings
from tests.support.machines import Death

Word = Literal["taken", "refused", "unheard"]
"""What becomes of an event: it is in the log and said so; it is not; it is, and its sender is told that it is not."""


@dataclass(frozen=True)
class Mood:
    """How the log treats one hand-over. `of_keys`: a key's word; `of_events`: an event's, by its place, before that.

    `dies_after`: the sender dies when so many are in the log. `stalls`: it is stopped there until told to go on.
    """

    of_keys: dict[str, Word] = field(default_factory=dict)
    of_events: dict[int, Word] = field(default_factory=dict)
    dies_after: int | None = None
    stalls: Literal["before", "after"] | None = None
    cancels: bool = False
    """The connection breaks, and the client cancels what waits for it, as aiokafka may."""


KIND = Mood()


class HonestLog:
    """The log that all replicas write to. `taken` are the identifiers in it; `earlier` those of the logs it lost."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.earlier: set[str] = set()
        self.moods: list[Mood] = []
        self.too_large: set[str] = set()
        """Events that it refuses whenever they come."""
        self.torn_keys: set[str] = set()
        """Keys of which it took a later event while it refused an earlier one of the same hand-over."""
        self.gates: list[asyncio.Event] = []
        self.at_gate = asyncio.Event()

    def lose_all(self) -> None:
        self.earlier |= set(self.taken)
        self.taken = []

    async def receive(self, events: Sequence[Outgoing]) -> list[bool]:
        mood = self.moods.pop(0) if self.moods else KIND
        if mood.cancels:
            raise asyncio.CancelledError
        if mood.stalls == "before":
            await self._gate()
        answers = []
        refused_keys: set[str] = set()
        for number, event in enumerate(events):
            if mood.dies_after == number:
                raise Death("publishing")
            key = event.envelope.subject
            word = mood.of_events.get(number, mood.of_keys.get(key, "taken"))
            if event.envelope.id in self.too_large:
                word = "refused"
            if word == "refused":
                refused_keys.add(key)
            else:
                self.taken.append(event.envelope.id)
                if key in refused_keys:
                    self.torn_keys.add(key)
            answers.append(word == "taken")
        if mood.dies_after is not None:
            raise Death("publishing")
        if mood.stalls == "after":
            await self._gate()
        return answers

    async def _gate(self) -> None:
        gate = asyncio.Event()
        self.gates.append(gate)
        self.at_gate.set()
        await gate.wait()


class Connection(Bus):
    """One replica's connection to the honest log."""

    def __init__(self, settings: ServiceSettings, log: HonestLog, mongo: Mongo) -> None:
        super().__init__(settings)
        self._log = log
        self._mongo = mongo
        self.owner = ""

    async def publish(self, events: Sequence[Outgoing]) -> list[bool]:
        lease = await self._mongo["leases"].find_one({"_id": "relay"})
        assert lease is not None
        assert (lease["owner"], lease["until"] > datetime.now(UTC)) == (self.owner, True), "hands over without a lease"
        return await self._log.receive(events)


class Replica(Relay):
    """A relay at the honest log, whose rounds and lease are the test's to move."""

    def __init__(self, mongo: Mongo, log: HonestLog, settings: ServiceSettings, reach: Reach = pass_by) -> None:
        connection = Connection(settings, log, mongo)
        super().__init__(mongo, connection, settings, Metrics("replica"), reach=reach)
        connection.owner = self._owner

    async def round(self) -> None:
        """Publish all there is, if this replica leads."""
        await self._round(wrote=False)

    def lease_is_over(self) -> None:
        """So much time has passed that this replica must ask for the lease again."""
        self._leads_until = datetime.fromtimestamp(0, UTC)
