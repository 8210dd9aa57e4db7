"""What `foquale init` prepares: topics that keep what they must as long as they must, and a replica set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from pymongo import MongoClient
from pymongo.errors import ServerSelectionTimeoutError

from deploy.local import Mongod, free_port
from deploy.local.processes import Process, answers
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.mongo import Mongo
from shared.replica_set import form_replica_set
from shared.settings import ServiceSettings
from tests.backends import Kafka


def settings_of(kafka: Kafka, topic_prefix: str, **more: Any) -> ServiceSettings:
    return ServiceSettings(
        service="probe", port=0, kafka_bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, kafka_partitions=3, **more
    )


@pytest.mark.both_kafkas
async def test_topics_are_made_with_their_retention_and_making_them_again_changes_nothing(
    kafka: Kafka, topic_prefix: str
) -> None:
    settings = settings_of(kafka, topic_prefix, siei_retention_days=3)
    names = [settings.topic(topic) for topic in TOPICS]

    await ensure_topics(settings, names)
    before = await configuration(kafka, names)
    await ensure_topics(settings_of(kafka, topic_prefix, siei_retention_days=30), names)

    assert await configuration(kafka, names) == before
    kept = {name.removeprefix(topic_prefix): config["retention.ms"] for name, config in before.items()}
    assert kept == {
        "siei.dropouts": str(3 * 24 * 3600 * 1000),
        "referral.events": "-1",
        "catalogue.events": "-1",
        "tracking.events": "-1",
        "reporting.events": "-1",
    }
    assert before[settings.topic("siei.dropouts")]["segment.ms"] == str(24 * 3600 * 1000)


async def configuration(kafka: Kafka, topics: list[str]) -> dict[str, dict[str, str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        found = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics])
    finally:
        await admin.close()
    rows = [row for answer in found for row in answer.resources]
    return {row[3]: {entry[0]: entry[1] for entry in row[4]} for row in rows}


class NewMongod(Mongod):
    """A mongod that nobody has initiated yet."""

    def _wait_until_ready(self, process: Process) -> None:
        process.wait_until(lambda: answers(self.port), deadline=self.start_seconds)


@pytest.fixture
def new_mongod(tmp_path: Path) -> Iterator[Mongod]:
    with NewMongod(tmp_path / "mongod", port=free_port(), cache_gb=0.25) as mongod:
        yield mongod


async def test_a_new_server_becomes_a_replica_set_once(new_mongod: Mongod) -> None:
    assert form_replica_set(new_mongod.url)
    assert not form_replica_set(new_mongod.url)

    mongo = Mongo(new_mongod.url, "probe")
    try:
        await mongo.ping()
    finally:
        await mongo.close()
    client: MongoClient[dict[str, Any]]
    with MongoClient(new_mongod.url) as client:
        config = client.admin.command("replSetGetConfig")["config"]
    assert config["_id"] == "rs0"
    assert [member["host"] for member in config["members"]] == [new_mongod.address]


def test_a_server_that_is_not_there_is_waited_for_and_then_named() -> None:
    port = free_port()
    with pytest.raises(ServerSelectionTimeoutError, match=str(port)):
        form_replica_set(f"mongodb://127.0.0.1:{port}/?replicaSet=rs0", deadline_s=0.2)


def test_a_url_without_a_replica_set_is_refused() -> None:
    with pytest.raises(ValueError, match="replicaSet"):
        form_replica_set("mongodb://127.0.0.1:27117/")
