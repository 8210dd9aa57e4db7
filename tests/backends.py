"""The real MongoDB and Kafka that the tests talk to: which ones, and how to start and stop them.

In this order, for each of the two:

1. an address from the environment: `FOQUALE_TEST_MONGO_URL`, `FOQUALE_TEST_KAFKA` (`host:port`; counted as Apache Kafka
   unless `FOQUALE_KAFKA=embedded` says otherwise);
2. Docker, through testcontainers, when `FOQUALE_TESTCONTAINERS=1` (images are pulled), or when a Docker daemon answers
   and has the image already (`FOQUALE_TESTCONTAINERS=0` says no);
3. a child process: mongod, and the embedded broker, or Apache Kafka with `FOQUALE_KAFKA=apache` (which also comes
   before Docker).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local import ApacheKafka, EmbeddedBroker, Mongod, free_port

MONGO_IMAGE = "mongo:7.0"
MONGO_COMMAND = "--replSet rs0 --bind_ip_all --setParameter transactionLifetimeLimitSeconds=10"
KAFKA_IMAGE = "confluentinc/cp-kafka:7.8.0"
DOCKER_SECONDS = 3

KafkaKind = Literal["embedded", "apache", "container", "external"]
MongoKind = Literal["mongod", "container", "external"]


@dataclass(frozen=True)
class Kafka:
    """A running broker. `supports_idempotence` says whether producers may ask for `enable_idempotence`."""

    bootstrap: str
    supports_idempotence: bool
    kind: KafkaKind


@dataclass(frozen=True)
class Backends:
    """Which backends this session uses; nothing is started yet."""

    mongo: MongoKind
    kafka: KafkaKind
    mongo_url: str | None = None
    kafka_bootstrap: str | None = None
    kafka_idempotence: bool = False

    @property
    def apache_kafka(self) -> bool:
        """Is the broker Apache Kafka, whoever runs it?"""
        return self.kafka_idempotence

    def __str__(self) -> str:
        return f"mongo={self.mongo_url or self.mongo}, kafka={self.kafka_bootstrap or self.kafka}"


def choose(environment: Mapping[str, str], has_image: Callable[[str], bool]) -> Backends:
    """Decide by the environment; `has_image` says whether Docker can run an image without a download."""
    forced = environment.get("FOQUALE_TESTCONTAINERS")
    wanted = environment.get("FOQUALE_KAFKA") or None
    if wanted not in (None, "embedded", "apache"):
        raise ValueError(f"FOQUALE_KAFKA={wanted}: it is either embedded or apache")

    def in_docker(image: str) -> bool:
        return forced == "1" or (forced != "0" and has_image(image))

    mongo_url = environment.get("FOQUALE_TEST_MONGO_URL") or None
    mongo: MongoKind = "external" if mongo_url else "container" if in_docker(MONGO_IMAGE) else "mongod"

    bootstrap = environment.get("FOQUALE_TEST_KAFKA") or None
    kafka: KafkaKind
    if bootstrap:
        kafka = "external"
    elif wanted:
        kafka = "apache" if wanted == "apache" else "embedded"
    else:
        kafka = "container" if in_docker(KAFKA_IMAGE) else "embedded"
    return Backends(
        mongo=mongo,
        kafka=kafka,
        mongo_url=mongo_url,
        kafka_bootstrap=bootstrap,
        kafka_idempotence=kafka != "embedded" and wanted != "embedded",
    )


def docker_has_image(image: str) -> bool:
    """Does a Docker daemon answer at once, with this image already there?"""
    return docker("image", "inspect", "--format", "{{.Id}}", image)


def docker(*arguments: str) -> bool:
    """Does `docker` with these arguments succeed within a few seconds?"""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def from_environment() -> Backends:
    """The choice for this process."""
    return choose(os.environ, docker_has_image)


@contextmanager
def running_mongo(backends: Backends, directory: Path) -> Iterator[str]:
    """The URL of a replica set, started under `directory` where need be and stopped at the end."""
    if backends.mongo_url:
        yield backends.mongo_url
    elif backends.mongo == "container":
        with _mongo_container() as url:
            yield url
    else:
        with Mongod(directory / "mongod", port=free_port(), cache_gb=0.5) as mongod:
            yield mongod.url


@contextmanager
def running_kafka(backends: Backends, directory: Path) -> Iterator[Kafka]:
    """A broker, started under `directory` where need be and stopped at the end."""
    with ExitStack() as stack:
        if backends.kafka_bootstrap:
            bootstrap = backends.kafka_bootstrap
        elif backends.kafka == "container":
            bootstrap = stack.enter_context(_kafka_container())
        elif backends.kafka == "apache":
            bootstrap = stack.enter_context(ApacheKafka(directory / "kafka", port=free_port())).bootstrap
        else:
            broker = EmbeddedBroker(log=directory / "broker.log", port=free_port())
            bootstrap = stack.enter_context(broker).bootstrap
        yield Kafka(bootstrap=bootstrap, supports_idempotence=backends.kafka_idempotence, kind=backends.kafka)


@contextmanager
def _mongo_container() -> Iterator[str]:
    """mongod in Docker as a replica set of one member (testcontainers' own MongoDB is a standalone server)."""
    from pymongo import MongoClient
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(MONGO_IMAGE).with_exposed_ports(27017).with_command(MONGO_COMMAND)
    with container as running:
        # directConnection: the member calls itself by a name that only the container knows.
        url = f"mongodb://{running.get_container_host_ip()}:{running.get_exposed_port(27017)}/?directConnection=true"
        client: MongoClient[dict[str, object]]
        with MongoClient(url, serverSelectionTimeoutMS=30_000) as client:
            members = [{"_id": 0, "host": "127.0.0.1:27017"}]
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.05)
        yield url


def _kafka_container() -> AbstractContextManager[str]:
    """Apache Kafka in Docker, in KRaft mode."""
    from testcontainers.community.kafka import KafkaContainer

    @contextmanager
    def started() -> Iterator[str]:
        with KafkaContainer(KAFKA_IMAGE).with_kraft() as running:
            yield str(running.get_bootstrap_server())

    return started()
