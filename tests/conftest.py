"""Fixtures that every test may use: a real MongoDB replica set, a real Kafka-protocol broker, and names of its own.

    async def test_something(mongo_url: str, db_name: str, kafka: Kafka, unique: str) -> None: ...

The servers are child processes of the test session (see `tests/backends.py` for where else they may come from), started
when the first test asks for them. A test uses its own database (`db_name`) and its own topics (`topic_prefix`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import hypothesis
import pytest
from pymongo import MongoClient

from tests.backends import Backends, Kafka, docker, from_environment, running_kafka, running_mongo

BACKENDS = pytest.StashKey[Backends]()

# How long one example takes says nothing on a shared machine; pytest-timeout bounds the whole test.
hypothesis.settings.register_profile("foquale", deadline=None, print_blob=True)
hypothesis.settings.load_profile("foquale")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the backends once, so that the header can name them."""
    config.stash[BACKENDS] = from_environment()


def pytest_report_header(config: pytest.Config) -> str:
    """Name the backends."""
    return f"backends: {config.stash[BACKENDS]}"


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses a broker; skip, and say so, what this session's backends cannot show."""
    apache = config.stash[BACKENDS].apache_kafka
    with_docker = any(item.get_closest_marker("docker") for item in items) and docker("version")
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker("on_kafka")
        if item.get_closest_marker("apache_kafka") and not apache:
            item.add_marker(pytest.mark.skip(reason="needs Apache Kafka: FOQUALE_KAFKA=apache"))
        if item.get_closest_marker("docker") and not with_docker:
            item.add_marker(pytest.mark.skip(reason="needs a Docker daemon"))


@pytest.fixture(scope="session")
def backends(pytestconfig: pytest.Config) -> Backends:
    """Which backends this session uses."""
    return pytestconfig.stash[BACKENDS]


@pytest.fixture(scope="session")
def mongo_url(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real replica set (transactions, change streams)."""
    with running_mongo(backends, tmp_path_factory.mktemp("mongo")) as url:
        yield url


@pytest.fixture(scope="session")
def kafka(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Kafka-protocol broker."""
    with running_kafka(backends, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def unique() -> str:
    """A string of letters and digits that no other test has: for group ids, client ids, keys."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic_prefix(unique: str) -> str:
    """What this test's topics begin with; ends with a dot."""
    return f"{unique}."


@pytest.fixture
def db_name(unique: str, mongo_url: str) -> Iterator[str]:
    """A MongoDB database of this test alone; dropped at the end, with those whose names begin with it and `_`."""
    name = f"test_{unique}"
    yield name
    client: MongoClient[dict[str, object]]
    with MongoClient(mongo_url) as client:
        for existing in client.list_database_names():
            if existing == name or existing.startswith(f"{name}_"):
                client.drop_database(existing)
