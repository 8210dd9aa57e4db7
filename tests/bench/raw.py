"""FastStream reading batches of records with a handler that does nothing: the limit of what is built on it.

    raw.py own|default BOOTSTRAP TOPICS RECORDS RESULT

`own`: our parser and decoder, which leave the records as they are. `default`: FastStream's own, into pydantic models.
The clock starts when the partitions are dealt, as reporting's does.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from aiokafka import ConsumerRebalanceListener, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel

from services.reporting.settings import ReportingSettings
from shared.bus.connection import _raw_decoder, _raw_parser


class Dealt(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """When partitions were dealt for the first time."""

    at: float | None = None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing is held that would have to be let go."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002  whichever they are
        self.at = self.at or time.perf_counter()


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
    dealt = Dealt()
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
        listener=dealt,
        **more,
    )
    read = 0
    done = asyncio.Event()

    def note(batch: int) -> None:
        nonlocal read
        read += batch
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
    assert dealt.at is not None
    return {"rate": read / (ended - dealt.at)}


if __name__ == "__main__":
    Path(sys.argv[-1]).write_text(json.dumps(uvloop.run(main())))
