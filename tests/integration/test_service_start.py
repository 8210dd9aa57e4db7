"""A service starts when its broker comes, leaves nothing open until then, and does not wait for its group."""

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from deploy.local import EmbeddedBroker, free_port
from shared.bus import Bus, BusError, Outgoing, ensure_topics
from shared.envelope import Record
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import eventually, produce, running


class Hesitant(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Gives nothing back before it may: until then, or until it is taken for dead, nobody else gets a partition."""

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        if revoked:
            await self.may.wait()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        pass


async def test_a_start_without_a_broker_leaves_nothing_open_and_may_be_tried_again(tmp_path: Path) -> None:
    port = free_port()
    bootstrap = f"127.0.0.1:{port}"
    settings = ServiceSettings(
        service="probe", port=0, kafka_bootstrap=bootstrap, kafka_idempotence=False, kafka_session_ms=1_000
    )
    unclosed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unclosed.append(context))
    bus = Bus(settings)
    heard: list[Record] = []

    async def on_batch(records: Sequence[Record]) -> None:
        heard.extend(records)

    bus.subscribe([TOPIC], "probe", on_batch)
    with pytest.raises(BusError):
        await bus.start()
    gc.collect()
    assert not unclosed
    with EmbeddedBroker(log=tmp_path / "broker.log", port=port):
        await ensure_topics(settings, [TOPIC])
        await bus.start()
        try:
            assert await bus.publish([Outgoing(TOPIC, contact("e1"))]) == [True]

            async def has_heard() -> bool:
                return len(heard) == 1

            await eventually(has_heard)
        finally:
            await bus.stop_consuming()
            await bus.stop()


async def test_a_service_is_ready_before_its_group_gives_it_something_to_read(
    mongo_url: str, kafka: Kafka, db_name: str
) -> None:
    settings = counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)
    settings = settings.model_copy(update={"kafka_session_ms": 3_000, "stall_after_s": 60})
    await ensure_topics(settings, [settings.topic(TOPIC)])
    await produce(kafka.bootstrap, settings.topic(TOPIC), contact("e1"))
    hesitant = Hesitant()
    other = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=settings.group,
        enable_auto_commit=False,
        session_timeout_ms=settings.kafka_session_ms,
        heartbeat_interval_ms=500,
    )
    other.subscribe([settings.topic(TOPIC)], listener=hesitant)
    await other.start()
    try:
        counting = Counting(settings)
        async with running(counting.service.app("probe", [])) as client:
            assert (await client.get("/ready")).status_code == 200
            assert not counting.service.bus.assignment()
            assert not await counting.counts()
            hesitant.may.set()
            await other.stop()
            await eventually(lambda: counting.has(1), within_s=20)
    finally:
        hesitant.may.set()
        await other.stop()
