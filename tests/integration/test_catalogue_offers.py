"""Offers hold seats of real sessions: who may be offered what, and never more seats than there are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from tests.backends import Kafka
from tests.support.catalogue import (
    Catalogue,
    accepted,
    backends_of,
    code,
    interview,
    served_catalogue,
    session,
    settings_for,
    solution,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas(mongo_url: str, kafka: Kafka) -> AsyncIterator[list[Catalogue]]:
    """Two replicas of one catalogue, each behind a real HTTP server."""
    settings = settings_for(mongo_url, kafka)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(backends_of(settings))
        yield [await stack.enter_async_context(served_catalogue(settings)) for _ in range(2)]


@pytest.fixture
def catalogue(replicas: list[Catalogue], unique: str) -> Catalogue:
    return replicas[0].named(unique)


async def test_an_interviewed_youth_is_offered_a_place_and_it_is_published(catalogue: Catalogue) -> None:
    await catalogue.with_offer()
    await catalogue.with_interviewed("ana")
    before = datetime.now(UTC)
    placement = await catalogue.offer("ana", on="2013-05-02")
    assert (placement["state"], placement["on"]) == ("held", "2013-05-02")
    held_until = datetime.fromisoformat(placement["held_until"])
    assert timedelta(days=15) - timedelta(seconds=1) < held_until - before < timedelta(days=15, seconds=10)
    assert await catalogue.placement(placement) == placement
    assert await catalogue.seats() == (1, 0, 4)
    (event,) = await catalogue.published("placement-offered")
    assert event == {
        "youth_id": catalogue.id("ana"),
        "on": "2013-05-02",
        "placement_id": placement["placement_id"],
        "solution_id": catalogue.sol,
        "kind": "school",
        "track": "professional",
        "academie": "09",
        "network_id": catalogue.net,
        "starts_on": "2013-09-03",
        "held_until": placement["held_until"],
    }
    on_the_bus = await catalogue.on_the_bus(3)
    assert [e.subject for e in on_the_bus if "placement-offered" in e.type] == [catalogue.id("ana")]


async def test_the_day_of_the_offer_is_today_when_it_is_missing(catalogue: Catalogue) -> None:
    await catalogue.with_offer()
    await catalogue.with_interviewed("ana")
    assert (await catalogue.offer("ana"))["on"] == datetime.now(UTC).date().isoformat()


async def test_what_cannot_be_offered_is_refused_with_its_reason(catalogue: Catalogue) -> None:
    await catalogue.with_offer(session("autumn", 1), session("full", 0))
    await catalogue.with_interviewed("ana", "ben")
    assert code(await catalogue.try_offer("ana", solution_id="none")) == (404, "unknown_solution")
    assert code(await catalogue.try_offer("ana", "none")) == (404, "unknown_session")
    assert code(await catalogue.try_offer("nobody")) == (409, "not_interviewed")
    assert code(await catalogue.try_offer("ana", "full")) == (409, "no_free_place")
    placement = await catalogue.offer("ana")
    again = await catalogue.try_offer("ana")
    assert code(again) == (409, "already_offered")
    assert again.json()["placement_id"] == placement["placement_id"]
    await catalogue.hear(accepted(placement))
    assert code(await catalogue.try_offer("ana")) == (409, "already_offered")
    assert code(await catalogue.try_offer("ben")) == (409, "no_free_place")
    withdrawn = await catalogue.http.delete(f"/v1/solutions/{catalogue.sol}")
    assert withdrawn.json()["state"] == "withdrawn"
    assert code(await catalogue.try_offer("ben")) == (409, "solution_withdrawn")
    assert len(await catalogue.published("placement-offered")) == 1


async def test_an_interview_heard_a_moment_later_opens_the_way(catalogue: Catalogue) -> None:
    await catalogue.with_offer()
    assert code(await catalogue.try_offer("ana")) == (409, "not_interviewed")
    await catalogue.hear(interview(catalogue.id("ana")))
    assert (await catalogue.try_offer("ana")).status_code == 201


async def test_the_same_idempotency_key_holds_one_seat(catalogue: Catalogue) -> None:
    await catalogue.with_offer()
    await catalogue.with_interviewed("ana")
    body = {"youth_id": catalogue.id("ana"), "solution_id": catalogue.sol, "session_id": "autumn"}
    key = {"Idempotency-Key": catalogue.id("key")}
    answers = await asyncio.gather(*[catalogue.http.post("/v1/placements", json=body, headers=key) for _ in range(5)])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await catalogue.seats() == (1, 0, 4)


def outcomes(answers: Sequence[httpx.Response]) -> Counter[tuple[int, str]]:
    return Counter((201, "") if answer.status_code == 201 else code(answer) for answer in answers)


@pytest.mark.parametrize("count", [1, 2])
async def test_of_fifty_offers_at_once_for_five_seats_exactly_five_are_made(
    replicas: list[Catalogue], unique: str, count: int
) -> None:
    asked = [replica.named(unique) for replica in replicas[:count]]
    first = asked[0]
    await first.with_offer(session("autumn", 5))
    await first.with_interviewed(*range(50))
    answers = await asyncio.gather(*[asked[n % count].try_offer(n) for n in range(50)])
    assert outcomes(answers) == {(201, ""): 5, (409, "no_free_place"): 45}
    assert await first.seats() == (5, 0, 0)
    held = await first.mongo["placements"].count_documents({"solution_id": first.sol, "state": "held"})
    assert held == 5
    events = [e for e in await first.on_the_bus(7) if "placement-offered" in e.type]
    assert len({e.subject for e in events}) == len(events) == 5


async def test_of_many_offers_at_once_to_one_youth_one_is_made(replicas: list[Catalogue], unique: str) -> None:
    asked = [replica.named(unique) for replica in replicas]
    await asked[0].with_offer(session("autumn", 20))
    await asked[0].with_interviewed("ana")
    answers = await asyncio.gather(*[asked[n % 2].try_offer("ana") for n in range(10)])
    assert outcomes(answers) == {(201, ""): 1, (409, "already_offered"): 9}
    assert await asked[0].seats() == (1, 0, 19)


async def test_offers_race_with_a_new_version_that_has_fewer_places(catalogue: Catalogue) -> None:
    await catalogue.with_offer(session("autumn", 20))
    await catalogue.with_interviewed(*range(20))
    smaller = solution(catalogue.net, session("autumn", 6))
    answers = await asyncio.gather(
        *[catalogue.try_offer(n) for n in range(10)],
        catalogue.http.put(f"/v1/solutions/{catalogue.sol}", json=smaller),
        *[catalogue.try_offer(n) for n in range(10, 20)],
    )
    made = sum(answer.status_code == 201 for answer in answers)
    shrunk = answers[10].status_code == 200
    assert shrunk or code(answers[10]) == (409, "places_taken")
    held, occupied, free = await catalogue.seats()
    assert (held, occupied, free) == (made, 0, (6 if shrunk else 20) - made)
    assert free >= 0


async def test_a_network_that_moves_takes_its_offers_into_the_new_academie(catalogue: Catalogue) -> None:
    await catalogue.put_network(academie="05")
    await catalogue.put_solution()
    await catalogue.with_interviewed("ana")
    await catalogue.put_network(academie="70")
    await catalogue.offer("ana")
    assert [event["academie"] for event in await catalogue.published("placement-offered")] == ["70"]
