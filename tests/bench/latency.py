"""From an event's publication to the answer that counts it: one event at a time, while the answer is asked for again
and again.
"""

import asyncio
import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from tests.bench.events import detections
from tests.bench.machine import Machine, Running
from tests.bench.oracle import Wrong
from tests.bench.trickle import send

_PER_S: Final = 500
_POLL_S: Final = 0.005
_PATIENCE_S: Final = 30.0
_REQUEST: Final = b"GET /v1/indicators?by=national&view=activity HTTP/1.1\r\nHost: bench\r\n\r\n"


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """`latency_p50_ms`, `latency_p99_ms`: 500 events a second."""
    running = machine.start("reporting")
    try:
        sent, seen = uvloop.run(_watch(machine, running, seconds=min(20.0, budget / 2)))
    finally:
        running.stop()
    # The answer counts youths: event k is in it when it counts k at least.
    took: list[float] = []
    at = 0
    for number, moment in enumerate(sent, start=1):
        while seen[at][1] < number:
            at += 1
        took.append(seen[at][0] - moment)
    took.sort()
    return {"latency_p50_ms": took[len(took) // 2] * 1e3, "latency_p99_ms": took[len(took) * 99 // 100] * 1e3}


async def _watch(machine: Machine, running: Running, seconds: float) -> tuple[list[float], list[tuple[float, int]]]:
    """When each event was sent, and what the answer counted at which moment."""
    where = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    seen: list[tuple[float, int]] = []

    async def look() -> int:
        writer.write(_REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]))
        answer: dict[str, Any] = json.loads(body)
        count = int(answer["rows"][0]["activity"]["detected"])
        seen.append((time.perf_counter(), count))
        return count

    await look()
    topic = f"{machine.prefix}.referral.events"
    sending = asyncio.create_task(send(machine.kafka_bootstrap, topic, detections(seed=5), _PER_S, seconds))
    while not sending.done():
        await look()
        await asyncio.sleep(_POLL_S)
    sent = await sending
    until = time.monotonic() + _PATIENCE_S
    while (count := await look()) < len(sent):
        if time.monotonic() > until:
            raise Wrong(f"{count} of {len(sent)} events are counted after {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_POLL_S)
    await asyncio.sleep(0.5)
    if (count := await look()) != len(sent):
        raise Wrong(f"{count} youths are counted instead of {len(sent)}")
    writer.close()
    return sent, seen
