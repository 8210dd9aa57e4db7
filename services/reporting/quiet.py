"""Whether the service has little else to do at this moment, for what can wait until it has."""

import asyncio
from time import perf_counter
from typing import Final

_SHORT_TURN_S: Final = 0.001


async def nobody_waits() -> bool:
    """Everything that is ready has its turn before this goes on: whether that took under a millisecond."""
    began = perf_counter()
    await asyncio.sleep(0)
    return perf_counter() - began < _SHORT_TURN_S
