"""Builds the projection anew beside the live one, from the log, while everything goes on; then switches, or compares.

A build reads the log outside any consumer group and applies it by the same code as the live consumer. Near the end it
holds the live consumers for a moment (their batches come again by themselves), reads up to where they have come, and
then one transaction makes the new generation the live one. A verification takes a snapshot of both at that moment, lets
go, and compares at leisure.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final, Literal

import structlog

from services.reporting import cells, comparison, generations, store
from services.reporting.freshness import Partition, Position, lost
from services.reporting.generations import FACTS, Generation
from services.reporting.handlers import FactsConsumer
from shared.bus import Bus, LogReader
from shared.consumer import comes_again
from shared.dead_letters import Refused
from shared.envelope import Record
from shared.mongo import Document
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

_BATCH: Final = 5_000
_HOLD_S: Final = 5.0
_MOST_HELD_S: Final = 30.0
_TRIES: Final = 30


class BuildConsumer(FactsConsumer):
    """Applies the log to a generation that is being built. What cannot be read is a dead letter of the live one."""

    async def _set_aside(self, refused: Sequence[Refused]) -> None:
        if refused:
            log.info("build_passes_over", records=len(refused))


class Ended(Exception):
    """A build ends here, in this state and for this reason."""

    def __init__(self, state: Literal["refused", "failed"], reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass
class Build:
    """One build under way. `document` is what is told of it; see `builds.py`."""

    unit_of_work: UnitOfWork
    bus: Bus
    topics: Sequence[str]
    consumer: BuildConsumer
    document: Document
    new: Generation
    live: Generation

    async def run(self) -> None:
        """Build, then switch or compare. `Ended` when it cannot be."""
        mongo = self.unit_of_work.mongo
        await generations.drop_all_but(mongo, [self.live])
        await mongo.ensure([self.new.collection(name) for name in generations.PROJECTION], self.new.indexes())
        self.consumer.readability.share = 1.0
        async with self.bus.log(self.topics) as reader:
            await self._catch_up(reader)
            held_at = monotonic()
            try:
                await self._hold()
                await self._read_up_to_live(reader, held_at)
                if self.document["kind"] == "rebuild":
                    await self._switch()
                    self.document["held_ms"] = round((monotonic() - held_at) * 1000)
                else:
                    await self._compare(held_at)
            finally:
                await generations.release(mongo)
        await generations.drop(mongo, self.live if self.document["kind"] == "rebuild" else self.new)

    async def _catch_up(self, reader: LogReader) -> None:
        """Read to the end of the log, but for what is written meanwhile."""
        build = self.document
        build["of"] = await self._end_of_log()
        quiet = 0
        while quiet < 2:
            records = await reader.read(_BATCH, 0.3)
            await self._apply(records)
            quiet = 0 if records else quiet + 1
            if build["read"] >= build["of"]:
                build["of"] = await self._end_of_log()
                if build["of"] - build["read"] < _BATCH:
                    return

    async def _end_of_log(self) -> int:
        return sum((await self.bus.end_offsets(self.topics)).values())

    async def _read_up_to_live(self, reader: LogReader, held_at: float) -> None:
        """Read until everything is in the new generation that is in the live one, which stands still meanwhile."""
        mongo, build, renewed_at = self.unit_of_work.mongo, self.document, held_at
        standing = await store.positions(mongo, self.live)
        gone = lost(standing, await self.bus.end_offsets(self.topics))
        while not gone and behind(await store.positions(mongo, self.new), standing):
            if monotonic() - held_at > _MOST_HELD_S:
                raise Ended("failed", f"the log's end was not reached within {_MOST_HELD_S:g} s; begin again")
            await self._apply(await reader.read(_BATCH, 0.05))
            if monotonic() - renewed_at > _HOLD_S / 3:
                await self._hold()
                renewed_at = monotonic()
        build["youths"] = await mongo[self.new.collection(FACTS)].count_documents({})
        before = await mongo[self.live.collection(FACTS)].count_documents({})
        if build["kind"] == "rebuild" and not build["anyway"] and (gone or build["youths"] < before):
            raise Ended(
                "refused",
                f"the log is not whole: it tells of {build['youths']} youths, and the live projection of {before}"
                f"{f', and {len(gone)} partitions end before what was applied' if gone else ''}. Publish the journals "
                "again first: foquale rebuild --from journals. Or take the log as it is: --anyway",
            )

    async def _apply(self, records: Sequence[Record]) -> None:
        for attempt in range(_TRIES if records else 0):
            try:
                await self.consumer.on_batch(records)
                break
            except Exception as error:
                if not comes_again(error) or attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(1)
        self.document["read"] += len(records)
        while records and await cells.fold(self.unit_of_work, self.new):
            pass

    async def _switch(self) -> None:
        async def work(tx: Tx) -> bool:
            # The hold may have run out while this process slept: then somebody has written since.
            new, live = [await store.positions(tx.mongo, of, tx.session) for of in (self.new, self.live)]
            stale = bool(behind(new, live)) and not self.document["anyway"]
            if stale or await generations.live(tx.mongo, tx.session) != self.live:
                return False
            await generations.switch(tx, self.new)
            return True

        if not await self.unit_of_work.run(work):
            raise Ended("failed", "the live projection went on while this process stood still; begin again")
        log.info("projection_switched", generation=self.new.number, youths=self.document["youths"])

    async def _compare(self, held_at: float) -> None:
        mongo = self.unit_of_work.mongo
        async with mongo.snapshot() as session:
            await mongo[generations.SLOTS].find_one({}, session=session)  # the snapshot is taken here
            await generations.release(mongo)
            self.document["held_ms"] = round((monotonic() - held_at) * 1000)
            found = await comparison.compare(mongo, self.live, self.new, session)
        self.document |= {
            "youths": found.youths,
            "figures": found.figures,
            "differences": {"total": found.total, "items": found.items},
        }

    async def _hold(self) -> None:
        until = self.unit_of_work.clock() + timedelta(seconds=_HOLD_S)
        await generations.hold(self.unit_of_work.mongo, until)


def behind(new: Mapping[Partition, Position], live: Mapping[Partition, Position]) -> list[Partition]:
    """The partitions of which the live positions are further than the new ones."""
    return [
        partition
        for partition, position in live.items()
        if position.next_offset and (partition not in new or new[partition].next_offset < position.next_offset)
    ]
