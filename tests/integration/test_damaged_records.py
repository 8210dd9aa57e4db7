"""A disk loses a bit: what the broker hands out of that partition cannot be read, everything else still is, and what
is damaged can be let go of.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import ApacheKafka, free_port
from shared.bus import Bus, Damage, ensure_topics, inspection
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
    settings = settings_of(port, batch_records=10 * RECORDS)  # so that one reading goes through all partitions
    with ApacheKafka(data, port=port):
        await ensure_topics(settings, ["numbers"])
        await write(settings)
    damage(data, DAMAGED, at=RECORDS // 2)
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


@pytest.mark.apache_kafka
@pytest.mark.both_kafkas
@pytest.mark.timeout(180)
async def test_damage_is_found_to_the_record_and_once_it_is_let_go_readers_go_on_behind_it(tmp_path: Path) -> None:
    data, port = tmp_path / "kafka", free_port()
    settings = settings_of(port)
    with ApacheKafka(data, port=port):
        await ensure_topics(settings, ["numbers"])
        await write(settings)
        async with inspection(settings) as look:
            assert await look.damages(["numbers"]) == []
    last = PARTITIONS - 1
    for partition, at in ((DAMAGED, 205), (DAMAGED, 310), (last, RECORDS - 1)):
        damage(data, partition, at=at)
    damages = [Damage("numbers", DAMAGED, 200, 320), Damage("numbers", last, RECORDS - BATCH, RECORDS)]
    seen: dict[int, set[int]] = {number: set() for number in range(PARTITIONS)}

    async def apply(batch: Sequence[Record]) -> None:
        for record in batch:
            seen[record.partition].add(int(record.value or b""))

    async def all_else_read() -> bool:
        return all({*range(RECORDS)} <= of for number, of in seen.items() if number not in (DAMAGED, last))

    async def gone_on() -> bool:
        return {*range(320, RECORDS)} <= seen[DAMAGED] and {*range(BATCH)} <= seen[last]

    with ApacheKafka(data, port=port):
        bus = Bus(settings)
        bus.subscribe(["numbers"], "reader", apply, ahead=4)
        await bus.start()
        try:
            await eventually(all_else_read, within_s=90, what="every record of the other partitions")
            async with inspection(settings) as look:
                assert await look.damages(["numbers"]) == damages
                written = [await look.written_at("numbers", DAMAGED, at) for at in (0, 199, 200, 319, 320, RECORDS)]
                assert [at is not None for at in written] == [True, True, False, False, True, False]
                seen[last].clear()
                await look.let_go(damages)
                assert await look.damages(["numbers"]) == []
            await write(settings, most=BATCH)
            await eventually(gone_on, within_s=90, what="to read behind the damage")
        finally:
            await bus.stop_consuming()
            await bus.stop()
    assert not seen[DAMAGED] & {*range(200, 320)}


def settings_of(port: int, **more: Any) -> ServiceSettings:
    return ServiceSettings(
        service="reader",
        port=0,
        kafka_bootstrap=f"127.0.0.1:{port}",
        kafka_partitions=PARTITIONS,
        kafka_session_ms=3_000,
        **more,
    )


async def write(settings: ServiceSettings, most: int = RECORDS) -> None:
    """As many records in each partition, a batch at a time."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        for begin in range(0, most, BATCH):
            for number in range(PARTITIONS):
                batch = producer.create_batch()
                for value in range(begin, begin + BATCH):
                    batch.append(key=None, value=b"%06d" % value, timestamp=None)
                batch.close()
                await (await producer.send_batch(batch, "numbers", partition=number))
    finally:
        await producer.stop()


def damage(data: Path, partition: int, *, at: int) -> None:
    """Turn over a bit of this record on the disk."""
    [log] = data.glob(f"**/numbers-{partition}/*.log")
    written = bytearray(log.read_bytes())
    written[written.index(b"%06d" % at)] ^= 1
    log.write_bytes(bytes(written))
