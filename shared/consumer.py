"""What every service does with a batch of records: decode, set the broken aside, apply the good ones once.

A handler gets the transaction and, in order, events of the type or types that the table gives it; it has no try, no
commit, no retry. Handlers must give the same result for events that come late or out of order; that an event comes
twice is dealt with here.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter
from typing import Any, Generic, TypeVar

import structlog
from pydantic import ValidationError

from shared import dead_letters
from shared.crash_points import Point
from shared.dead_letters import Refused
from shared.envelope import Envelope, Record, Undecodable, from_record
from shared.events import Event
from shared.mongo import Index, Mongo, is_outage
from shared.observability import Metrics, describe, set_trace
from shared.readability import Readability, most_common
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Event)

INBOX_INDEXES = (Index("inbox", "seen_at", (("at", 1),)),)


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event as a handler sees it."""

    envelope: Envelope
    data: E
    record: Record


def mark_of(event: Received[Any]) -> str:
    """What makes an event the same event: its source and its identifier (CloudEvents)."""
    return f"{event.envelope.source}|{event.envelope.id}"


Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]
Table = Mapping[type[Event], Handler]


class Unapplicable(Exception):
    """A handler's word that an event can be read but never applied: it becomes a dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotYet(Exception):
    """A handler's word that something it needs has not arrived: the batch, or the request, is to come again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BrokenStream(Exception):
    """So much of a stream cannot be read that the deployment is at fault: nothing of the batch is set aside."""


def each(handler: Callable[[Tx, Received[E]], Awaitable[None]]) -> Handler:
    """A handler of many events out of a handler of one."""

    async def apply(tx: Tx, events: Sequence[Received[E]]) -> None:
        for event in events:
            await handler(tx, event)

    apply.__name__ = handler.__name__
    apply.__doc__ = handler.__doc__
    return apply


class BatchConsumer(ABC):
    """Reads batches of records, sets the broken ones aside, and leaves to `apply` what the good ones do.

    `models` are the events that are read, any other is ignored; `may_keep` says whether a record that cannot be applied
    may be stored as a dead letter (referral must not keep an under-16's identity).
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        models: Collection[type[Event]],
        metrics: Metrics,
        *,
        may_keep: Callable[[Record], bool] = lambda _: True,
    ) -> None:
        self._uow = unit_of_work
        self._mongo: Mongo = unit_of_work.mongo
        self._models = {model.TYPE: model for model in models}
        self._metrics = metrics
        self._may_keep = may_keep
        self.readability = Readability()
        self.alarm: str | None = None
        """Why this consumer has stopped, while it has; see `readability`."""
        self.first_retry_s = 60.0

    @abstractmethod
    async def apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:
        """Make the events' effects durable, all or none.

        `records` are those done with once this has returned, read or set aside; none when a dead letter is replayed.
        """

    async def on_batch(self, records: Sequence[Record]) -> None:
        """Make the records' effects durable.

        Raises when the store is at fault, or when too much cannot be read; the batch then comes again.
        """
        began = perf_counter()
        reach = self._uow.reach
        reach(Point.BATCH_RECEIVED)
        good, refused = self._decode(records)
        readable = self._judge(records, refused)
        await self._set_aside(refused)
        reach(Point.BATCH_SET_ASIDE)
        try:
            await self.apply(good, records)
        except Exception as error:
            if comes_again(error) or not good:
                raise
            log.warning("batch_applied_one_by_one", records=len(good), error=describe(error))
            for event in good:
                await self._apply_alone(event)
            await self.apply([], records)
        self.readability.note(readable)
        reach(Point.BATCH_APPLIED)
        self._metrics.batch_seconds.observe(perf_counter() - began)

    async def why_stopped(self) -> str | None:
        """For health: why this consumer has stopped reading; None when it has not."""
        return self.alarm

    def _judge(self, records: Sequence[Record], refused: Sequence[Refused]) -> list[bool]:
        """Which records can be read. BrokenStream when so few can that the deployment is at fault."""
        broken = {(item.record.topic, item.record.partition, item.record.offset) for item in refused}
        readable = [(record.topic, record.partition, record.offset) not in broken for record in records]
        alarm = self.readability.alarm(readable)
        if alarm is None:
            self._metrics.alarm.set(0)
            self.alarm = None
            return readable
        code = most_common([item.code for item in refused])
        if self.alarm is None:
            log.error("stream_unreadable", unreadable=alarm[0], of=alarm[1], code=code)
        topics = sorted({item.record.topic for item in refused})
        self.alarm = (
            f"{alarm[0]} of the last {alarm[1]} records of {', '.join(topics)} are unreadable (mostly {code}). That is "
            "a deployment that does not fit: nothing of them was set aside, and reading has stopped. Deploy what can "
            "read them; or set FOQUALE_UNDECODABLE_SHARE=1 and start again, and they become dead letters"
        )
        self._metrics.alarm.set(1)
        raise BrokenStream(self.alarm)

    async def replay(self, record: Record) -> tuple[str, str] | None:
        """Apply a dead letter again; None when it went through, else the code and message of why not."""
        good, refused = self._decode([record])
        if refused:
            return refused[0].code, refused[0].message
        if not good:
            return "unknown_type", "this service does not know the event's type"
        try:
            await self.apply(good, ())
        except Exception as error:
            if comes_again(error):
                raise
            return _reason(error)
        return None

    def _decode(self, records: Sequence[Record]) -> tuple[list[Received[Event]], list[Refused]]:
        good: list[Received[Event]] = []
        refused: list[Refused] = []
        for record in records:
            try:
                envelope = from_record(record)
                model = self._models.get(envelope.type)
                if model is None:
                    self._metrics.event("other", "ignored")
                    continue
                good.append(Received(envelope, model.model_validate_json(envelope.data), record))
            except Undecodable as error:
                refused.append(Refused(record, error.code, error.message))
            except ValidationError as error:
                broken = error.errors(include_url=False)[0]["type"] == "json_invalid"
                refused.append(Refused(record, "bad_json" if broken else "invalid_data", _first_error(error)))
        return good, refused

    async def _set_aside(self, refused: Sequence[Refused]) -> None:
        if not refused:
            return
        kept = [item for item in refused if self._may_keep(item.record)]
        await dead_letters.keep(self._mongo, kept, self._uow.clock(), first_retry_s=self.first_retry_s)
        for item in refused:
            self._metrics.event("unreadable", "dead")
            log.warning(
                "dead_letter",
                topic=item.record.topic,
                partition=item.record.partition,
                offset=item.record.offset,
                code=item.code,
            )

    async def _apply_alone(self, event: Received[Event]) -> None:
        try:
            await self.apply([event], ())
        except Exception as error:
            if comes_again(error):
                raise
            code, message = _reason(error)
            may_heal = not isinstance(error, Unapplicable)
            log.error("event_not_applied", type=event.envelope.type, id=event.envelope.id, error=describe(error))  # noqa: TRY400  no text
            await self._set_aside([Refused(event.record, code, message, may_heal=may_heal)])

    def _count(self, events: Sequence[Received[Event]], outcome: str) -> None:
        for type_, count in Counter(event.data.TYPE for event in events).items():
            self._metrics.event(type_, outcome, count)


class Consumer(BatchConsumer):
    """Applies events to one service's store by its table event -> handler.

    `mark` says what makes an event the same as one seen before.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        table: Table,
        metrics: Metrics,
        *,
        may_keep: Callable[[Record], bool] = lambda _: True,
        mark: Callable[[Received[Any]], str] = mark_of,
    ) -> None:
        super().__init__(unit_of_work, table, metrics, may_keep=may_keep)
        self._table = table
        self._mark = mark

    async def apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:  # noqa: ARG002
        """Hand the events not seen before to their handlers, in one transaction."""
        if not events:
            return
        set_trace(events[0].envelope.trace)

        async def work(tx: Tx) -> list[Received[Event]]:
            fresh = await self._unseen(tx, events)
            self._uow.reach(Point.BATCH_MARKED)
            for handler, run in groupby(fresh, key=lambda event: self._table[type(event.data)]):
                await handler(tx, list(run))
            return fresh

        applied = await self._uow.run(work)
        self._count(applied, "applied")
        if len(applied) < len(events):
            self._metrics.event("any", "repeated", len(events) - len(applied))

    async def _unseen(self, tx: Tx, events: Sequence[Received[Event]]) -> list[Received[Event]]:
        """The events whose effect is not there yet, each once; marks them in the same transaction."""
        by_id: dict[str, Received[Event]] = {}
        for event in events:
            by_id.setdefault(self._mark(event), event)
        seen = {
            row["_id"] async for row in tx["inbox"].find({"_id": {"$in": list(by_id)}}, {"_id": 1}, session=tx.session)
        }
        fresh = {key: event for key, event in by_id.items() if key not in seen}
        if fresh:
            await tx["inbox"].insert_many(
                [{"_id": key, "at": tx.now} for key in fresh], ordered=False, session=tx.session
            )
        return list(fresh.values())


def comes_again(error: Exception) -> bool:
    """Whether what raised is to be tried again as it is: the store is away, or something has not arrived yet."""
    return is_outage(error) or isinstance(error, NotYet)


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, Unapplicable):
        return error.code, error.message
    return "not_applicable", f"the handler failed ({type(error).__name__}); replay once the cause is mended"


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "data"
    return f"{where}: {first['msg']}"
