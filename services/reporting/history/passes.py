"""One pass over the log: a group of partitions at a time, so that memory holds only the youths of one group.

All topics are keyed by youth_id and have as many partitions as each other, so the partitions of one number hold all
events of their youths: a group. Where that is not so (another number of partitions, records keyed otherwise), it shows,
and everything is read as one group: slower, and as exact.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.reporting.freshness import Partition
from shared.bus import Log, LogReader
from shared.envelope import Record

_BATCH: Final = 5_000
_WAIT_S: Final = 0.2
_MOST_QUIET_S: Final = 30.0


class Astray(Exception):
    """Events of one youth lie in several groups."""


class Stuck(Exception):
    """The broker hands out nothing, though there is more."""


class Fold(Protocol):
    """What a pass does with what it reads."""

    def take(self, records: Sequence[Record]) -> None:
        """The next records of a group, in order per partition."""

    def end_group(self) -> Collection[str]:
        """The group is read; the youths that were in it."""


class Youths:
    """Notices youths that are met in more than one group."""

    def __init__(self) -> None:
        self._met: list[NDArray[np.int64]] = []

    def meet(self, youth_ids: Collection[str]) -> None:
        """Note the youths of a group."""
        self._met.append(np.fromiter(map(hash, youth_ids), np.int64, len(youth_ids)))

    def astray(self) -> bool:
        """Whether any was met twice. Two that only look alike (64 bits) cost a slower pass, and nothing else."""
        every = np.concatenate([np.zeros(0, np.int64), *self._met])
        return len(np.unique(every)) < len(every)


def groups(ends: Mapping[Partition, int]) -> list[list[Partition]]:
    """The groups of partitions that hold whole youths, given all partitions of all topics."""
    numbers: dict[str, set[int]] = {}
    for topic, number in ends:
        numbers.setdefault(topic, set()).add(number)
    if len({frozenset(of) for of in numbers.values()}) > 1:
        return [list(ends)]
    by_number: dict[int, list[Partition]] = {}
    for partition in ends:
        by_number.setdefault(partition[1], []).append(partition)
    return [by_number[number] for number in sorted(by_number)]


async def over(log: Log, ends: Mapping[Partition, int], fold: Fold, *, whole: bool = False) -> int:
    """Let `fold` see every record before `ends`; how many there were. `whole`: as one group. `Astray`, `Stuck`."""
    youths = Youths()
    seen = 0
    for group in [list(ends)] if whole else groups(ends):
        upto = {partition: ends[partition] for partition in group if ends[partition]}
        if upto:
            async with log.read(_topics(upto), dict.fromkeys(upto, 0)) as reader:
                seen += await _read(reader, upto, fold)
        youths.meet(fold.end_group())
    if youths.astray():
        raise Astray
    return seen


async def since(log: Log, begins: Mapping[Partition, int], ends: Mapping[Partition, int], fold: Fold) -> None:
    """Let `fold` see the records from `begins` on, before `ends`."""
    upto = {partition: end for partition, end in ends.items() if end > begins.get(partition, 0)}
    if upto:
        begin = {partition: begins.get(partition, 0) for partition in upto}
        async with log.read(_topics(upto), begin) as reader:
            await _read(reader, upto, fold)


def _topics(partitions: Collection[Partition]) -> list[str]:
    return sorted({topic for topic, _ in partitions})


async def _read(reader: LogReader, upto: Mapping[Partition, int], fold: Fold) -> int:
    moved_at = monotonic()
    seen = 0
    while True:
        records = await reader.read(_BATCH, _WAIT_S)
        wanted = [record for record in records if record.offset < upto[record.topic, record.partition]]
        if wanted:
            fold.take(wanted)
            seen += len(wanted)
        positions = await reader.positions()
        if all(positions[partition] >= end for partition, end in upto.items()):
            return seen
        if records:
            moved_at = monotonic()
        elif monotonic() - moved_at > _MOST_QUIET_S:
            raise Stuck(f"the broker handed out nothing for {_MOST_QUIET_S:g} s")
        await asyncio.sleep(0)
