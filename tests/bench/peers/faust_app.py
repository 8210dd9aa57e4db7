"""Faust: facts and figures in its tables (in memory, with changelog topics), in batches.

faust_app.py BOOTSTRAP TOPICS RECORDS RESULT
"""

import importlib
import os
import sys
import tempfile
import time
from collections import Counter
from typing import Any
from uuid import uuid4

from tests.bench.peers.work import Sums, gather, grow, pack, pack_sums, tell, unpack, unpack_sums

_BATCH = 5_000
_PARTITIONS = 12


def main() -> None:
    """Apply all records once; RESULT (JSON) gets the rate and all figures."""
    bootstrap, topics, expected, result = sys.argv[1:]
    faust: Any = importlib.import_module("faust")
    app = faust.App(
        f"faust-{uuid4().hex}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_partitions=_PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_linger_ms=20,
        producer_max_batch_size=262_144,
        producer_acks=-1,
        datadir=tempfile.mkdtemp(),
        version=1,
    )

    def schema() -> Any:
        """Keys and values stay the bytes that they are. One each: Faust writes into it."""
        return faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    records = app.topic(*topics.split(","), schema=schema())
    # By the partitioner, as a batch holds records of several partitions: a youth's fact lies where his records do.
    facts = app.Table("facts", partitions=_PARTITIONS, use_partitioner=True, schema=schema())
    figures = app.Table("figures", partitions=_PARTITIONS, use_partitioner=True, schema=schema())
    applied = 0
    began: float | None = None

    async def apply(stream: Any) -> None:
        nonlocal applied, began
        number = 0
        async for events in stream.take_events(_BATCH, within=0.1):
            if began is None:
                began = time.perf_counter()
            sums: Sums = Counter()
            said = [(event.value, _headers(event.message.headers)) for event in events]
            for youth, news in gather(said).items():
                packed = facts.get(youth.encode())
                after = grow(None if packed is None else unpack(packed), news, sums)
                if after is not None:
                    facts[youth.encode()] = pack(after)
            if sums:
                figures[b"%d" % number] = pack_sums(sums)
                number += 1
            applied += len(events)
            if applied >= int(expected):
                await app.producer.flush()
                await app.consumer.commit()
                seconds = time.perf_counter() - began
                tell(result, int(expected) / seconds, unpack_sums(figures.values()))
                # Its own way to end takes longer than all the work.
                os._exit(0)

    app.agent(records)(apply)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


def _headers(headers: Any) -> list[tuple[str, bytes]]:
    return list(headers.items()) if isinstance(headers, dict) else list(headers)


if __name__ == "__main__":
    main()
