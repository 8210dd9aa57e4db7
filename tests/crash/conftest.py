"""Worlds in which services die."""

from collections.abc import Callable, Iterator

import pytest

from tests.backends import Kafka
from tests.crash.rounds import Rounds
from tests.crash.world import World


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
