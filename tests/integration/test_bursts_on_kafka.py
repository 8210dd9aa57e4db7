"""A subscription whose batches fail again and again still hands over every record of every partition."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer

from shared.bus import Bus, bursts, ensure_topics
from shared.envelope import Record
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.probe import eventually

PARTITIONS = 6
RECORDS = 600
"""Of each partition: many times what is in hand at once."""


@pytest.mark.parametrize("ahead", [1, 4])
async def test_whatever_fails_no_record_is_passed_over(
    ahead: int, kafka: Kafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bursts, "_FIRST_PAUSE_S", 0.001)
    settings = ServiceSettings(
        service="reader",
        port=0,
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=PARTITIONS,
        kafka_session_ms=2_000,
        topic_prefix=topic_prefix,
        batch_records=10,
    )
    await ensure_topics(settings, [settings.topic("numbers")])
    await write(settings)
    chance = random.Random(ahead)
    seen: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}

    async def apply(batch: Sequence[Record]) -> None:
        if chance.random() < 0.1:
            raise ConnectionError("the store is away")
        await asyncio.sleep(chance.random() * 0.004)
        if chance.random() < 0.1:
            raise ConnectionError("the store went away")
        for record in batch:
            seen[record.partition].append(record.offset)

    async def all_read() -> bool:
        return all({*offsets} == {*range(RECORDS)} for offsets in seen.values())

    bus = Bus(settings)
    bus.subscribe([settings.topic("numbers")], "reader", apply, ahead=ahead)
    await bus.start()
    try:
        await eventually(all_read, within_s=40, what="every record of every partition")
    finally:
        await bus.stop_consuming()
        await bus.stop()
    if ahead == 1:  # else some are done before one that they follow has failed
        for offsets in seen.values():
            first_times = list(dict.fromkeys(offsets))
            assert first_times == sorted(first_times)


async def write(settings: ServiceSettings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=20)
    await producer.start()
    try:
        for _ in range(RECORDS):
            for number in range(PARTITIONS):
                await producer.send(settings.topic("numbers"), b"", partition=number)
        await producer.flush()
    finally:
        await producer.stop()
