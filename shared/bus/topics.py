"""The topics: made with what they are to keep, for how long."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2

from shared.bus.clients import admin_client
from shared.events import SieiDropout
from shared.settings import ServiceSettings

_DAY_MS: Final = 24 * 3600 * 1000


def hash_of_key(key: bytes) -> int:
    """What Kafka's own producers choose a record's partition by, modulo the number of partitions (32 bits)."""
    hashed: int = murmur2(key)
    return hashed


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
    admin = await admin_client(settings)
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
