"""Worlds in which services die."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends import Kafka
from tests.crash.rounds import Rounds
from tests.crash.world import World

_ON_ANY_BROKER = "test_once_more"


@pytest.hookimpl(tryfirst=True)  # before what needs Apache Kafka is left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All but a few need Apache Kafka, on which delivery is proven: each takes seconds, and there are many."""
    for item in items:
        many = item.path.parent == Path(__file__).parent and item.path.stem != _ON_ANY_BROKER
        if many and "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker("apache_kafka")


@pytest.fixture(scope="session")
def rounds(mongo_url: str, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rounds]:
    """The services at work, and what the rounds so far have shown of them."""
    rounds = Rounds(mongo_url, kafka, tmp_path_factory.mktemp("rounds"))
    yield rounds
    rounds.end()


@pytest.fixture
def world_of(mongo_url: str, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., World]]:
    """Makes a world for a service: `world_of("referral", rows_per_transaction=10)`."""
    worlds: list[World] = []

    def make(service: str, **changes: object) -> World:
        worlds.append(World(service, mongo_url, kafka, tmp_path_factory.mktemp(service), changes))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()
