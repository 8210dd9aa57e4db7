"""Topics that were written side by side are read side by side, whatever the broker hands out first."""

from aiokafka import AIOKafkaProducer

from shared.bus import Log, ensure_topics
from shared.settings import ServiceSettings
from tests.backends import Kafka

_SPAN_MS = 40_000
_PARTITIONS = 3
_EVERY_MS = {"often": 2, "seldom": 20}


async def test_a_short_topic_is_not_read_to_its_end_before_a_long_one(kafka: Kafka, topic_prefix: str) -> None:
    settings = ServiceSettings(
        service="reader",
        port=0,
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=_PARTITIONS,
        topic_prefix=topic_prefix,
    )
    await ensure_topics(settings, [settings.topic(name) for name in _EVERY_MS])
    await _write(settings)

    log = Log(settings)
    read: dict[tuple[str, int], list[int]] = {}
    furthest_ms = 0
    try:
        async with log.read([settings.topic(name) for name in _EVERY_MS]) as reader:
            while records := await reader.read(20, wait_s=2.0):
                for record in records:
                    at = read.setdefault((record.topic.removeprefix(topic_prefix), record.partition), [])
                    at.append(int(record.value or b""))
                if len(read) == _PARTITIONS * len(_EVERY_MS):
                    slowest = min(at[-1] for (topic, _), at in read.items() if topic == "often")
                    fastest = max(at[-1] for (topic, _), at in read.items() if topic == "seldom")
                    furthest_ms = max(furthest_ms, fastest - slowest)
    finally:
        await log.close()

    expected = {
        (name, number): list(range(number * every, _SPAN_MS, _PARTITIONS * every))
        for name, every in _EVERY_MS.items()
        for number in range(_PARTITIONS)
    }
    assert read == expected
    # A second, what one reading holds, and some for a machine that is slow to hand out the long one.
    assert furthest_ms < _SPAN_MS / 4


async def _write(settings: ServiceSettings) -> None:
    """Records of a span of time, each with its millisecond; the partitions in turn."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=20)
    await producer.start()
    try:
        for name, every in _EVERY_MS.items():
            for at in range(0, _SPAN_MS, every):
                to = {"partition": at // every % _PARTITIONS, "timestamp_ms": 1_000 + at}
                await producer.send(settings.topic(name), str(at).encode(), **to)
        await producer.flush()
    finally:
        await producer.stop()
