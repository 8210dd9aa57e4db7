"""A service's background steps go on, whatever a library lets loose within them, until the service itself ends."""

import asyncio

from shared.service import Service
from shared.settings import ServiceSettings


def service() -> Service:
    return Service(ServiceSettings(service="tried", port=0))


async def test_a_step_goes_on_after_a_cancellation_that_nobody_asked_for() -> None:
    """A Kafka client whose connection breaks may cancel what waits for it."""
    begun = 0
    again = asyncio.Event()

    async def step() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            broken.cancel()
            await broken
        again.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(service()._keep_going(step))
    try:
        async with asyncio.timeout(10):
            await asyncio.wait([task, asyncio.create_task(again.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), "the step has ended for good"
        assert begun == 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_step_ends_when_the_service_does() -> None:
    async def step() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(service()._keep_going(step))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
