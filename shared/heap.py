"""How a service's process keeps its memory: garbage is collected, and what was freed goes back, by the clock."""

import asyncio
import ctypes
import gc
from itertools import count
from typing import Final

_TIDY_EVERY_S: Final = 20.0
_C: Final = ctypes.CDLL(None)

# glibc's mallopt(3), which others lack. By default each thread has a heap of its own and keeps what it once needed
# there: that is a fifth of all memory where threads make large arrays in turn. What is large is to stay as well: from
# the system each time, its pages were cleared again and again, a tenth of all work while megabytes come in from the
# broker.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_HEAPS: Final = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: 32 * 1024 * 1024, _M_TRIM_THRESHOLD: 128 * 1024 * 1024}


def prepare() -> None:
    """Set this process up; to be called once, before it has threads."""
    # A batch makes hundreds of thousands of objects that live as long as it does: the collector would walk them again
    # and again, a tenth of all work. Instead it comes by the clock (`tidy`).
    gc.freeze()
    gc.disable()
    mallopt = getattr(_C, "mallopt", None)
    if mallopt is not None:
        for option, value in _HEAPS.items():
            mallopt(option, value)


async def tidy() -> None:
    """Collect cyclic garbage for ever: the young three times a minute, all of it every ten minutes. Then what is free
    goes back to the system as well: others may wait some 10 to 50 ms for that.
    """
    trim = getattr(_C, "malloc_trim", None)
    for turn in count(1):
        await asyncio.sleep(_TIDY_EVERY_S)
        gc.collect(2 if turn % 30 == 0 else 1 if turn % 3 == 0 else 0)
        if turn % 30 == 0 and trim is not None:
            await asyncio.to_thread(trim, 0)
