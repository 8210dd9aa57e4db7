"""A disk loses a bit: what the broker hands out of that partition cannot be read, and everything else still is."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import ApacheKafka, free_port
from shared.bus import Bus, ensure_topics
from shared.envelope import Record
from shared.settings import ServiceSettings
from tests.support.probe import eventually

PARTITIONS = 6
DAMAGED = 2
RECORDS = 400
BATCH = 20
"""Records that the producer sends as one; of the damaged partition one such batch is broken."""


@pytest.mark.apache_kafka
@pytest.mark.both_kafkas
@pytest.mark.timeout(180)
async def test_beside_a_damaged_partition_all_others_are_read_whole(tmp_path: Path) -> None:
    data, port = tmp_path / "kafka", free_port()
    settings = ServiceSettings(
        service="reader",
        port=0,
        kafka_bootstrap=f"127.0.0.1:{port}",
        kafka_partitions=PARTITIONS,
        kafka_session_ms=3_000,
        batch_records=10 * RECORDS,  # so that one reading goes through all partitions
    )
    with ApacheKafka(data, port=port):
        await ensure_topics(settings, ["numbers"])
        await write(settings)
    damage(data, at=RECORDS // 2)
    seen: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}

    async def apply(batch: Sequence[Record]) -> None:
        await asyncio.sleep(0.001)
        for record in batch:
            seen[record.partition].append(int(record.value or b""))

    async def others_read() -> bool:
        return all({*of} == {*range(RECORDS)} for number, of in seen.items() if number != DAMAGED)

    with ApacheKafka(data, port=port):
        bus = Bus(settings)

        async def others_committed() -> bool:
            committed = await bus.log.committed("reader", ["numbers"])
            return all(committed.get(("numbers", number)) == RECORDS for number in seen if number != DAMAGED)

        bus.subscribe(["numbers"], "reader", apply, ahead=4)
        await bus.start()
        try:
            await eventually(others_read, within_s=90, what="every record of the other partitions")
            await eventually(others_committed, within_s=10)
            committed = await bus.log.committed("reader", ["numbers"])
        finally:
            await bus.stop_consuming()
            await bus.stop()
    # Of the damaged one nothing behind the damage is taken for read.
    assert set(seen[DAMAGED]) <= set(range(RECORDS // 2))
    assert committed.get(("numbers", DAMAGED), 0) <= RECORDS // 2


async def write(settings: ServiceSettings) -> None:
    """As many records in each partition, a batch at a time."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        for begin in range(0, RECORDS, BATCH):
            for number in range(PARTITIONS):
                batch = producer.create_batch()
                for value in range(begin, begin + BATCH):
                    batch.append(key=None, value=b"%06d" % value, timestamp=None)
                batch.close()
                await (await producer.send_batch(batch, "numbers", partition=number))
    finally:
        await producer.stop()


def damage(data: Path, *, at: int) -> None:
    """Turn over a bit of this record on the disk."""
    [log] = data.glob(f"**/numbers-{DAMAGED}/*.log")
    written = bytearray(log.read_bytes())
    written[written.index(b"%06d" % at)] ^= 1
    log.write_bytes(bytes(written))
