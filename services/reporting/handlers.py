"""What reporting does with what it hears: facts grow, figures change, names are noted, all in one transaction a batch.

No event is marked as seen: a fact that an event does not make grow changes nothing. Each youth is loaded once and
written at most once a batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from services.reporting import cells, generations, store
from services.reporting.freshness import lost, positions_after
from services.reporting.generations import Generation
from services.reporting.projection import NOTHING, Change, Fact, ToFact, changes, join
from shared.bus import Log
from shared.clock import random_id
from shared.consumer import BatchConsumer, Received
from shared.envelope import Record
from shared.events import Event, NetworkRegistered, PlatformRegistered, YouthEvent
from shared.mongo import DuplicateKeyError, Mongo
from shared.observability import Metrics, set_trace
from shared.unit_of_work import Tx, UnitOfWork

Facts = Mapping[type[YouthEvent], ToFact]
Registration = NetworkRegistered | PlatformRegistered
Registrations = Mapping[type[Registration], str]


class FactsConsumer(BatchConsumer):
    """Applies batches to the facts (`facts`: event -> what it says of its youth) and to the collections of names
    (`registrations`: event -> collection), all of the generation that `into` names in the transaction.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        facts: Facts,
        registrations: Registrations,
        metrics: Metrics,
        into: Callable[[Tx], Awaitable[Generation]],
    ) -> None:
        super().__init__(unit_of_work, [*facts, *registrations], metrics)
        self._into = into
        self._facts = facts
        self._registrations = registrations

    async def apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:
        """Join what the events say to what is known, and note how far the topics are applied."""
        learned = self._learned(events)
        registered = self._registered(events)
        positions = positions_after(events, records)
        if events:
            set_trace(events[0].envelope.trace)

        async def work(tx: Tx) -> None:
            of = await self._into(tx)
            known = await store.load(tx, of, learned)
            grown: dict[str, Fact] = {}
            changed: list[Change] = []
            for youth_id, news in learned.items():
                before = known.get(youth_id)
                after = news if before is None else join(before, news)
                if after != before:
                    grown[youth_id] = after
                    changed.extend(changes(before, after))
            await store.save(tx, of, known, grown)
            await store.add_changes(tx, of, changed)
            for collection, newest in registered.items():
                await store.register(tx, of, collection, newest)
            await store.move(tx, of, positions)

        if learned or registered or positions:
            await self._uow.run(work)
        self._count(events, "applied")

    def _learned(self, events: Sequence[Received[Event]]) -> dict[str, Fact]:
        """What the events say together of each youth."""
        learned: dict[str, Fact] = {}
        for event in events:
            data = event.data
            if isinstance(data, YouthEvent):
                news = self._facts[type(data)](data, event.envelope.time, event.envelope.id)
                if news != NOTHING:
                    before = learned.get(data.youth_id)
                    learned[data.youth_id] = news if before is None else join(before, news)
        return learned

    def _registered(self, events: Sequence[Received[Event]]) -> dict[str, dict[str, Registration]]:
        """The newest registration of each network and platform among the events, by collection."""
        registered: dict[str, dict[str, Registration]] = {}
        for event in events:
            data = event.data
            if isinstance(data, NetworkRegistered | PlatformRegistered):
                newest = registered.setdefault(self._registrations[type(data)], {})
                before = newest.get(data.subject())
                if before is None or before.version < data.version:
                    newest[data.subject()] = data
        return registered


def live() -> Callable[[Tx], Awaitable[Generation]]:
    """Into what is live, at a slot of this consumer's own."""
    slot = generations.slot_of(random_id())

    async def into(tx: Tx) -> Generation:
        return await generations.enter(tx, slot)

    return into


class Folding:
    """Keeps the cells up to date with the changes. One replica at a time does it, for less work, not for exactness."""

    def __init__(self, unit_of_work: UnitOfWork, every_s: float) -> None:
        self._uow = unit_of_work
        self._every_s = every_s
        self._owner = random_id()

    async def run(self) -> None:
        """Fold for as long as the service runs."""
        while True:
            while await self._leads() and await cells.fold(self._uow):
                pass
            await asyncio.sleep(self._every_s)

    async def _leads(self) -> bool:
        now = self._uow.clock()
        try:
            await self._uow.mongo["leases"].update_one(
                {"_id": "fold", "$or": [{"owner": self._owner}, {"until": {"$lt": now}}]},
                {"$set": {"owner": self._owner, "until": now + timedelta(seconds=5 * self._every_s)}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True


class LostLogs:
    """Notices when a topic was made anew, so that its lag is told from its beginning again."""

    def __init__(self, mongo: Mongo, broker_log: Log, topics: Sequence[str], every_s: float) -> None:
        self._mongo = mongo
        self._broker_log = broker_log
        self._topics = topics
        self._every_s = every_s

    async def run(self) -> None:
        """Look for as long as the service runs."""
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look now. Before anything is consumed it is exact: what is applied of a new log can only grow from 0."""
        of = await generations.live(self._mongo)
        positions = await store.positions(self._mongo, of)
        await store.begin_again(self._mongo, of, lost(positions, await self._broker_log.end_offsets(self._topics)))
