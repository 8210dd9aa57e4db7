"""Kafka, in one place: the only module that imports FastStream's Kafka broker and aiokafka.

Consumption follows the one recipe that loses nothing with this stack: manual acknowledgement, whole batches, raw
records (FastStream's own parsing lets one bad header or one bad JSON take its batch along), and an explicit commit of
each partition after the effects are durable.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.fetch import FetchRequest
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.crash_points import Point, Reach, pass_by
from shared.envelope import Envelope, Record, to_headers
from shared.events import SieiDropout
from shared.observability import describe
from shared.settings import ServiceSettings
from shared.watch import Look

log = structlog.get_logger(__name__)

OnBatch = Callable[[Sequence[Record]], Awaitable[None]]
BusError = KafkaError

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_ANSWER_MS = 10_000
_DAY_MS = 24 * 3600 * 1000


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

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002
        self._count += 1
        self.held = self._count

    def still(self, deal: int | None) -> bool:
        """Whether what was read in `deal` may still be committed or read again by this consumer."""
        return deal is not None and deal == self.held


class LogReader:
    """Reads the log batch by batch, in order per partition."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, most: int, wait_s: float) -> list[Record]:
        """The next records; none when none came within `wait_s` seconds."""
        found = await self._consumer.getmany(max_records=most, timeout_ms=int(wait_s * 1000))
        return [_record(item) for items in found.values() for item in items]

    async def positions(self) -> dict[tuple[str, int], int]:
        """For every partition, the offset of the next record to read. At first that is where the log begins."""
        return {
            (partition.topic, partition.partition): await self._consumer.position(partition)
            for partition in self._consumer.assignment()
        }


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
        self._consumers: list[AIOKafkaConsumer] = []
        self._admin: AIOKafkaAdminClient | None = None
        self._counts: dict[str, int] = {}
        self._observing = asyncio.Lock()
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
                await on_batch([_record(item) for item in raw])
            except Exception as error:  # noqa: BLE001  whatever it is, the batch must come again
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
        await asyncio.gather(*(subscriber.start() for subscriber in self._broker.subscribers))

    async def stop_consuming(self) -> None:
        """Finish the batch in hand, commit it and leave the groups; publishing still works."""
        for subscriber in self._broker.subscribers:
            await subscriber.stop()

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()
        while self._consumers:
            await self._consumers.pop().stop()
        await self._close_admin()

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
        ends = await self.end_offsets(progress.topics)
        partitions = [TopicPartition(*partition) for partition in ends]
        begins = await (await self._observer()).beginning_offsets(partitions)
        committed = await self._committed(progress.group, partitions)
        now = time.monotonic()
        return Look(
            at=now,
            begins={(partition.topic, partition.partition): offset for partition, offset in begins.items()},
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

    async def _committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
        """The group's offsets; a partition of which it has none is left away."""
        if self._admin is None:
            self._admin = await _admin(self._settings)
        try:
            # All partitions by name: the embedded broker cannot list them by itself.
            found = await self._admin.list_consumer_group_offsets(group, partitions=list(partitions))
        except BaseException:
            await self._close_admin()
            raise
        return {(p.topic, p.partition): offset.offset for p, offset in found.items() if offset.offset >= 0}

    async def _close_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()

    def assignment(self) -> dict[str, int]:
        """How many partitions of each topic this process holds."""
        count: dict[str, int] = {}
        for subscriber in self._broker.subscribers:
            consumer: AIOKafkaConsumer | None = getattr(subscriber, "consumer", None)
            for partition in consumer.assignment() if consumer else ():
                count[partition.topic] = count.get(partition.topic, 0) + 1
        return count

    @asynccontextmanager
    async def log(self, topics: Sequence[str]) -> AsyncIterator[LogReader]:
        """The topics' records from the beginning of the log, outside any group: reading them changes nothing."""
        counts = await self._partition_counts(topics)
        partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=50,
        )
        await _to_the_end(consumer.start(), consumer.stop)
        try:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            yield LogReader(consumer)
        finally:
            await consumer.stop()

    async def publish(self, events: Sequence[Outgoing]) -> list[bool]:
        """Send the events and wait for the broker's word on each: whether it is in the log (all replicas)."""
        futures = [await self._send(event) for event in events]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, asyncio.CancelledError):
                raise answer
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

    async def end_offsets(self, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        """For every partition of the topics, the offset that the next record will have."""
        consumer = await self._observer()
        counts = await self._partition_counts(topics)
        partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        ends = await consumer.end_offsets(partitions) if partitions else {}
        if ends and not self._settings.kafka_idempotence:
            ends |= await _embedded_end_offsets(consumer, ends)
        return {(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    async def _partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each topic has; a topic's number is asked for once and, as it never falls, kept."""
        unknown = sorted(set(topics) - set(self._counts))
        if unknown:
            admin = await _admin(self._settings)
            try:
                described = await admin.describe_topics(unknown)
            finally:
                await admin.close()
            self._counts |= {each["topic"]: len(each["partitions"]) for each in described if each["partitions"]}
        return {topic: self._counts[topic] for topic in topics if topic in self._counts}

    async def _observer(self) -> AIOKafkaConsumer:
        """A consumer of no group that only asks for offsets; made when first needed."""
        async with self._observing:
            if not self._consumers:
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=self._settings.kafka_bootstrap,
                    enable_auto_commit=False,
                    request_timeout_ms=_ANSWER_MS,
                )
                await _to_the_end(consumer.start(), consumer.stop)
                try:
                    await consumer.topics()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumers.append(consumer)
        return self._consumers[0]

    async def topics(self) -> set[str]:
        """The topics that the broker has."""
        consumer = await self._observer()
        return set(await consumer.topics())


async def _embedded_end_offsets(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The true ends: the embedded broker counts a partition's last batch as one record, but a fetch tells all of it."""
    asked: dict[str, list[tuple[int, int, int]]] = {}
    for partition, offset in ends.items():
        asked.setdefault(partition.topic, []).append((partition.partition, offset, 1))
    client = consumer._client  # noqa: SLF001  it has no public way to a high watermark without consuming
    broker = client.cluster.leader_for_partition(next(iter(ends)))
    found: dict[TopicPartition, int] = {}
    if broker in (None, -1):
        return found
    for wait_ms in (1, 10, 100):
        answer = await client.send(broker, FetchRequest(wait_ms, 1, 1, 0, list(asked.items())))
        for topic, rows in answer.topics:
            for number, _error, end, *_data in rows:
                partition = TopicPartition(topic, number)
                found[partition] = max(ends[partition], end)
        if len(found) == len(ends):
            break
    return found


async def ensure_topics(settings: ServiceSettings, topics: Sequence[str], *, deadline_s: float = 60.0) -> None:
    """Create the topics that are missing and wait until the broker knows them all. Safe to call from many at once."""
    give_up_at = time.monotonic() + deadline_s
    while True:
        try:
            await _create(settings, topics)
            return
        except (KafkaError, OSError):
            if time.monotonic() >= give_up_at:
                raise
            await asyncio.sleep(0.5)


async def _create(settings: ServiceSettings, topics: Sequence[str]) -> None:
    admin = await _admin(settings)
    try:
        missing = sorted(set(topics) - set(await admin.list_topics()))
        if missing:
            answer = await admin.create_topics(
                [
                    NewTopic(
                        name,
                        settings.kafka_partitions,
                        settings.kafka_replication,
                        topic_configs=_topic_config(settings, name),
                    )
                    for name in missing
                ]
            )
            for row in answer.topic_errors:
                error = for_code(row[1])
                if row[1] and error is not TopicAlreadyExistsError:
                    raise error(row[0])
    finally:
        await admin.close()


async def _admin(settings: ServiceSettings) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=_ANSWER_MS)
    await _to_the_end(admin.start(), admin.close)
    return admin


async def _to_the_end(start: Coroutine[Any, Any, None], stop: Callable[[], Awaitable[None]]) -> None:
    """Start a client, and stop it if that fails. A cancel waits for it: half started, it would leave a connection."""
    starting = asyncio.ensure_future(start)
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.gather(starting, return_exceptions=True)
        await stop()
        raise


def _topic_config(settings: ServiceSettings, topic: str) -> dict[str, str]:
    """Facts are kept for ever, what holds identity for days (settings). Kafka's own default would drop both in a week.

    A write counts once two replicas have it, where there are three or more.
    """
    config = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "min.insync.replicas": str(min(2, max(1, settings.kafka_replication - 1))),
    }
    if topic == settings.topic(SieiDropout.TOPIC):
        config["retention.ms"] = str(settings.siei_retention_days * _DAY_MS)
        # Only whole segments are dropped: with one segment a day, a record outlives its time by a day at most.
        config["segment.ms"] = str(_DAY_MS)
    return config


def _record(item: "ConsumerRecord[bytes, bytes]") -> Record:
    return Record(item.topic, item.partition, item.offset, item.key, item.value, item.headers)


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
