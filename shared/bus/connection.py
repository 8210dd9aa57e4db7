"""One service's connection to the broker: its subscriptions, and its producer."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, TypeAlias, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.bus.in_step import InStepConsumer
from shared.bus.log import Log
from shared.crash_points import Point, Reach, pass_by
from shared.ending import asked_to_end
from shared.envelope import Envelope, Record, to_headers
from shared.observability import describe
from shared.settings import ServiceSettings
from shared.watch import Look

log = structlog.get_logger(__name__)

OnBatch = Callable[[Sequence[Record]], Coroutine[Any, Any, None]]
BusError = KafkaError

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


@dataclass
class Progress:
    """How far a subscription has come, for health and metrics."""

    topics: tuple[str, ...]
    group: str
    failures: int = 0
    in_hand_since: float | None = None
    ending: bool = False


class _Deals(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Which deal of partitions a consumer holds. With each new one it reads on from the group's offsets."""

    def __init__(self) -> None:
        self._count = 0
        self.held: int | None = None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  all are dealt anew
        self.held = None

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002  likewise
        self._count += 1
        self.held = self._count

    def still(self, deal: int | None) -> bool:
        """Whether what was read in `deal` may still be committed or read again by this consumer."""
        return deal is not None and deal == self.held


_Raw: TypeAlias = "ConsumerRecord[bytes, bytes]"
_Runs: TypeAlias = Sequence[Sequence[_Raw]]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records in hand, partition by partition: the deal they were read in, and the task that makes them durable."""

    runs: _Runs
    deal: int | None
    task: "asyncio.Task[None]"

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def is_durable(self) -> bool:
        """Whether the task has come to its end, and well."""
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    def begins(self) -> dict[TopicPartition, int]:
        """The first offset of each partition."""
        return {TopicPartition(run[0].topic, run[0].partition): run[0].offset for run in reversed(self.runs)}

    def ends(self) -> dict[TopicPartition, int]:
        """The offset after the last of each partition."""
        return {TopicPartition(run[-1].topic, run[-1].partition): run[-1].offset + 1 for run in self.runs}


@dataclass
class _Burst:
    """Works off what one subscription has to read: some batches at once, committed in order. See `Bus.subscribe`."""

    progress: Progress
    deals: _Deals
    on_batch: OnBatch
    records: int
    ahead: int
    reach: Reach

    async def run(self, consumer: "_Consumer", raw: Sequence[_Raw]) -> None:
        """Work off these records, which the consumer handed out last, and what can be read meanwhile."""
        in_hand: deque[_Batch] = deque()
        runs: _Runs = [list(run) for _, run in groupby(raw, attrgetter("topic", "partition"))]
        deal = consumer.deal
        try:
            while runs:
                in_hand.append(self._begin(runs, deal))
                runs = ()
                await asyncio.sleep(0)  # it is read now, and others have their turn before more is handed out
                if len(in_hand) < self.ahead:
                    runs, deal = await self._more(consumer), consumer.deal
                while in_hand and (not runs or len(in_hand) >= self.ahead or in_hand[0].task.done()):
                    if not await self._settle(consumer, in_hand):
                        return
                    if not runs and self.ahead > 1:
                        runs, deal = await self._more(consumer), consumer.deal
        finally:
            self.progress.in_hand_since = None
            await _abandon(in_hand)

    def _begin(self, runs: _Runs, deal: int | None) -> _Batch:
        self.progress.in_hand_since = self.progress.in_hand_since or time.monotonic()
        # A record as aiokafka has it is a record as we have it: no copy.
        task = asyncio.ensure_future(self.on_batch(cast("Sequence[Record]", list(chain.from_iterable(runs)))))
        return _Batch(runs, deal, task)

    async def _more(self, consumer: "_Consumer") -> _Runs:
        """What can be read without waiting."""
        if self.progress.ending:
            return ()
        try:
            found = await consumer.getmany(timeout_ms=0, max_records=self.records)
        except KafkaError:
            return ()  # who waits for more meets it again
        return list(found.values())

    async def _settle(self, consumer: "_Consumer", in_hand: deque[_Batch]) -> bool:
        """Wait for the oldest batch, and commit it with those after it that are done as well.

        False when it failed, and with it all that are in hand.
        """
        try:
            await in_hand[0].task
        except (Exception, asyncio.CancelledError) as error:
            # Whatever it is, the batch must come again.
            if isinstance(error, asyncio.CancelledError) and asked_to_end():
                raise
            await self._failed(consumer, in_hand, error)
            return False
        done = [in_hand.popleft()]
        while in_hand and in_hand[0].is_durable():
            done.append(in_hand.popleft())
        self.progress.failures = 0
        self.progress.in_hand_since = time.monotonic() if in_hand else None
        ends: dict[TopicPartition, int] = {}
        for batch in done:
            if self.deals.still(batch.deal):
                ends |= batch.ends()
            else:
                # Another replica may have come further meanwhile: this commit, once valid again, would move it back.
                log.info("commit_left_out", topics=self.progress.topics, records=len(batch))
        if not ends:
            return True
        try:
            await consumer.commit(ends)
        except KafkaError as error:
            # The partitions went to another replica meanwhile: it sees these records again, without effect.
            log.info("commit_refused", topics=self.progress.topics, error=describe(error))
        self.reach(Point.BATCH_COMMITTED)
        return True

    async def _failed(self, consumer: "_Consumer", in_hand: deque[_Batch], error: BaseException) -> None:
        """Let go of all that is in hand, pause, and go back to the first record of each partition."""
        batches = list(in_hand)
        await _abandon(in_hand)
        self.progress.failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self.progress.failures, 10))
        log.warning(
            "batch_failed",
            topics=self.progress.topics,
            records=sum(map(len, batches)),
            error=describe(error),
            pause_s=pause,
        )
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 jitter
        begins: dict[TopicPartition, int] = {}
        for batch in reversed(batches):
            if self.deals.still(batch.deal):
                begins |= batch.begins()
        for partition, offset in begins.items():
            with contextlib.suppress(IllegalStateError):  # it went to another replica just now
                consumer.seek(partition, offset)


async def _abandon(in_hand: deque[_Batch]) -> None:
    """End the tasks of these batches, and forget them."""
    for batch in in_hand:
        batch.task.cancel()
    await asyncio.gather(*(batch.task for batch in in_hand), return_exceptions=True)
    in_hand.clear()


class _Consumer(InStepConsumer):
    """Joins its group once it has started: aiokafka's own waits for that, which a dead member can hold up a session.

    `deal` is the one in which it read what it handed out last. Until that is begun there may be another.
    """

    deal: int | None = None

    def subscribe(self, *, listener: _Deals, **subscription: Any) -> None:
        self._deals = listener
        self._join = partial(super().subscribe, listener=listener, **subscription)

    async def start(self) -> None:
        await super().start()
        self._join()

    async def getmany(self, *partitions: TopicPartition, **how: Any) -> dict[TopicPartition, list[_Raw]]:
        found = await super().getmany(*partitions, **how)
        self.deal = self._deals.held
        return found


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event and the topic it goes to."""

    topic: str
    envelope: Envelope


class Bus:
    """One service's connection to the broker: its subscriptions and its producer."""

    def __init__(self, settings: ServiceSettings, *, reach: Reach = pass_by) -> None:
        self._settings = settings
        self._reach = reach
        self._broker = KafkaBroker(
            settings.kafka_bootstrap,
            acks="all",
            enable_idempotence=settings.kafka_idempotence,
            linger_ms=2,
            max_batch_size=256 * 1024,
            max_request_size=4 * 1024 * 1024,
            allow_auto_create_topics=False,
            graceful_timeout=settings.graceful_timeout_s,
            apply_types=False,
            logger=None,
            client_id=f"foquale-{settings.service}",
        )
        self.log = Log(settings)
        self.subscriptions: list[Progress] = []

    def subscribe(self, topics: Sequence[str], group: str, on_batch: OnBatch, *, ahead: int = 1) -> None:
        """Hand the topics' records to `on_batch`, in order per partition, until it has returned without an error.

        `on_batch` must have made its effects durable when it returns. When it raises, the batch comes again after a
        pause that grows to five seconds; nothing is committed before. While there is more to read, up to `ahead`
        batches are handed over before the first has returned, so that one is read while another is being written;
        they are committed in their order, and when one fails those after it come again too.
        """
        progress = Progress(tuple(topics), group)
        self.subscriptions.append(progress)
        deals = _Deals()
        subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            max_records=self._settings.batch_records,
            batch_timeout_ms=self._settings.batch_timeout_ms,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=self._settings.kafka_session_ms,
            heartbeat_interval_ms=min(3_000, self._settings.kafka_session_ms // 5),
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=1024 * 1024,
            listener=deals,
            parser=_raw_parser,
            decoder=_raw_decoder,
        )
        burst = _Burst(progress, deals, on_batch, self._settings.batch_records, ahead, self._reach)

        async def consume(message: KafkaMessage) -> None:
            await burst.run(cast("_Consumer", message.consumer), message.raw_message)

        subscriber(consume)

    async def start(self) -> None:
        """Connect, and start to consume; the groups are joined meanwhile. BusError when no broker answers."""
        await self.log.topics()  # or FastStream would leave the producer behind that it could not connect
        try:
            builder = cast("partial[AIOKafkaConsumer]", await self._broker.connect())
            self._broker.config.broker_config.builder = partial(_Consumer, **builder.keywords)
            for subscriber in self._broker.subscribers:
                await subscriber.start()
        except BaseException:
            await self._broker.stop()  # so that a start may be tried again
            raise

    async def stop_consuming(self) -> None:
        """Finish the batches in hand, commit them and leave the groups; publishing still works."""
        for progress in self.subscriptions:
            progress.ending = True
        for subscriber in self._broker.subscribers:
            await subscriber.stop()

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()
        await self.log.close()

    def stopped_loops(self) -> list[str]:
        """Subscriptions whose loop has ended although it should run."""
        return [
            f"the loop that reads {', '.join(progress.topics)} has ended"
            for number, progress in enumerate(self.subscriptions)
            if self._ended(number)
        ]

    def _ended(self, number: int) -> bool:
        # FastStream's base type does not tell of its tasks; one that failed stays beside the one that took over.
        tasks: list[asyncio.Task[Any]] = getattr(self._broker.subscribers[number], "tasks", [])
        return all(task.done() for task in tasks)

    async def look(self, number: int) -> Look:
        """What subscription `number` shows of its progress. BusError or OSError when the broker does not answer."""
        progress = self.subscriptions[number]
        consumer: AIOKafkaConsumer | None = getattr(self._broker.subscribers[number], "consumer", None)
        assigned = consumer.assignment() if consumer else frozenset()
        ends = await self.log.end_offsets(progress.topics)
        begins = await self.log.begin_offsets(progress.topics)
        committed = await self.log.committed(progress.group, progress.topics)
        now = time.monotonic()
        return Look(
            at=now,
            begins=begins,
            ends=ends,
            committed=committed,
            assigned=frozenset((partition.topic, partition.partition) for partition in assigned),
            in_hand_s=0.0 if progress.in_hand_since is None else now - progress.in_hand_since,
            failing=progress.failures > 0,
            ended=self._ended(number),
        )

    async def start_anew(self, number: int) -> None:
        """Stop subscription `number`, by force where it does not end, and start it with a connection of its own."""
        subscriber, progress = self._broker.subscribers[number], self.subscriptions[number]
        progress.ending = True
        await subscriber.stop()
        progress.ending, progress.in_hand_since = False, None
        await subscriber.start()

    def assignment(self) -> dict[str, int]:
        """How many partitions of each topic this process holds."""
        count: dict[str, int] = {}
        for subscriber in self._broker.subscribers:
            consumer: AIOKafkaConsumer | None = getattr(subscriber, "consumer", None)
            for partition in consumer.assignment() if consumer else ():
                count[partition.topic] = count.get(partition.topic, 0) + 1
        return count

    async def publish(self, events: Sequence[Outgoing]) -> list[bool]:
        """Send the events and wait for the broker's word on each: whether it is in the log (all replicas)."""
        futures = [await self._send(event) for event in events]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        return [not isinstance(answer, BaseException) for answer in answers]

    async def _send(self, event: Outgoing) -> "asyncio.Future[Any]":
        try:
            return await self._broker.publish(
                event.envelope.data,
                topic=event.topic,
                key=event.envelope.subject.encode(),
                headers=to_headers(event.envelope),
                no_confirm=True,
                correlation_id=event.envelope.id,
            )
        except KafkaError as error:
            # One that the client refuses by itself (too large, say) must not hold up all others.
            told = describe(error)
            log.error("not_publishable", topic=event.topic, id=event.envelope.id, error=told)  # noqa: TRY400  a traceback may name a youth
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused


async def _raw_parser(message: Any, original: Any) -> Any:
    """A message that holds the raw records; FastStream's parser would raise on a header that is not UTF-8."""
    parser = original.__self__
    return parser.msg_class(
        body=b"",
        headers={},
        batch_headers=[],
        reply_to="",
        content_type=None,
        message_id=f"{message[0].offset}-{message[-1].offset}",
        correlation_id="",
        raw_message=message,
        consumer=parser._consumer,  # noqa: SLF001  what FastStream's own parser passes on
    )


async def _raw_decoder(message: KafkaMessage, _original: Any) -> Any:
    return message
