"""`foquale mend` as a person at the terminal sees it, on four running services whose broker's disk has lost bits."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import MongoClient

from deploy.addresses import Addresses
from deploy.cli.mend import mend
from deploy.cli.rebuild import verify
from deploy.client import Unreachable
from deploy.local import ApacheKafka, free_port
from shared.events import TOPICS
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.deployment import deployment, detected, register
from tests.support.probe import eventually

PARTITIONS = 2
YOUTHS = 6


@pytest.mark.both_kafkas
async def test_a_log_that_is_whole_is_said_to_be(
    kafka: Kafka, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ServiceSettings(
        service="mend",
        port=0,
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        topic_prefix=topic_prefix,
    )
    await mend(settings, nowhere(), apply=True)
    assert told(capsys) == ["every record of the log can be read"]


@pytest.mark.apache_kafka
@pytest.mark.both_kafkas
@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_what_cannot_be_read_comes_again_from_the_journals_and_every_youth_counts(
    tmp_path: Path, mongo_url: str, db_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, port = tmp_path / "kafka", free_port()
    base = ServiceSettings(
        service="any",
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=f"127.0.0.1:{port}",
        kafka_partitions=PARTITIONS,
        kafka_session_ms=2_000,
    )
    with ApacheKafka(data, port=port):
        async with deployment(base) as addresses:
            await register(addresses, YOUTHS)
            await eventually(lambda: counts(addresses, YOUTHS), within_s=30)
            await put(base, "siei.dropouts", [b"no row at all, %d" % number for number in range(3)])
        await begin_anew(base, "reporting")
    damage(data, "siei.dropouts", b"no row at all, 1")
    damage(data, "referral.events", b"youth_id")

    with ApacheKafka(data, port=port):
        async with deployment(base) as addresses:
            with pytest.raises(typer.Exit) as exited:
                await mend(base, addresses, apply=False)
            assert exited.value.exit_code == 1
            referral, siei, rows, advice = told(capsys)
            assert referral.startswith("referral.events, partition ")
            assert siei == "siei.dropouts, partition 0: record 1 cannot be read"
            assert "let the upstream bases send again what they sent from 20" in rows
            assert "--apply" in advice
            assert await detected(addresses) < YOUTHS

            await mend(base, addresses, apply=True)
            _, _, _, published, referral, siei = told(capsys)
            assert "begins with record" in referral
            assert siei == "siei.dropouts, partition 0: begins with record 2 now"
            assert re.fullmatch(r"referral: \d+ events published again", published)
            await eventually(lambda: counts(addresses, YOUTHS), within_s=60)
            await verify(addresses)
            assert told(capsys)[-1].startswith(f"verified: youths={YOUTHS} ")
    damage(data, "referral.events", b"youth_id", last=True)

    with ApacheKafka(data, port=port):
        for _ in range(2):  # nothing is let go of that was not published again: it is found every time
            with pytest.raises(Unreachable):
                await mend(base, nowhere(), apply=True)
            assert re.fullmatch(r"referral.events, partition \d: records? .* cannot be read", told(capsys)[-1])


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a command printed, without what the services in this process log."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("20")]


async def counts(addresses: Addresses, youths: int) -> bool:
    return await detected(addresses) == youths


async def put(base: ServiceSettings, topic: str, values: Sequence[bytes]) -> None:
    """Records in the first partition, one after the other."""
    async with AIOKafkaProducer(bootstrap_servers=base.kafka_bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def begin_anew(base: ServiceSettings, service: str) -> None:
    """Let a service that does not run know nothing, and have read nothing."""
    with MongoClient[dict[str, object]](base.mongo_url) as client:
        client.drop_database(f"{base.mongo_prefix}{service}")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=base.kafka_bootstrap, group_id=f"foquale.{service}", enable_auto_commit=False
    )
    async with consumer:
        partitions = [TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))


def damage(data: Path, topic: str, what: bytes, *, last: bool = False) -> None:
    """Turn over a bit of the first record on the disk that has these bytes, or of the last."""
    for log in sorted(data.glob(f"**/{topic}-*/*.log")):
        written = bytearray(log.read_bytes())
        if (at := written.rfind(what) if last else written.find(what)) >= 0:
            written[at] ^= 1
            log.write_bytes(bytes(written))
            return
    raise AssertionError(f"no record of {topic} has {what!r}")


def nowhere() -> Addresses:
    """Where no service answers."""
    return Addresses(*[f"http://127.0.0.1:{free_port()}"] * 4)
