"""Records that nobody can read, as where a disk has lost a bit: which they are, and how the log goes on behind them.

A reader stands still before such a record, and so does whoever reads the log from its beginning. Kafka can only let go
of all that a partition has up to there; what is lost with that, journals have.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import CorruptRecordException, KafkaError

from shared.bus.clients import admin_client, to_the_end
from shared.bus.log import Log
from shared.settings import ServiceSettings

_ANSWER_MS: Final = 10_000
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Damage:
    """A partition of which something cannot be read: `first` is the first such offset, and `beyond` the one from which
    on everything can be read. What lies between two damages counts as damaged.
    """

    topic: str
    partition: int
    first: int
    beyond: int


class Inspection:
    """A look at the log itself; see `inspection`."""

    def __init__(self, settings: ServiceSettings, log: Log, consumer: AIOKafkaConsumer) -> None:
        self.log = log
        self._settings = settings
        self._consumer = consumer

    async def damages(self, topics: Sequence[str]) -> list[Damage]:
        """Read all that these topics have by now, and tell what cannot be read. BusError when nobody answers."""
        begins, ends = await self.log.begin_offsets(topics), await self.log.end_offsets(topics)
        found = [await self._damage_of(TopicPartition(*key), begins[key], ends[key]) for key in sorted(begins)]
        return [damage for damage in found if damage is not None]

    async def written_at(self, topic: str, partition: int, offset: int) -> datetime | None:
        """When the record at this offset, or the next after it, was written; None where none can be read."""
        ends = await self.log.end_offsets([topic])
        if offset >= ends[topic, partition]:
            return None
        where = TopicPartition(topic, partition)
        self._consumer.assign([where])
        self._consumer.seek(where, offset)
        try:
            record, *_ = await self._read(where, most=1)
        except CorruptRecordException:
            return None
        return datetime.fromtimestamp(record.timestamp / 1000, UTC)

    async def let_go(self, damages: Sequence[Damage]) -> None:
        """Let these partitions begin behind their damage. Readers that stand before it go on from there."""
        admin = await admin_client(self._settings)
        try:
            await admin.delete_records(
                {TopicPartition(each.topic, each.partition): RecordsToDelete(each.beyond) for each in damages}
            )
        finally:
            await admin.close()

    async def _damage_of(self, partition: TopicPartition, begin: int, end: int) -> Damage | None:
        self._consumer.assign([partition])
        self._consumer.seek(partition, begin)
        damage, at = None, begin
        while at < end:
            try:
                at = (await self._read(partition, most=_AT_ONCE))[-1].offset + 1
            except CorruptRecordException:
                at = await self._up_to_the_damage(partition, at)
                first = at if damage is None else damage.first
                at = await self._behind_the_damage(partition, at, end)
                damage = Damage(partition.topic, partition.partition, first, at)
                self._consumer.seek(partition, at)
        return damage

    async def _up_to_the_damage(self, partition: TopicPartition, at: int) -> int:
        """The first offset from `at` on that cannot be read: with what is read at once, what is before it goes too."""
        self._consumer.seek(partition, at)
        while True:
            try:
                at = (await self._read(partition, most=1))[-1].offset + 1
            except CorruptRecordException:
                return at

    async def _behind_the_damage(self, partition: TopicPartition, at: int, end: int) -> int:
        """The next offset that can be read, where `at` cannot; `end` if none can."""
        bad, step = at, 1
        while (good := min(at + step, end)) < end and not await self._is_readable(partition, good):
            bad, step = good, 2 * step
        while good - bad > 1:
            middle = (bad + good) // 2
            if await self._is_readable(partition, middle):
                good = middle
            else:
                bad = middle
        return good

    async def _is_readable(self, partition: TopicPartition, offset: int) -> bool:
        self._consumer.seek(partition, offset)
        try:
            return bool(await self._read(partition, most=1))
        except CorruptRecordException:
            return False

    async def _read(self, partition: TopicPartition, most: int) -> "Sequence[ConsumerRecord[bytes, bytes]]":
        """The next records, one at least. CorruptRecordException where these cannot be read."""
        found = await self._consumer.getmany(partition, timeout_ms=_ANSWER_MS, max_records=most)
        if not found:
            at = await self._consumer.position(partition)
            raise KafkaError(f"no record of {partition.topic}, partition {partition.partition}, came from {at} on")
        records: Sequence[ConsumerRecord[bytes, bytes]] = found[partition]
        return records


@asynccontextmanager
async def inspection(settings: ServiceSettings) -> AsyncIterator[Inspection]:
    """Look at the log, outside any group: looking changes nothing. BusError when no broker answers."""
    log = Log(settings)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_wait_ms=50,
    )
    try:
        await to_the_end(consumer.start(), consumer.stop)
        try:
            yield Inspection(settings, log, consumer)
        finally:
            await consumer.stop()
    finally:
        await log.close()
