"""The work of a run: many youths at once, and records that nobody can read, until the time is over."""

import asyncio
from random import Random
from typing import Final

from shared.events import TOPICS
from tests.chaos.feed import Feed
from tests.chaos.ledger import Ledger
from tests.chaos.lives import Life, World

_PLANT_EVERY_S: Final = 6.0
_PLANT_ON: Final = (TOPICS[0], *TOPICS[:4])


class Load:
    """`clients` youths at a time. `begin` returns at once; `end` lets nobody begin anew and waits for the rest."""

    def __init__(self, world: World, *, clients: int) -> None:
        self._world = world
        self._clients = clients
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        self._tasks.append(asyncio.create_task(self._plant(self._world.feed)))

    def check(self) -> None:
        """Raise what a client has failed with: a mistake of the run itself."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def end(self, patience_s: float) -> None:
        """Wait for the youths under way; what is still not answered then stays unknown."""
        _, late = await asyncio.wait(self._tasks, timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self.check()

    async def _client(self) -> None:
        while not self._world.over():
            await Life(self._world).live()

    async def _plant(self, feed: Feed) -> None:
        rng: Random = self._world.rng
        while not self._world.over():
            await feed.plant(rng.choice(_PLANT_ON))
            await asyncio.sleep(_PLANT_EVERY_S * rng.uniform(0.5, 1.0))


def ledger_line(ledger: Ledger) -> str:
    """The counts, for the progress line."""
    return " ".join(f"{name}={count}" for name, count in ledger.counts().items())
