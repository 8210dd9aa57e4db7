"""What every service does with a batch of records: decode, set the broken aside, apply the good ones once.

A handler gets the transaction and, in order, events of the type or types that the table gives it; it has no try, no
commit, no retry. Handlers must give the same result for events that come late or out of order; that an event comes
twice is dealt with here.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from time import monotonic, perf_counter
from typing import Any

import structlog
from pydantic import ValidationError

from shared import dead_letters
from shared.crash_points import Point
from shared.dead_letters import Refused
from shared.envelope import Record, Undecodable, from_record
from shared.events import Event
from shared.handling import Handler, NotYet, Received, SomeUnapplicable, Table, Unapplicable, each, mark_of
from shared.mongo import Index, Mongo, is_outage
from shared.observability import Metrics, describe, set_trace
from shared.readability import Alarm, Readability, explain, most_common
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

__all__ = [
    "INBOX_INDEXES",
    "BatchConsumer",
    "BrokenStream",
    "Consumer",
    "Handler",
    "NotYet",
    "Received",
    "SomeUnapplicable",
    "Table",
    "Unapplicable",
    "comes_again",
    "each",
    "mark_of",
]

INBOX_INDEXES = (Index("inbox", "seen_at", (("at", 1),)),)


class BrokenStream(Exception):
    """So much of a stream cannot be read that the deployment is at fault: nothing of the batch is set aside."""


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
        self._alarm = Alarm()
        self.first_retry_s: float | None = 60.0
        """After how long what a handler failed at is first tried again; None is never."""

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
            await self._apply(good, records)
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

    @property
    def alarm(self) -> str | None:
        """Why this consumer has stopped reading, in words for a person; None when it has not. See `readability`."""
        return self._alarm.standing(monotonic())

    async def why_stopped(self) -> str | None:
        """`alarm`, as a check of health."""
        return self.alarm

    def _judge(self, records: Sequence[Record], refused: Sequence[Refused]) -> list[bool]:
        """Which records can be read. BrokenStream when so few can that the deployment is at fault."""
        broken = {_place(item.record) for item in refused}
        readable = [_place(record) not in broken for record in records] if broken else [True] * len(records)
        found = self.readability.alarm(readable)
        if found is None:
            if self._alarm.raised:
                self._alarm.passed({(record.topic, record.partition) for record in records})
            return readable
        code = most_common([item.code for item in refused])
        reason = explain(*found, sorted({item.record.topic for item in refused}), code)
        if self._alarm.renew(reason, {(item.record.topic, item.record.partition) for item in refused}, monotonic()):
            log.error("stream_unreadable", unreadable=found[0], of=found[1], code=code)
        raise BrokenStream(reason)

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
        ignored = 0
        for record in records:
            try:
                envelope = from_record(record)
                model = self._models.get(envelope.type)
                if model is None:
                    ignored += 1
                    continue
                good.append(Received(envelope, model.model_validate_json(envelope.data), record))
            except Undecodable as error:
                refused.append(Refused(record, error.code, error.message))
            except ValidationError as error:
                broken = error.errors(include_url=False)[0]["type"] == "json_invalid"
                refused.append(Refused(record, "bad_json" if broken else "invalid_data", _first_error(error)))
        if ignored:
            self._metrics.event("other", "ignored", ignored)
        return good, refused

    async def _set_aside(self, refused: Sequence[Refused]) -> None:
        if not refused:
            return
        kept = [item for item in refused if self._may_keep(item.record)]
        await dead_letters.keep(self._uow, kept, first_retry_s=self.first_retry_s)
        for item in refused:
            self._metrics.event("unreadable", "dead")
            log.warning(
                "dead_letter",
                topic=item.record.topic,
                partition=item.record.partition,
                offset=item.record.offset,
                code=item.code,
                kept=item in kept,
            )

    async def _apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:
        """Apply the events, but set those aside of which a handler says that they can never be applied."""
        left = list(events)
        while True:
            try:
                await self.apply(left, records)
                return
            except SomeUnapplicable as error:
                await self._set_aside([Refused(event.record, why.code, why.message) for event, why in error.reasons])
                named = {_place(event.record) for event, _ in error.reasons}
                before, left = left, [event for event in left if _place(event.record) not in named]
                if len(left) == len(before):
                    raise

    async def _apply_alone(self, event: Received[Event]) -> None:
        try:
            await self.apply([event], [event.record])
        except Exception as error:
            if comes_again(error):
                raise
            await self._give_up(event.record, error)

    async def _give_up(self, record: Record, error: Exception) -> None:
        """Set a record aside that can be read and not applied."""
        code, message = _reason(error)
        may_heal = not isinstance(error, Unapplicable | SomeUnapplicable)
        log.error("event_not_applied", topic=record.topic, offset=record.offset, error=describe(error))
        await self._set_aside([Refused(record, code, message, may_heal=may_heal)])

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

    async def apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:  # noqa: ARG002  its inbox tells
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


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, SomeUnapplicable):
        error = error.reasons[0][1]
    if isinstance(error, Unapplicable):
        return error.code, error.message
    return "not_applicable", f"the handler failed ({type(error).__name__}); replay once the cause is mended"


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "data"
    return f"{where}: {first['msg']}"
