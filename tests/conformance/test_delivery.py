"""Delivery: nothing is committed before its effect, whatever fails comes again in order, and only what must."""

import asyncio
import random
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect

from shared.consumer import NotYet
from shared.settings import ServiceSettings
from tests.conformance.bookkeeper import Bookkeeper
from tests.conformance.ledger import Ledger, by_partition, order_of
from tests.conformance.load import Load, events, ids, send
from tests.conformance.replicas import Replica
from tests.support.probe import eventually, running


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(AutoReconnect("connection closed"), id="the store went away"),
        pytest.param(NotYet("not_yet", "what it needs is not there"), id="something has not arrived yet"),
    ],
)
async def test_a_batch_that_fails_comes_again_whole_and_in_order_until_it_goes_through(
    settings: ServiceSettings, topic: str, ledger: Ledger, error: Exception
) -> None:
    sent = events(1_000)
    calls = 0

    async def fail() -> None:
        nonlocal calls
        calls += 1
        if calls in (2, 3, 4):
            raise error

    await send(settings.kafka_bootstrap, topic, *sent)
    async with running(Bookkeeper(settings, midway=fail).app):
        await ledger.must_be_exact(ids(sent))
    assert calls >= 5
    assert await ledger.order() == order_of(sent)

    deliveries = await ledger.deliveries()
    failed = [number for number, delivery in enumerate(deliveries) if not delivery.done]
    assert len(failed) == 3
    for number in failed:
        again = by_partition([record for later in deliveries[number + 1 :] for record in later.records])
        for partition, offsets in deliveries[number].offsets().items():
            assert again[partition][: len(offsets)] == offsets
    done = by_partition([record for delivery in deliveries if delivery.done for record in delivery.records])
    assert sum(len(offsets) for offsets in done.values()) == len(sent)
    for offsets in done.values():
        assert offsets == list(range(len(offsets)))


async def test_while_an_effect_is_not_durable_no_offset_moves_and_after_a_kill_the_batch_is_there_again(
    settings: ServiceSettings, topic: str, ledger: Ledger, tmp_path: Path
) -> None:
    before, held = events(300), events(300, first=300)
    first, second = (Replica(name, settings, tmp_path) for name in ("first", "second"))
    with first:
        await send(settings.kafka_bootstrap, topic, *before)
        await ledger.must_be_exact(ids(before))
        committed = await ledger.committed()
        assert sum(committed.values()) == len(before)

        first.hold.touch()
        await send(settings.kafka_bootstrap, topic, *held)

        async def in_hand() -> bool:
            return not (await ledger.deliveries())[-1].done

        await eventually(in_hand, what="a batch in hand")
        # While a batch is held for longer than its session: whatever commits by the clock would have committed.
        async with ledger.watching_commits() as commits:
            await eventually(lambda: _looked(commits.seen, 10))
        assert all(seen == committed for seen in commits.seen)
        first.kill()
        interrupted = (await ledger.deliveries())[-1]
        assert (interrupted.by, interrupted.done) == ("first", False)
        assert not await ledger.has_effects(len(before) + 1)
    with second:
        await ledger.must_be_exact(ids(before + held))
    again = by_partition([record for delivery in await ledger.deliveries("second") for record in delivery.records])
    for partition, offsets in interrupted.offsets().items():
        assert again[partition][: len(offsets)] == offsets
    assert sum(len(offsets) for offsets in again.values()) == len(held)


async def test_after_a_clean_stop_nothing_that_was_committed_is_handed_over_again_and_nothing_new_is_missed(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    async with Load(settings.kafka_bootstrap, topic) as load:
        for name in ("first", "second", "third"):
            async with running(Bookkeeper(settings, name=name).app):
                await eventually(partial(_handed, ledger, name, 250), within_s=30)
        await load.more(100)
    async with running(Bookkeeper(settings, name="last").app):
        await ledger.must_be_exact(ids(load.sent))
    handed = [record for delivery in await ledger.deliveries() for record in delivery.records]
    assert len(handed) == len(load.sent)
    assert len(set(handed)) == len(handed)
    assert await ledger.order() == order_of(load.sent)


async def test_a_new_group_sees_what_was_published_before_it_existed(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    old, new = events(500), events(200, first=500)
    await send(settings.kafka_bootstrap, topic, *old)
    async with running(Bookkeeper(settings).app):
        await ledger.must_be_exact(ids(old))
    await send(settings.kafka_bootstrap, topic, *new)
    other_settings = settings.model_copy(update={"service": "newcomer"})
    async with aclosing(Ledger(other_settings)) as other, running(Bookkeeper(other_settings).app):
        await other.must_be_exact(ids(old + new))
        assert await other.order() == order_of(old + new)


async def test_events_of_one_youth_have_their_effects_in_order_also_where_batches_fail(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    chance = random.Random(7)
    failures = 0

    async def fail_sometimes() -> None:
        nonlocal failures
        if failures < 4 and chance.random() < 0.4:
            failures += 1
            raise AutoReconnect("connection closed")

    sent = events(2_000, youths=5)
    await send(settings.kafka_bootstrap, topic, *sent)
    async with running(Bookkeeper(settings, midway=fail_sometimes).app):
        await ledger.must_be_exact(ids(sent))
    assert failures == 4
    assert await ledger.order() == order_of(sent)


async def test_when_every_event_is_published_twice_each_has_its_effect_once(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    chance = random.Random(11)
    sent = events(1_000)
    # Each youth's events keep their order, as a relay publishes them; the second time comes anywhere after the first.
    twice = list(sent)
    for event in reversed(sent):
        first = next(place for place, other in enumerate(twice) if other is event)
        twice.insert(chance.randint(first + 1, min(len(twice), first + 700)), event)
    async with running(Bookkeeper(settings).app):
        await send(settings.kafka_bootstrap, topic, *twice)
        await ledger.must_be_exact(ids(sent))
    handed = [record for delivery in await ledger.deliveries() for record in delivery.records]
    assert len(handed) == 2 * len(sent)
    assert await ledger.order() == order_of(sent)


async def _handed(ledger: Ledger, name: str, number: int) -> bool:
    return sum(len(delivery.records) for delivery in await ledger.deliveries(name)) >= number


async def _looked(seen: list[dict[int, int]], times: int) -> bool:
    await asyncio.sleep(0)
    return len(seen) >= times
