"""Starting and stopping, quickly and side by side: nothing is lost or doubled, and no task stays behind."""

import asyncio
import random

import pytest

from shared.settings import ServiceSettings
from tests.conformance.bookkeeper import Bookkeeper
from tests.conformance.ledger import Ledger, order_of
from tests.conformance.load import Load, ids
from tests.support.probe import eventually, running


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_services_that_start_and_stop_quickly_side_by_side_leave_no_task_and_lose_nothing(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    chance = random.Random(3)
    names = [f"{line}{turn}" for turn in range(4) for line in "ab"]

    async def come_and_go(line: str) -> None:
        for name in (name for name in names if name[0] == line):
            async with running(Bookkeeper(settings, name=name).app):
                # Some are stopped at once, before they have joined the group; some amid a batch.
                await asyncio.sleep(chance.choice([0, 0, 0.3, 1.0]))

    before = asyncio.all_tasks()
    async with Load(settings.kafka_bootstrap, topic) as load:
        await asyncio.gather(come_and_go("a"), come_and_go("b"))

    async def none_left() -> bool:
        return not left_over(before)

    await eventually(none_left, within_s=5, what=f"the end of {left_over(before)}")
    # Bounded here as well: a cancelled start tells where it was waiting.
    async with asyncio.timeout(70), running(Bookkeeper(settings, name="last").app):
        await ledger.must_be_exact(ids(load.sent), within_s=40)
    assert await ledger.order() == order_of(load.sent)


async def test_a_service_that_is_stopped_twice_at_once_stops(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    book = Bookkeeper(settings)
    async with Load(settings.kafka_bootstrap, topic) as load, running(book.app):
        await eventually(lambda: ledger.has_effects(200))
        await load.finish()
        bus = book.service.bus
        await asyncio.wait_for(asyncio.gather(bus.stop_consuming(), bus.stop_consuming()), 20)
        assert bus.stopped_loops()
    async with running(Bookkeeper(settings, name="last").app):
        await ledger.must_be_exact(ids(load.sent))
    handed = [record for delivery in await ledger.deliveries() for record in delivery.records]
    assert len(set(handed)) == len(handed)


def left_over(before: set["asyncio.Task[object]"]) -> list[str]:
    """Tasks that were not there before, but for this one."""
    own = {asyncio.current_task()}
    return [str(task.get_coro()) for task in asyncio.all_tasks() - before - own]
