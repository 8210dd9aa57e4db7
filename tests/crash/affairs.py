"""What each service is given to do in its world, how often it had its effect, and what is wrong with the store.

A round has a number. `order(n)` and `send_batch(n)` are its work: a command of a client, and records that come by the
bus in one piece: two good events and, between them, one that nobody can read.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from shared.envelope import Envelope
from shared.events import Event
from shared.events.dead_letters import KEPT
from shared.mongo import Mongo
from tests.crash.world import BROKEN, World

GOOD: Final = 2
"""Events of a batch that can be applied."""
A_DEAD_LETTER: Final = "a dead letter"


@dataclass(frozen=True)
class Order:
    """A command: where it goes, what it says, and the type and subject of the event that follows from it."""

    path: str
    body: dict[str, Any]
    key: str
    event: type[Event]
    subject: str


class Affairs(ABC):
    """One service's work."""

    service: ClassVar[str]
    topic: ClassVar[str]
    """By which its batches come."""
    marks: ClassVar[bool] = True
    """Whether it marks the events that it has seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.commands: list[int] = []
        self.batches: list[int] = []
        self.heard = 0
        """Events that the service reads and was sent."""
        self.broken = 0
        """Records that nobody can read and that it was sent."""
        self._rounds = 0

    def next_round(self) -> int:
        self._rounds += 1
        return self._rounds

    async def send_batch(self, n: int) -> None:
        """Let the batch of a round come by the bus."""
        first, *others = await self.events(n)
        await self.world.produce(self.topic, first, BROKEN, *others)
        self.batches.append(n)
        self.heard += GOOD
        self.broken += 1

    async def prepare(self) -> None:  # noqa: B027  not every service needs something
        """What has to be there before the first round; the service runs."""

    @abstractmethod
    def order(self, n: int) -> Order | None:
        """The command of a round; None where the service takes none."""

    @abstractmethod
    async def events(self, n: int) -> Sequence[Envelope]:
        """The good events of a round's batch."""

    @abstractmethod
    async def command_effects(self, store: Mongo, n: int) -> int:
        """How often the command of a round had its effect."""

    @abstractmethod
    async def batch_effects(self, store: Mongo, n: int) -> int:
        """How many effects the two good events of a round's batch had."""

    @abstractmethod
    async def faults(self, store: Mongo) -> list[str]:
        """What the store has that differs from what all rounds so far must have left in it."""

    @abstractmethod
    def meanings(self) -> Counter[str]:
        """The events that follow from all rounds so far, each `type subject`."""

    def told_dead_letters(self) -> Counter[str]:
        """What is told of the records that nobody can read: each of them once, by a service that tells of its own."""
        event = KEPT.get(self.service)
        return Counter() if event is None else Counter({f"{event.TYPE} {A_DEAD_LETTER}": self.broken})

    async def subject_as_known(self, store: Mongo, subject: str) -> str:
        """The subject of an event in the words of `meanings`."""
        return A_DEAD_LETTER if await store["dead_letters"].find_one({"_id": subject}, {"_id": 1}) else subject

    async def hold(self, store: Mongo) -> None:  # noqa: B027  not every service has some
        """Keep the service from transactions of its own accord, before it is started to die in one."""

    async def let_go(self, store: Mongo) -> None:  # noqa: B027  as `hold`
        """Take back `hold`."""


def differences(what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> list[str]:
    """What is there and should not be, or the other way round, in words."""
    keys = sorted({*found, *wanted}, key=str)
    return [
        f"{what}: {key} is {found.get(key)}, not {wanted.get(key)}" for key in keys if found.get(key) != wanted.get(key)
    ]
