"""What reporting does beside the stream of events: keeps the changes few, and notices a log that was made anew."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.reporting import cells, generations, store
from services.reporting.freshness import Partition, Position, lost
from services.reporting.handlers import live
from services.reporting.history.store import note_made_anew
from shared.bus import Log
from shared.clock import random_id
from shared.mongo import DuplicateKeyError
from shared.unit_of_work import Tx, UnitOfWork


class Folding:
    """Keeps the changes few: folds them into the cells. One replica at a time does it, to do less, not to be exact."""

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

    def __init__(self, unit_of_work: UnitOfWork, broker_log: Log, topics: Sequence[str], every_s: float) -> None:
        self._uow = unit_of_work
        self._broker_log = broker_log
        self._topics = topics
        self._every_s = every_s
        self._into = live()

    async def run(self) -> None:
        """Look for as long as the service runs."""
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look now. Before anything is consumed it is exact: what is applied of a new log can only grow from 0."""
        of = await generations.live(self._uow.mongo)
        positions = await store.positions(self._uow.mongo, of)
        found = lost(positions, await self._broker_log.end_offsets(self._topics))
        if found:
            await self._uow.run(lambda tx: self._begin_again(tx, found))

    async def _begin_again(self, tx: Tx, found: Mapping[Partition, Position]) -> None:
        await store.begin_again(tx, await self._into(tx), found)
        await note_made_anew(tx, list(found), self._uow.clock())
