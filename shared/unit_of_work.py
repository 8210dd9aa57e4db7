"""One transaction: a state change, the events it publishes, and the mark that it was done. All, or none."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from shared.clock import Clock, event_id, utc_now
from shared.crash_points import Point, Reach, pass_by
from shared.events import Event
from shared.mongo import Collection, Document, Index, Mongo, Session
from shared.observability import current_trace

T = TypeVar("T")

UNPUBLISHED: Final = "unpublished"
"""Notes of which events no broker has yet: `_id` (the first of them), `events` (identifiers, in order), `at`."""

_EVENTS_OF_A_NOTE: Final = 100
_SOURCE: Final = "/foquale/"

OUTBOX_INDEXES = (Index("outbox", "journal", (("topic", 1), ("_id", 1))),)


@dataclass
class Tx:
    """What a handler or command works with. `now` is the moment of recording (`ce_time` of what it emits)."""

    mongo: Mongo
    session: Session
    now: datetime
    source: str
    emitted: list[Document] = field(default_factory=list)

    def __getitem__(self, collection: str) -> Collection:
        return self.mongo[collection]

    @property
    def service(self) -> str:
        """The service whose transaction it is."""
        return self.source.removeprefix(_SOURCE)

    def emit(self, *events: Event, trace: str | None = None) -> None:
        """Publish the events, if and only if the transaction commits. `trace`: of another work than the one in hand."""
        for event in events:
            self.emitted.append(
                {
                    "_id": event_id(),
                    "topic": event.TOPIC,
                    "type": event.TYPE,
                    "subject": event.subject(),
                    "time": self.now,
                    "data": event.model_dump_json().encode(),
                    "trace": trace or current_trace(),
                }
            )

    def notes(self) -> list[Document]:
        """What is noted of the events until they are published: far less to write, twice, than to mark each of them."""
        ids = [row["_id"] for row in self.emitted]
        parts = [ids[start : start + _EVENTS_OF_A_NOTE] for start in range(0, len(ids), _EVENTS_OF_A_NOTE)]
        return [{"_id": part[0], "events": part, "at": self.now} for part in parts]


class UnitOfWork:
    """Begins transactions for one service, and wakes its relay when one has left events behind."""

    def __init__(self, mongo: Mongo, service: str, *, clock: Clock = utc_now, reach: Reach = pass_by) -> None:
        self.mongo = mongo
        self.source = f"{_SOURCE}{service}"
        self.clock = clock
        self.reach = reach
        self._wake: list[Callable[[], None]] = []

    def on_events(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each commit that emitted something."""
        self._wake.append(wake)

    async def run(
        self, work: Callable[[Tx], Awaitable[T]], *, deadline_s: float = 30.0, reach: Reach | None = None
    ) -> T:
        """Run `work` in one transaction. It may run again after a conflict: nothing outside `Tx` may change in it.

        `reach` instead of the service's own: the points of a transaction are those of its effects, not of its books.
        """
        reach = reach or self.reach
        emitted = False

        async def attempt(session: Session) -> T:
            nonlocal emitted
            tx = Tx(self.mongo, session, self.clock(), self.source)
            result = await work(tx)
            if tx.emitted:
                await self.mongo.insert("outbox", tx.emitted, session)
                await self.mongo.insert(UNPUBLISHED, tx.notes(), session)
            emitted = bool(tx.emitted)
            reach(Point.TRANSACTION_WRITTEN)
            return result

        result = await self.mongo.transaction(attempt, deadline_s=deadline_s)
        reach(Point.TRANSACTION_COMMITTED)
        if emitted:
            for wake in self._wake:
                wake()
        return result
