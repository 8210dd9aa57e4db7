"""FastStream reading batches of records with a handler that does nothing: the limit of what is built on it.

    raw.py own|default BOOTSTRAP TOPICS RECORDS RESULT

`own`: our parser and decoder, which leave the records as they are. `default`: FastStream's own, into pydantic models.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel

from services.reporting.settings import ReportingSettings
from shared.bus.connection import _raw_decoder, _raw_parser


class Said(BaseModel):
    """What every event says."""

    youth_id: str
    on: str


async def main() -> dict[str, float]:
    """Read all records once; the rate."""
    way, bootstrap, topics, expected, _result = sys.argv[1:]
    records = int(expected)
    own = way == "own"
    broker = KafkaBroker(bootstrap, apply_types=not own, logger=None)
    more: dict[str, Any] = {"parser": _raw_parser, "decoder": _raw_decoder} if own else {}
    subscriber = broker.subscriber(
        *topics.split(","),
        group_id=f"raw-{uuid4().hex}",
        batch=True,
        max_records=ReportingSettings().batch_records,
        batch_timeout_ms=20,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        **more,
    )
    read = 0
    first: tuple[int, float] | None = None
    done = asyncio.Event()

    def note(batch: int) -> None:
        nonlocal read, first
        read += batch
        if first is None:
            first = read, time.perf_counter()
        if read >= records:
            done.set()

    async def take_raw(message: KafkaMessage) -> None:
        note(len(message.raw_message))

    async def take(bodies: list[Said]) -> None:
        note(len(bodies))

    subscriber(take_raw if own else take)
    await broker.start()
    await done.wait()
    ended = time.perf_counter()
    await broker.stop()
    assert first is not None
    return {"rate": (read - first[0]) / (ended - first[1])}


if __name__ == "__main__":
    Path(sys.argv[-1]).write_text(json.dumps(uvloop.run(main())))
