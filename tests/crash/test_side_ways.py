"""Deaths away from the main road: amid a list, a sweep, a fold, a replay."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shared.crash_points import Point
from shared.events import (
    DropoutDetected,
    ListTakenIn,
    PlacementExpired,
    ReferralDeadLetterKept,
    ReferralDeadLetterSettled,
)
from tests.crash.affairs import A_DEAD_LETTER, Affairs
from tests.crash.services import A_BATCH, Catalogue, Referral, Reporting
from tests.crash.world import World
from tests.support import lives
from tests.support.probe import eventually
from tests.support.reporting import assert_equals_plain_count
from tests.support.siei import as_csv, row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
WorldOf = Callable[..., World]

_ROWS: Final = 45
_AT_ONCE: Final = 10
_OFFERS: Final = 3


async def test_a_list_that_broke_off_is_sent_again_and_no_youth_is_there_twice(world_of: WorldOf) -> None:
    taken = {Point.TRANSACTION_WRITTEN: 2 * _AT_ONCE, Point.TRANSACTION_COMMITTED: 3 * _AT_ONCE}
    worlds = {point: world_of("referral", rows_per_transaction=_AT_ONCE) for point in taken}
    await asyncio.gather(*(broken_off(world, point, taken[point], key=None) for point, world in worlds.items()))


async def test_a_list_that_broke_off_is_taken_in_when_it_comes_again_with_its_key(world_of: WorldOf) -> None:
    world = world_of("referral", rows_per_transaction=_AT_ONCE)
    await broken_off(world, Point.TRANSACTION_COMMITTED, 3 * _AT_ONCE, key="list")
    async with world.client() as client:
        headers = {"Content-Type": "text/csv", "Idempotency-Key": "list"}
        once_more = await client.post("/v1/siei/imports", content=b"not looked at", headers=headers)
    assert (once_more.json()["state"], once_more.json()["repeated"]) == ("done", 3 * _AT_ONCE)


async def fall_silent(world: World) -> None:
    """As if a minute had passed since the import was last heard of."""
    async with world.store() as store:
        await store["imports"].update_one({}, {"$set": {"beat_at": datetime.now(UTC) - timedelta(seconds=61)}})


async def broken_off(world: World, point: Point, taken: int, *, key: str | None) -> None:
    """Die at the point for the third time amid a list; `taken` rows are durable then. Send it again."""
    await settled(Referral(world))
    rows = [row(number) for number in range(1, _ROWS + 1)]
    sent: dict[str, Any] = {"content": as_csv(rows), "headers": {"Content-Type": "text/csv"}}

    await world.live(crash_at=f"{point}:3")
    assert await world.post("/v1/siei/imports", key=key, **sent) is None
    assert await world.death() == -9
    async with world.store() as store:
        assert await store["youths"].count_documents({}) == taken
        assert await store["outbox"].count_documents({"type": DropoutDetected.TYPE}) == taken
        assert await store["outbox"].count_documents({"type": ListTakenIn.TYPE}) == taken // _AT_ONCE

    await world.live()
    if key:
        running = await world.post("/v1/siei/imports", key=key, **sent)
        assert running is not None
        assert (running.body["state"], running.body["rows"]) == ("running", taken)
        await fall_silent(world)
    again = await world.post("/v1/siei/imports", key=key, **sent)
    assert again is not None
    counts = {name: again.body[name] for name in ("state", "rows", "accepted", "matched", "disputed", "repeated")}
    new = _ROWS - taken
    assert counts == {"state": "done", "rows": _ROWS, "accepted": new, "matched": 0, "disputed": 0, "repeated": taken}
    await world.quiet()
    async with world.store() as store:
        names = {youth["_id"]: youth["family_name"] async for youth in store["youths"].find()}
    assert Counter(names.values()) == Counter(each["family_name"] for each in rows)
    log = {envelope.id: envelope for envelope in await world.published()}.values()
    told = Counter(envelope.subject for envelope in log if envelope.type == DropoutDetected.TYPE)
    assert told == Counter(names.keys())
    pieces = [ListTakenIn.model_validate_json(each.data) for each in log if each.type == ListTakenIn.TYPE]
    counts_told = [counts for piece in pieces for counts in piece.counts]
    assert sum(each.accepted for each in counts_told) == _ROWS
    assert sum(each.repeated for each in counts_told) == taken


async def test_a_sweep_that_died_gives_every_seat_back_once(world_of: WorldOf) -> None:
    expired = {Point.TRANSACTION_WRITTEN: {0}, Point.TRANSACTION_COMMITTED: {1}, Point.RELAY_PUBLISHED: {1, 2, 3}}
    await asyncio.gather(
        *(swept(world_of("catalogue", hold_days=1e-5, expiry_grace_s=0), point, expired[point]) for point in expired)
    )


async def swept(world: World, point: Point, expired: set[int]) -> None:
    """Die at the point amid a sweep; so many offers, or one of these numbers, have expired then."""
    affairs = Catalogue(world)
    await world.begin()
    await world.live(expiry_poll_s=3_600)
    await affairs.prepare()
    for n in range(1, _OFFERS):
        order = affairs.order(n)
        answer = await world.post(order.path, key=order.key, json=order.body)
        assert answer is not None
        assert answer.status == 201
    await world.quiet()
    await world.stop()

    world.start(crash_at=point)
    assert await world.death() == -9
    async with world.store() as store:
        assert await store["placements"].count_documents({"state": "expired"}) in expired

    await world.live(expiry_poll_s=0.2)

    async def all_expired() -> bool:
        async with world.store() as store:
            return await store["placements"].count_documents({"state": "expired"}) == _OFFERS

    await eventually(all_expired, within_s=30, what="the end of the offers")
    await world.quiet()
    async with world.store() as store:
        session = await store["sessions"].find_one({"_id": "sol/autumn"})
        placements = [placement["_id"] async for placement in store["placements"].find()]
    assert session is not None
    assert (session["held"], session["occupied"]) == (0, 0)
    log = {envelope.id: envelope for envelope in await world.published() if envelope.type == PlacementExpired.TYPE}
    about = [PlacementExpired.model_validate_json(envelope.data).placement_id for envelope in log.values()]
    assert Counter(about) == Counter(placements)


async def test_a_fold_that_died_counts_nobody_twice_and_leaves_nobody_out(world_of: WorldOf) -> None:
    points = (Point.TRANSACTION_WRITTEN, Point.TRANSACTION_COMMITTED)
    await asyncio.gather(*(folded_at(world_of("reporting"), point) for point in points))


async def folded_at(world: World, point: Point) -> None:
    """Die at the point in the first fold."""
    affairs = Reporting(world)
    events = lives.population(12, seed=5)
    await world.begin()
    async with world.store() as store:
        await affairs.hold(store)
    await world.live()
    for topic in sorted({happened.event.TOPIC for happened in events}):
        await world.produce(topic, *[happened.envelope() for happened in events if topic == happened.event.TOPIC])
    await world.quiet()
    await world.stop()

    async with world.store() as store:
        changes = await store["changes"].count_documents({})
        assert changes > 0
        assert await store["cells"].count_documents({}) == 0
        await affairs.let_go(store)
    world.start(crash_at=point)
    assert await world.death() == -9
    async with world.store() as store:
        folded = point is Point.TRANSACTION_COMMITTED
        assert await store["changes"].count_documents({}) == (0 if folded else changes)
        assert (await store["cells"].count_documents({}) > 0) is folded

    await world.live()

    async def all_folded() -> bool:
        async with world.store() as store:
            return await store["changes"].count_documents({}) == 0

    await eventually(all_folded, within_s=30, what="the fold")
    async with world.client() as client:
        await assert_equals_plain_count(client, events)


async def test_a_replay_that_died_between_effect_and_mark_is_replayed_again_without_effect(world_of: WorldOf) -> None:
    world = world_of("referral")
    await world.begin()
    await world.live()
    referral = Referral(world)
    await referral.prepare()
    async with world.store() as store:
        await store.db.command({"collMod": "youths", "validator": {"never": {"$exists": True}}})
        await world.produce("siei.dropouts", *await referral.events(1))

        async def set_aside() -> bool:
            return await store["dead_letters"].count_documents({"code": "not_applicable"}) == 2

        await eventually(set_aside, what="the dead letters")
        await store.db.command({"collMod": "youths", "validator": {}})
        letter, other = [row["_id"] async for row in store["dead_letters"].find().sort("_id", 1)]
    await world.quiet()
    await world.stop()

    await world.live(crash_at=Point.TRANSACTION_COMMITTED)
    assert await world.post(f"/v1/dead-letters/{letter}/replay") is None
    assert await world.death() == -9
    async with world.store() as store:
        assert await store["youths"].count_documents({}) == 1
        assert await store["dead_letters"].count_documents({"state": "waiting"}) == 2

    await world.live()
    for each in (letter, other, letter):
        answer = await world.post(f"/v1/dead-letters/{each}/replay")
        assert answer is not None
        assert (answer.status, answer.body["state"]) == (200, "replayed")
    referral.batches.append(1)
    await world.quiet()
    async with world.store() as store:
        assert await referral.faults(store) == []
        assert await store["dead_letters"].count_documents({"state": "replayed"}) == 2
        log = {envelope.id: envelope for envelope in await world.published()}
        told = Counter([f"{e.type} {await referral.subject_as_known(store, e.subject)}" for e in log.values()])
    by_themselves = {f"{ListTakenIn.TYPE} {A_BATCH}": 1}  # two rows, each a batch of its own, and not one together
    letters = {f"{event.TYPE} {A_DEAD_LETTER}": 2 for event in (ReferralDeadLetterKept, ReferralDeadLetterSettled)}
    assert told == referral.meanings() + Counter(by_themselves | letters)


async def settled(affairs: Affairs) -> None:
    """The service as it is before the work: prepared, at rest, stopped."""
    await affairs.world.begin()
    await affairs.world.live()
    await affairs.prepare()
    await affairs.world.quiet()
    await affairs.world.stop()
