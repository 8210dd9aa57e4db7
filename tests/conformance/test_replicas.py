"""Replicas: they join, leave, die and freeze under load, and every event still has its effect once."""

from pathlib import Path

import pytest

from shared.settings import ServiceSettings
from tests.conformance.ledger import Delivery, Ledger, order_of
from tests.conformance.load import Load, ids
from tests.conformance.replicas import Replica
from tests.support.probe import eventually

# One that is frozen amid a transaction, or killed, holds its events up until the store gives the transaction up: the
# local servers after 10 to 15 s, one with MongoDB's own setting after 60 to 90 s.
_STORE_GIVES_UP_S = 100.0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_replicas_join_leave_and_die_under_load(
    settings: ServiceSettings, topic: str, ledger: Ledger, tmp_path: Path
) -> None:
    first, second, third, fourth = (
        Replica(name, settings, tmp_path) for name in ("first", "second", "third", "fourth")
    )
    async with Load(settings.kafka_bootstrap, topic) as load:
        with first, second:
            await first.at_work(ledger)
            await second.at_work(ledger)
            with third:
                await third.at_work(ledger)
                assert await first.stop() == 0
                await load.more(200)
                second.kill()
                with fourth:
                    await fourth.at_work(ledger)
                    await load.more(200)
                    assert await third.stop() == 0
                    await load.more(200)
                    await _goes_on(ledger, "fourth", within_s=_STORE_GIVES_UP_S)
                    await load.finish()
                    await ledger.must_be_exact(ids(load.sent), within_s=_STORE_GIVES_UP_S)
    assert await ledger.order() == order_of(load.sent)
    assert {delivery.by for delivery in await ledger.deliveries()} == {"first", "second", "third", "fourth"}


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_replica_that_is_told_to_end_amid_the_stream_ends_within_its_grace_and_the_next_goes_on_where_it_was(
    settings: ServiceSettings, topic: str, ledger: Ledger, tmp_path: Path
) -> None:
    names = ("first", "second", "third")
    async with Load(settings.kafka_bootstrap, topic, per_s=500) as load:
        for name in names:
            with Replica(name, settings, tmp_path) as replica:
                await replica.at_work(ledger)
                await load.more(200)
                if name == names[-1]:
                    await load.finish()
                    await ledger.must_be_exact(ids(load.sent))
                assert await replica.stop() == 0
                assert replica.said("stopped")
                assert not replica.said("commit_refused")
    handed = [record for delivery in await ledger.deliveries() for record in delivery.records]
    assert len(set(handed)) == len(handed) == len(load.sent)
    assert await ledger.order() == order_of(load.sent)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_replica_frozen_between_effect_and_commit_cannot_move_offsets_back_when_it_wakes(
    settings: ServiceSettings, topic: str, ledger: Ledger, tmp_path: Path
) -> None:
    zombie, other = Replica("zombie", settings, tmp_path), Replica("other", settings, tmp_path)
    with zombie, other:
        async with Load(settings.kafka_bootstrap, topic) as load, ledger.watching_commits() as commits:
            await zombie.at_work(ledger)
            await other.at_work(ledger)
            zombie.freeze.touch()
            await zombie.frozen()
            unconfirmed = (await ledger.deliveries("zombie"))[-1]
            assert unconfirmed.done
            # Frozen for longer than its session: all that it held goes to the other.
            await eventually(lambda: _is_past(ledger, unconfirmed), within_s=30, what="the other past the zombie")
            zombie.resume()

            async def given_up() -> bool:
                # The broker refuses it, or the client hears first that its partitions went to another.
                return zombie.said("commit_refused") or zombie.said("commit_left_out")

            await eventually(given_up, what="the zombie's late commit, given up")
            awake = len(await ledger.deliveries("zombie"))
            await eventually(lambda: _has_more(ledger, "zombie", awake), within_s=30, what="the zombie at work again")
            await load.finish()
            await ledger.must_be_exact(ids(load.sent))
    assert len(commits.seen) > 10
    assert commits.went_back() == []
    assert await ledger.order() == order_of(load.sent)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_replica_frozen_amid_its_transaction_does_nothing_twice_when_it_wakes(
    settings: ServiceSettings, topic: str, ledger: Ledger, tmp_path: Path
) -> None:
    zombie, other = Replica("zombie", settings, tmp_path), Replica("other", settings, tmp_path)
    with zombie, other:
        async with Load(settings.kafka_bootstrap, topic) as load:
            await zombie.at_work(ledger)
            await other.at_work(ledger)
            zombie.hold.touch()
            await eventually(lambda: _in_hand(ledger, "zombie"), what="a batch in the zombie's hand")
            zombie.pause()
            zombie.hold.unlink()
            held = (await ledger.deliveries("zombie"))[-1]
            await eventually(
                lambda: _is_past(ledger, held), within_s=_STORE_GIVES_UP_S, what="the other past the zombie"
            )
            zombie.resume()
            awake = len(await ledger.deliveries("zombie"))
            await eventually(lambda: _has_more(ledger, "zombie", awake), within_s=30, what="the zombie at work again")
            await load.finish()
            await ledger.must_be_exact(ids(load.sent))
    assert await ledger.order() == order_of(load.sent)


async def _goes_on(ledger: Ledger, name: str, *, within_s: float) -> None:
    """Wait until the replica has done one more batch than it has now."""
    before = sum(delivery.done for delivery in await ledger.deliveries(name))

    async def more() -> bool:
        return sum(delivery.done for delivery in await ledger.deliveries(name)) > before

    await eventually(more, within_s=within_s, what=f"another batch of {name}")


async def _is_past(ledger: Ledger, delivery: Delivery) -> bool:
    """Whether the group has committed more than the batch has, on all its partitions."""
    committed = await ledger.committed()
    return all(committed.get(partition, 0) > offsets[-1] + 1 for partition, offsets in delivery.offsets().items())


async def _has_more(ledger: Ledger, name: str, than: int) -> bool:
    return len(await ledger.deliveries(name)) > than


async def _in_hand(ledger: Ledger, name: str) -> bool:
    deliveries = await ledger.deliveries(name)
    return bool(deliveries) and not deliveries[-1].done
