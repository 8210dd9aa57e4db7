"""Quix Streams: facts in its state, with changelog topics; figures to a sink that stores what each checkpoint adds.

    quix.py BOOTSTRAP MONGO_URL DATABASE TOPICS RECORDS RESULT

As it may run a checkpoint's sink again after a crash, these figures are kept at least once, not exactly once.
"""

import importlib
import sys
import tempfile
import time
from collections import Counter
from typing import Any
from uuid import uuid4

from pymongo import MongoClient

from tests.bench.peers.work import Sums, gather, grow, pack, pack_sums, tell, unpack, unpack_sums

_CHECKPOINT_S = 5.0


def main() -> None:
    """Apply all records once; RESULT (JSON) gets the rate and all figures."""
    bootstrap, mongo_url, database, topics, expected, result = sys.argv[1:]
    quix: Any = importlib.import_module("quixstreams")
    sinks: Any = importlib.import_module("quixstreams.sinks")
    sums: Sums = Counter()
    began: float | None = None
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, w="majority", journal=True)
    stored = client[database]["figures"]

    class Figures(sinks.BaseSink):  # type: ignore[misc]  # the project has no Quix
        """Adds up over all partitions; one document a checkpoint."""

        def add(self, **_record: Any) -> None:
            """The changes are in `sums` already."""

        def flush(self) -> None:
            """Store what has come since the checkpoint before."""
            if sums:
                stored.insert_one({"figures": pack_sums(sums)})
                sums.clear()

        def on_paused(self) -> None:
            """Nothing is given back."""

    def apply(value: bytes, _key: Any, _timestamp: int, headers: Any, state: Any) -> None:
        nonlocal began
        if began is None:
            began = time.perf_counter()
        for news in gather([(value, headers)]).values():
            packed = state.get_bytes("fact")
            after = grow(None if packed is None else unpack(packed), news, sums)
            if after is not None:
                state.set_bytes("fact", pack(after))

    with tempfile.TemporaryDirectory() as folder:
        app = quix.Application(
            broker_address=bootstrap,
            consumer_group=f"quix-{uuid4().hex}",
            auto_offset_reset="earliest",
            commit_interval=_CHECKPOINT_S,
            state_dir=folder,
            loglevel="WARNING",
            producer_extra_config={"linger.ms": 50, "batch.size": 262_144, "compression.type": "lz4"},
            consumer_extra_config={"fetch.min.bytes": 65_536, "queued.max.messages.kbytes": 200_000},
        )
        frames = [
            app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes"))
            for name in topics.split(",")
        ]
        frame = frames[0].concat(frames[1]).concat(frames[2])
        frame = frame.apply(apply, stateful=True, metadata=True)
        frame.sink(Figures())
        app.run(count=int(expected))
        assert began is not None
        seconds = time.perf_counter() - began
    found = unpack_sums(row["figures"] for row in stored.find({}))
    tell(result, int(expected) / seconds, found)


if __name__ == "__main__":
    main()
