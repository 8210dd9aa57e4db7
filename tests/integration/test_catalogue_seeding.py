"""The shipped networks, platforms and solutions are there from the first start, once, and stay as people leave them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from services.catalogue import checks
from services.catalogue.inputs import NetworkInput, PlatformInput, SolutionInput
from services.catalogue.seeding import seed
from services.catalogue.settings import CatalogueSettings
from services.catalogue.store import COLLECTIONS, INDEXES
from shared.clock import utc_now
from shared.mongo import Mongo
from shared.reference import Reference, load
from shared.unit_of_work import OUTBOX_INDEXES, UnitOfWork
from tests.backends import Kafka
from tests.support.catalogue import backends_of, network, running_catalogue, settings_for
from tests.support.probe import eventually


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load()


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka) -> CatalogueSettings:
    return settings_for(mongo_url, kafka, seed=True)


@pytest.fixture
async def mongo(settings: CatalogueSettings) -> AsyncIterator[Mongo]:
    async with backends_of(settings) as mongo:
        await mongo.ensure(("outbox", *COLLECTIONS), (*OUTBOX_INDEXES, *INDEXES))
        yield mongo


async def published(mongo: Mongo) -> Counter[str]:
    """How many events of each type were written to be published."""
    return Counter([row["type"].split(".")[-2] async for row in mongo["outbox"].find({}, {"type": 1})])


def shipped(reference: Reference) -> Counter[str]:
    return Counter(
        {
            "network-registered": len(reference.networks()),
            "platform-registered": len(reference.platforms()),
            "solution-published": len(reference.solutions()),
        }
    )


async def seed_timed(mongo: Mongo, reference: Reference) -> float:
    began = time.perf_counter()
    await seed(mongo, UnitOfWork(mongo, "catalogue"), reference)
    return time.perf_counter() - began


async def test_all_that_ships_is_put_once_and_quickly(mongo: Mongo) -> None:
    reference = load()
    first = await seed_timed(mongo, reference)
    again = await seed_timed(mongo, load())
    assert await published(mongo) == shipped(reference)
    places = [row["places"] async for row in mongo["sessions"].find()]
    assert sum(places) == sum(s.places for solution in reference.solutions() for s in solution.sessions)
    assert first < 10  # about one second on an idle machine
    assert again < 2  # about a tenth


async def test_replicas_that_start_at_once_make_one_set(mongo: Mongo, reference: Reference) -> None:
    await asyncio.gather(*[seed_timed(mongo, reference) for _ in range(3)])
    assert await published(mongo) == shipped(reference)
    for collection, count in (("networks", len(reference.networks())), ("solutions", len(reference.solutions()))):
        assert await mongo[collection].count_documents({}) == count


async def test_a_seeding_that_was_cut_short_is_completed(mongo: Mongo, reference: Reference) -> None:
    seeding = asyncio.create_task(seed_timed(mongo, reference))

    async def half_way() -> bool:
        return bool(await mongo["platforms"].count_documents({}))

    await eventually(half_way, what="the platforms")
    seeding.cancel()
    await asyncio.gather(seeding, return_exceptions=True)
    await seed_timed(mongo, reference)
    assert await published(mongo) == shipped(reference)


async def test_what_people_changed_is_not_put_back(settings: CatalogueSettings, reference: Reference) -> None:
    ours, gone = reference.networks()[0], reference.solutions()[0]
    async with backends_of(settings), running_catalogue(settings) as catalogue:
        assert (await catalogue.http.get("/ready")).status_code == 200
        assert (await catalogue.get(f"networks/{ours.network_id}"))["name"] == ours.name
        assert (await catalogue.get(f"solutions/{gone.solution_id}"))["state"] == "published"
        mine = network(name="Le nôtre", academie=ours.academie, platform_ids=list(ours.platform_ids))
        await catalogue.put(f"networks/{ours.network_id}", mine)
        await catalogue.http.delete(f"/v1/solutions/{gone.solution_id}")
        await seed(catalogue.mongo, catalogue.unit_of_work, reference)
        assert (await catalogue.get(f"networks/{ours.network_id}"))["name"] == "Le nôtre"
        assert (await catalogue.get(f"solutions/{gone.solution_id}"))["state"] == "withdrawn"


def test_what_ships_would_pass_as_a_put(reference: Reference) -> None:
    for network_ in reference.networks():
        body = NetworkInput.model_validate(network_.body())
        assert checks.network_faults(body.network(network_.network_id), reference) == []
    for platform in reference.platforms():
        platform_body = PlatformInput.model_validate(platform.body())
        assert checks.platform_faults(platform_body.platform(platform.platform_id, utc_now()), reference) == []
    for shipped_solution in reference.solutions():
        solution_body = SolutionInput.model_validate(shipped_solution.body())
        assert checks.solution_faults(solution_body.solution(shipped_solution.solution_id), reference) == []
        assert checks.session_faults(solution_body.as_sent()) == []
