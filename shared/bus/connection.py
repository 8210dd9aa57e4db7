"""One service's connection to the broker: its subscriptions, and its producer."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.bus.log import Log, record_of
from shared.crash_points import Point, Reach, pass_by
from shared.ending import asked_to_end
from shared.envelope import Envelope, Record, to_headers
from shared.observability import describe
from shared.settings import ServiceSettings
from shared.watch import Look

log = structlog.get_logger(__name__)

OnBatch = Callable[[Sequence[Record]], Awaitable[None]]
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

    def subscribe(self, topics: Sequence[str], group: str, on_batch: OnBatch) -> None:
        """Hand the topics' records to `on_batch`, in order per partition, until it has returned without an error.

        `on_batch` must have made its effects durable when it returns. When it raises, the batch comes again after a
        pause that grows to five seconds; nothing is committed before.
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
            max_partition_fetch_bytes=4 * 1024 * 1024,
            listener=deals,
            parser=_raw_parser,
            decoder=_raw_decoder,
        )

        async def consume(message: KafkaMessage) -> None:
            raw: Sequence[ConsumerRecord[bytes, bytes]] = message.raw_message
            progress.in_hand_since = time.monotonic()
            deal = deals.held
            try:
                await on_batch([record_of(item) for item in raw])
            except (Exception, asyncio.CancelledError) as error:
                # Whatever it is, the batch must come again.
                if isinstance(error, asyncio.CancelledError) and asked_to_end():
                    raise
                progress.failures += 1
                pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(progress.failures, 10))
                log.warning("batch_failed", topics=topics, records=len(raw), error=describe(error), pause_s=pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 jitter
                if deals.still(deal):
                    await message.nack()
                return
            finally:
                progress.in_hand_since = None
            progress.failures = 0
            if not deals.still(deal):
                # Another replica may have come further meanwhile: this commit, once valid again, would move it back.
                log.info("commit_left_out", topics=topics, records=len(raw))
                return
            ends: dict[TopicPartition, int] = {}
            for item in raw:
                ends[TopicPartition(item.topic, item.partition)] = item.offset + 1
            try:
                await message.consumer.commit(ends)  # type: ignore[call-arg]  # FastStream's protocol is narrower
            except KafkaError as error:
                # The partitions went to another replica meanwhile: it sees these records again, without effect.
                log.info("commit_refused", topics=topics, error=describe(error))
            self._reach(Point.BATCH_COMMITTED)

        subscriber(consume)

    async def start(self) -> None:
        """Connect, and start to consume."""
        await self._broker.connect()
        # Side by side: joining a group may take seconds.
        starts = [subscriber.start() for subscriber in self._broker.subscribers]
        failed = [each for each in await asyncio.gather(*starts, return_exceptions=True) if each is not None]
        if failed:
            await self.stop_consuming()  # so that a start may be tried again
            raise failed[0]

    async def stop_consuming(self) -> None:
        """Finish the batch in hand, commit it and leave the groups; publishing still works."""
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
        subscriber = self._broker.subscribers[number]
        await subscriber.stop()
        self.subscriptions[number].in_hand_since = None
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
            log.error("not_publishable", topic=event.topic, id=event.envelope.id, error=describe(error))  # noqa: TRY400
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
