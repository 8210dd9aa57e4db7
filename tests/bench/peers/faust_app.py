"""Faust: facts and figures in its tables (in memory, with changelog topics).

    faust_app.py events|batches BOOTSTRAP TOPICS RECORDS RESULT

`events`: an agent that takes one event after the other and counts in a table, as Faust's documentation has it.
`batches`: as many at once as there are, a youth's news together, and what a batch changes in the figures as one value.
"""

import importlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from tests.bench.peers.work import (
    Sums,
    gather,
    grow,
    pack,
    pack_place,
    pack_sums,
    tell,
    unpack,
    unpack_place,
    unpack_sums,
)

_BATCH = 5_000
_PARTITIONS = 12


def main() -> None:
    """Apply all records once; RESULT (JSON) gets the rate and all figures."""
    way, bootstrap, topics, expected, result = sys.argv[1:]
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

    def table(name: str) -> Any:
        # A youth's fact lies where his records do: by the partitioner where a batch holds those of several partitions.
        return app.Table(name, partitions=_PARTITIONS, use_partitioner=way == "batches", schema=schema())

    counting = _Counting(app, (table("facts"), table("figures")), topics.split(","), int(expected), result)
    agent = {"events": counting.one_by_one, "batches": counting.in_batches}[way]
    app.agent(app.topic(*topics.split(","), schema=schema()))(agent)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


class _Counting:
    """The agents, and how far they have come."""

    def __init__(self, app: Any, tables: tuple[Any, Any], topics: Sequence[str], expected: int, result: str) -> None:
        self._app = app
        self._topics = topics
        self._facts, self._figures = tables
        self._expected = expected
        self._result = result
        self._applied = 0
        self._began = 0.0

    async def one_by_one(self, stream: Any) -> None:
        """An event at a time; `figures` has the count of each place."""
        await self._begin()
        figures = self._figures
        async for event in stream.events():
            for (leaf, place), change in self._learn([event]).items():
                key = pack_place(leaf, place)
                figures[key] = b"%d" % (int(figures.get(key) or 0) + change)
            await self._note(1, lambda: Counter({unpack_place(key): int(count) for key, count in figures.items()}))

    async def in_batches(self, stream: Any) -> None:
        """What there is at a time; `figures` has what each batch changes."""
        await self._begin()
        number = 0
        async for events in stream.take_events(_BATCH, within=0.1):
            sums = self._learn(events)
            if sums:
                self._figures[b"%d" % number] = pack_sums(sums)
                number += 1
            await self._note(len(events), lambda: unpack_sums(self._figures.values()))

    async def _begin(self) -> None:
        """Wait until the producer knows the tables' topics, or the first change of one fails.

        That these have as many partitions as the sources is looked up there: Faust's own look into what the consumer
        knew when it began finds 0 now and then.
        """
        for table in (self._facts, self._figures):
            found = await self._app.producer._producer.partitions_for(table.changelog_topic.get_topic_name())
            assert len(found) == _PARTITIONS
            table._verified_source_topics_for_partitions.update(self._topics)

    def _learn(self, events: Sequence[Any]) -> Sums:
        """Note in `facts` what events say; what that changes in the figures."""
        self._began = self._began or time.perf_counter()
        sums: Sums = Counter()
        for youth, news in gather([(event.value, _headers(event.message.headers)) for event in events]).items():
            packed = self._facts.get(youth.encode())
            after = grow(None if packed is None else unpack(packed), news, sums)
            if after is not None:
                self._facts[youth.encode()] = pack(after)
        return sums

    async def _note(self, events: int, figures: Callable[[], Sums]) -> None:
        """Count them; at the last, make all durable and tell."""
        self._applied += events
        if self._applied >= self._expected:
            await self._app.producer.flush()
            await self._app.consumer.commit()
            tell(self._result, self._expected / (time.perf_counter() - self._began), figures())
            # Its own way to end takes longer than all the work.
            os._exit(0)


def _headers(headers: Any) -> list[tuple[str, bytes]]:
    return list(headers.items()) if isinstance(headers, dict) else list(headers)


if __name__ == "__main__":
    main()
