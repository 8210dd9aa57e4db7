"""Looks at the log from outside any group: where it begins and ends, how far a group has come, all that is in it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest

from shared.bus.clients import ANSWER_MS, admin_client, to_the_end
from shared.bus.in_step import InStepConsumer
from shared.envelope import Record
from shared.settings import ServiceSettings


def record_of(item: "ConsumerRecord[bytes, bytes]") -> Record:
    """A record as it lies in the log."""
    return Record(item.topic, item.partition, item.offset, item.key, item.value, item.headers)


class LogReader:
    """Reads the log batch by batch, in order per partition, and its topics in step."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, most: int, wait_s: float) -> list[Record]:
        """The next records; none when none came within `wait_s` seconds."""
        found = await self._consumer.getmany(max_records=most, timeout_ms=int(wait_s * 1000))
        return [record_of(item) for items in found.values() for item in items]

    async def positions(self) -> dict[tuple[str, int], int]:
        """For every partition, the offset of the next record to read. At first that is where the log begins."""
        return {
            (partition.topic, partition.partition): await self._consumer.position(partition)
            for partition in self._consumer.assignment()
        }


class Log:
    """The broker's log. Its connections are made when first needed; `close` ends them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._consumers: list[AIOKafkaConsumer] = []
        self._admin: AIOKafkaAdminClient | None = None
        self._counts: dict[str, int] = {}
        self._tracked: set[str] = set()
        self._observing = asyncio.Lock()

    async def close(self) -> None:
        """Disconnect."""
        while self._consumers:
            await self._consumers.pop().stop()
        await self._close_admin()

    @asynccontextmanager
    async def read(
        self, topics: Sequence[str], begins: Mapping[tuple[str, int], int] | None = None
    ) -> AsyncIterator[LogReader]:
        """The topics' records from the beginning of the log, outside any group: reading them changes nothing.

        `begins`: of these partitions alone, each from this offset on; 0 is where the log begins.
        """
        partitions = await self._partitions(topics)
        if begins is not None:
            partitions = [partition for partition in partitions if (partition.topic, partition.partition) in begins]
        consumer = InStepConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=50,
        )
        await to_the_end(consumer.start(), consumer.stop)
        try:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            for partition in partitions:
                if begin := (begins or {}).get((partition.topic, partition.partition)):
                    consumer.seek(partition, begin)
            yield LogReader(consumer)
        finally:
            await consumer.stop()

    async def end_offsets(self, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        """For every partition of the topics, the offset that the next record will have."""
        consumer = await self._observer()
        partitions = await self._partitions(topics)
        ends = await consumer.end_offsets(partitions) if partitions else {}
        if ends and not self._settings.kafka_idempotence:
            ends |= await _embedded_end_offsets(consumer, ends)
        return {(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    async def begin_offsets(self, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        """For every partition of the topics, the offset at which the log begins."""
        begins = await (await self._observer()).beginning_offsets(await self._partitions(topics))
        return {(partition.topic, partition.partition): offset for partition, offset in begins.items()}

    async def committed(self, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """The group's offsets; a partition of which it has none is left away."""
        if self._admin is None:
            self._admin = await admin_client(self._settings)
        try:
            # All partitions by name: the embedded broker cannot list them by itself.
            found = await self._admin.list_consumer_group_offsets(group, partitions=await self._partitions(topics))
        except BaseException:
            await self._close_admin()
            raise
        return {(p.topic, p.partition): offset.offset for p, offset in found.items() if offset.offset >= 0}

    async def topics(self) -> set[str]:
        """The topics that the broker has."""
        consumer = await self._observer()
        return set(await consumer.topics())

    async def _close_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()

    async def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        counts = await self._partition_counts(topics)
        return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]

    async def _partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each topic has; a topic's number is asked for once and, as it never falls, kept."""
        unknown = set(topics) - set(self._counts)
        if unknown:
            # The observer then knows who leads their partitions, too: else every first question for their offsets
            # would go in search of it, topic by topic, with pauses.
            client = (await self._observer())._client  # noqa: SLF001  it tracks topics only by a subscription
            self._tracked |= unknown
            client.set_topics(self._tracked)
            if not await client.force_metadata_update():
                raise KafkaConnectionError("no broker answered which partitions there are")
            for topic in unknown:
                if numbers := client.cluster.partitions_for_topic(topic):
                    self._counts[topic] = len(numbers)
        return {topic: self._counts[topic] for topic in topics if topic in self._counts}

    async def _observer(self) -> AIOKafkaConsumer:
        """A consumer of no group that only asks for offsets; made when first needed."""
        async with self._observing:
            if not self._consumers:
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=self._settings.kafka_bootstrap,
                    enable_auto_commit=False,
                    request_timeout_ms=ANSWER_MS,
                )
                await to_the_end(consumer.start(), consumer.stop)
                try:
                    await consumer.topics()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumers.append(consumer)
        return self._consumers[0]


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
