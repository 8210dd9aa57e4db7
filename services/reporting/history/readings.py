"""Figures as they were known at the end of a day: counted once for all replicas, and again only where that changed.

A day's events are those recorded until its end. Once it is over hardly any comes in (one that waited in an outbox, one
published again), so what was counted once is kept in memory and in the store; when the log has grown, only what is new
in it is read, to see whether anything was recorded early enough to change the figures.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from time import monotonic
from typing import Final

from services.reporting import deltas
from services.reporting.deltas import Deltas
from services.reporting.freshness import Partition
from services.reporting.history import jobs, store
from services.reporting.history.cuts import Cut, end_of
from services.reporting.history.desk import BEING_COMPUTED, Desk
from services.reporting.history.process import LogProcess
from services.reporting.history.store import Reading
from services.reporting.sums import Sums
from shared.bus import Log
from shared.clock import Clock, random_id
from shared.mongo import Mongo
from shared.problems import Problem

_MOST_IN_MEMORY: Final = 3
_LEASE_S: Final = 15.0
_LOOK_S: Final = 0.3
_FIGURES_AT_ONCE: Final = 50_000


@dataclass(slots=True)
class Past:
    """The figures of a day in memory; `looked_at` is monotonic, `number` another one for other figures."""

    reading: Reading
    sums: Sums
    number: int
    looked_at: float


class Readings:
    """Gives the figures of past days. `age_s`: the log is looked at again after so long, where it has grown."""

    def __init__(
        self,
        mongo: Mongo,
        broker_log: Log,
        topics: Sequence[str],
        process: LogProcess,
        desk: Desk,
        *,
        clock: Clock,
        age_s: float,
    ) -> None:
        self._mongo = mongo
        self._log = broker_log
        self._topics = topics
        self._process = process
        self._desk = desk
        self._clock = clock
        self._age_s = age_s
        self._owner = random_id()
        self._past: OrderedDict[date, Past] = OrderedDict()
        self._numbers = 0

    async def of(self, day: date) -> Past:
        """The figures as they were known at the end of the day. Problem 503 where it takes longer than patience does;
        those of a moment ago where there are some.
        """
        past = self._past.get(day)
        if past is not None and monotonic() < past.looked_at + self._age_s:
            return past
        try:
            return await self._desk.get(("day", day), lambda: self._look(day))
        except Problem as problem:
            if past is None or problem.code != BEING_COMPUTED:
                raise
            return past

    async def _look(self, day: date) -> Past:
        while True:
            ends = dict(await self._log.end_offsets(self._topics))
            reading = await store.reading(self._mongo, day)
            if reading is not None and not _fits(reading.positions, ends):
                reading = None  # the log was made anew
            if reading is not None and self._holds(reading, ends):
                past = await self._load(reading)
                if past is not None:
                    return past
            async with self._lease(day) as mine:
                if mine:
                    return await self._renew(day, reading, ends)
            await asyncio.sleep(_LOOK_S)  # another replica is at it

    def _holds(self, reading: Reading, ends: Mapping[Partition, int]) -> bool:
        return reading.positions == ends or self._clock() < reading.looked_at + timedelta(seconds=self._age_s)

    async def _renew(self, day: date, reading: Reading | None, ends: dict[Partition, int]) -> Past:
        known = None if reading is None else dict(reading.positions)
        cut = Cut(recorded_until=end_of(day))
        result = await self._process.do(jobs.SumsJob(ends, cut, known))
        if not isinstance(result, jobs.Sums):
            raise TypeError(f"no figures: {type(result).__name__}")
        if result.unchanged and reading is not None:
            reading = replace(reading, positions=ends, looked_at=self._clock())
            await store.look(self._mongo, reading)
            past = await self._load(reading)
            if past is not None:
                return past
            result = await self._process.do(jobs.SumsJob(ends, cut, None))
            if not isinstance(result, jobs.Sums):
                raise TypeError(f"no figures: {type(result).__name__}")
        reading = Reading(day, random_id(), len(result.pieces), ends, self._clock())
        await store.keep(self._mongo, reading, result.pieces)
        return await self._add(reading, [deltas.of_document(piece) for piece in result.pieces])

    async def _load(self, reading: Reading) -> Past | None:
        past = self._past.get(reading.day)
        if past is not None and past.reading.version == reading.version:
            past.reading, past.looked_at = reading, monotonic()
            return past
        figures = await store.figures(self._mongo, reading)
        return None if figures is None else await self._add(reading, figures)

    async def _add(self, reading: Reading, figures: Sequence[Deltas]) -> Past:
        sums = await summed(figures)
        self._numbers += 1
        past = Past(reading, sums, self._numbers, monotonic())
        self._past.pop(reading.day, None)
        while len(self._past) >= _MOST_IN_MEMORY:
            self._past.popitem(last=False)
        self._past[reading.day] = past
        return past

    @asynccontextmanager
    async def _lease(self, day: date) -> AsyncIterator[bool]:
        """Whether this replica is the one that counts the day now."""
        name = f"reading|{day.isoformat()}"

        async def take() -> bool:
            now = self._clock()
            return await store.lease(self._mongo, name, self._owner, now, now + timedelta(seconds=_LEASE_S))

        async def keep() -> None:
            while True:
                await asyncio.sleep(_LEASE_S / 3)
                await take()

        if not await take():
            yield False
            return
        keeping = asyncio.ensure_future(keep())
        try:
            yield True
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await store.release(self._mongo, name, self._owner)


def _fits(positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> bool:
    """Whether the log still holds what was read of it."""
    return all(upto <= ends.get(partition, 0) for partition, upto in positions.items())


async def summed(figures: Sequence[Deltas]) -> Sums:
    """The figures in memory, added in a thread, for it takes a moment."""

    def add() -> Sums:
        sums = Sums()
        for each in figures:
            for piece in each.pieces(_FIGURES_AT_ONCE):
                sums.add(piece)
        sums.sort()
        return sums

    return await asyncio.to_thread(add)
