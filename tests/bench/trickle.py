"""Events one by one at a steady rate, each that of a youth who was not known.

trickle.py BOOTSTRAP TOPIC EVENTS_PER_S SECONDS
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import uvloop
from aiokafka import AIOKafkaProducer

from tests.bench.events import Event, detections


async def send(bootstrap: str, topic: str, events: Iterator[Event], per_s: int, seconds: float) -> list[float]:
    """Send the events, each at its time and alone, and wait until the broker has all; when each was sent."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    await producer.start()
    sent: list[float] = []
    waiting: list[Awaitable[Any]] = []
    try:
        began = time.perf_counter()
        for number in range(int(per_s * seconds)):
            early = began + number / per_s - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            event = next(events)
            sent.append(time.perf_counter())
            waiting.append(await producer.send(topic, event.value, event.key.encode(), headers=event.headers))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return sent


def main() -> None:
    """Send."""
    bootstrap, topic, per_s, seconds = sys.argv[1:]
    uvloop.run(send(bootstrap, topic, detections(seed=3), int(per_s), float(seconds)))


if __name__ == "__main__":
    main()
