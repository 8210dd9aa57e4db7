"""Who dies again on the way back, and again and again, ends like all others."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.crash_points import Point
from shared.events import DropoutDetected
from tests.crash.rounds import CANNOT, SERVICES, Rounds
from tests.crash.services import Referral
from tests.crash.world import World
from tests.support.reporting import ask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

AGAIN_AND_AGAIN: Final = (Point.RELAY_PUBLISHED,) * 5
WAYS: Final[Mapping[str, tuple[Point, ...]]] = {
    "done, then told": (Point.TRANSACTION_COMMITTED, Point.RELAY_PUBLISHED),
    "set aside, then applied": (Point.BATCH_SET_ASIDE, Point.BATCH_APPLIED),
    "told, again and again": AGAIN_AND_AGAIN,
}
CASES: Final = [
    pytest.param(service, points, id=f"{service}: {way}")
    for way, points in WAYS.items()
    for service in SERVICES
    if not any((service, point) in CANNOT for point in points)
]


@pytest.mark.parametrize(("service", "points"), CASES)
async def test_who_dies_on_the_way_back_loses_nothing_and_doubles_nothing(
    rounds: Rounds, service: str, points: tuple[Point, ...]
) -> None:
    seen = await rounds.seen(service, *points)
    assert seen.returncodes == [-9] * len(points)
    assert seen.at_death == seen.expected_at_death
    assert seen.store_faults + seen.event_faults + seen.book_faults == []


@pytest.mark.parametrize("service", [service for service in SERVICES if service != "reporting"])
async def test_an_event_told_by_five_processes_that_died_of_it_is_one_event(rounds: Rounds, service: str) -> None:
    seen = await rounds.seen(service, *AGAIN_AND_AGAIN)
    assert seen.most_copies >= len(AGAIN_AND_AGAIN)
    assert seen.event_faults == []


async def test_a_reader_counts_an_event_once_that_was_told_five_times(rounds: Rounds) -> None:
    await rounds.seen(Referral.service, *AGAIN_AND_AGAIN)
    referral = await rounds.affairs(Referral)
    there = referral.world
    reader = World("reporting", there.mongo_url, there.kafka, there.directory, name=there.name)
    try:
        await reader.live()
        await reader.quiet()
        async with reader.client() as client:
            (national,) = (await ask(client, by="national"))["rows"]
        told = referral.meanings()
        detected = sum(number for meaning, number in told.items() if meaning.startswith(DropoutDetected.TYPE))
        assert national["activity"]["detected"] == detected
    finally:
        reader.end()
