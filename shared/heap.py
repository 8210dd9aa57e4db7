"""How a service's process keeps its memory: garbage is collected by the clock, and what was freed goes back."""

import asyncio
import ctypes
import gc
from itertools import count
from typing import Final

_TIDY_EVERY_S: Final = 20.0

# glibc's mallopt(3). By default each thread has a heap of its own and keeps what it once needed there: that is a fifth
# of all memory where threads make large arrays in turn.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_HEAPS: Final = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: 256 * 1024, _M_TRIM_THRESHOLD: 1024 * 1024}


def prepare() -> None:
    """Set this process up; to be called once, before it has threads."""
    # A batch makes hundreds of thousands of objects that live as long as it does: the collector would walk them again
    # and again, a tenth of all work. Instead it comes by the clock (`tidy`).
    gc.freeze()
    gc.disable()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt is not None:
        for option, value in _HEAPS.items():
            mallopt(option, value)


async def tidy() -> None:
    """Collect cyclic garbage for ever: the young three times a minute, all of it every ten minutes."""
    for turn in count(1):
        await asyncio.sleep(_TIDY_EVERY_S)
        gc.collect(2 if turn % 30 == 0 else 1 if turn % 3 == 0 else 0)
