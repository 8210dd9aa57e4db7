"""Reading several topics in step: what is far ahead of the others waits for them.

A broker hands out topics as it likes: of three that were written side by side, a reader who catches up gets the
smallest first, from its first record to its last. Whoever joins them by youth then meets each youth once per topic,
long after he was last at hand. Reading by the time at which records were written, each youth's come together.

Nobody is made to wait for long: times may be wrong (one far in the future, say), and every partition is to move on.
"""

import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError

_SLACK_MS: Final = 1_000
"""Who is ahead by less is not held back."""
_FEW: Final = 2_000
"""With less to read than this there is nothing to wait for."""
_PATIENCE_MS: Final = 100
"""How long those who are behind are waited for, once nothing of theirs is at hand, before others are read."""
_LONGEST_S: Final = 10.0
"""Who was not read for so long is read, however far ahead."""

_Found = Mapping[TopicPartition, Sequence["ConsumerRecord[bytes, bytes]"]]


class _Read(NamedTuple):
    """How far a partition was read: its next record's offset, when its last was written (ms), when it was read (s)."""

    offset: int
    written: int
    at: float


class Steps:
    """How far each partition was read. Times of reading are of one clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._read: dict[TopicPartition, _Read] = {}

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._read

    def begin(self, partition: TopicPartition, offset: int, at: float) -> None:
        """It will be read from this offset on: whatever is there comes first."""
        self._read[partition] = _Read(offset, 0, at)

    def note(self, found: _Found, at: float) -> None:
        """These were read."""
        for partition, records in found.items():
            self._read[partition] = _Read(records[-1].offset + 1, records[-1].timestamp, at)

    def behind(self, ends: Mapping[TopicPartition, int | None], at: float) -> Collection[TopicPartition]:
        """Of the partitions held, those to be read next; all of them when none is too far ahead.

        `ends` are all that are held, each with the offset after its last record as far as that is known. One that is
        read to its end holds nobody back.
        """
        for lost in self._read.keys() - ends.keys():
            del self._read[lost]
        left = {partition: (ends[partition] or 0) - read.offset for partition, read in self._read.items()}
        times = [self._read[partition].written for partition, records in left.items() if records > 0]
        if not times or sum(records for records in left.values() if records > 0) <= _FEW:
            return ends.keys()
        latest, long_ago = min(times) + _SLACK_MS, at - _LONGEST_S
        ahead = [partition for partition, read in self._read.items() if read.written > latest and read.at > long_ago]
        return ends.keys() - ahead


class InStepConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Reads its partitions in step where it may choose."""

    def __init__(self, *topics: str, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        self._steps = Steps()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list["ConsumerRecord[bytes, bytes]"]]:
        """As aiokafka's. Of all partitions, first those that are behind; waits up to 100 ms for these."""
        found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
        if not partitions:
            await self._begin()
            held = {partition: self.highwater(partition) for partition in self.assignment()}
            chosen = self._steps.behind(held, time.monotonic())
            if len(chosen) < len(held):
                patience_ms = max(timeout_ms, _PATIENCE_MS)
                found = await super().getmany(*chosen, timeout_ms=patience_ms, max_records=max_records)
                timeout_ms = 0
        if not found:
            found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        self._steps.note(found, time.monotonic())
        return found

    async def _begin(self) -> None:
        """Note where partitions begin of which the broker has told something."""
        held = [partition for partition in self.assignment() if partition not in self._steps]
        for partition in [partition for partition in held if self.highwater(partition) is not None]:
            with contextlib.suppress(IllegalStateError):  # it went to another replica just now
                self._steps.begin(partition, await self.position(partition), time.monotonic())
