"""How a process keeps its memory, seen from the kernel's counters in a process of its own."""

import platform
import subprocess
import sys

import pytest

_LARGE = """
import resource
from shared import heap

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

heap.prepare()
for _ in range(3):
    before = faults()
    bytearray(8 * 1024 * 1024)
print(faults() - before)
"""

_TIDIED = """
import asyncio
from pathlib import Path
from shared import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

async def main():
    pieces = [b"x" * 100_000 for _ in range(1_000)]
    last = b"x" * 100_000
    full = resident()
    pieces.clear()
    print(full - resident())
    heap._TIDY_EVERY_S = 0.001
    tidying = asyncio.create_task(heap.tidy())
    async with asyncio.timeout(10):
        while full - resident() < 80_000_000:
            await asyncio.sleep(0.01)
    tidying.cancel()
    print(full - resident())

heap.prepare()
asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory its own way")


def _numbers(program: str) -> list[int]:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return [int(line) for line in ran.stdout.split()]


def test_a_large_buffer_is_of_pages_that_were_had_before() -> None:
    (faults,) = _numbers(_LARGE)
    assert faults < 100  # of 2,048 pages


def test_what_is_free_goes_back_to_the_system_when_it_is_tidied() -> None:
    kept, tidied = _numbers(_TIDIED)
    assert kept < 10_000_000
    assert tidied >= 80_000_000
