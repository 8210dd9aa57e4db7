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
from services.reporting.generations import Generation
from services.reporting.handlers import FactsConsumer
from shared.bus import Log, LogReader
from shared.consumer import comes_again
from shared.dead_letters import Refused
from shared.envelope import Record
from shared.mongo import Document, Session
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

_BATCH: Final = 2_000
_HOLD_S: Final = 5.0
_MOST_HELD_S: Final = 30.0
_TRIES: Final = 30
_BATCHES_A_FOLD: Final = 20
_NEAR: Final = 100
_LOOK_S: Final = 0.05
_MOST_QUIET_S: Final = 30.0
_MOST_LATE_S: Final = 60.0


class BuildConsumer(FactsConsumer):
    """Applies the log to a generation that is being built. What cannot be read is a dead letter of the live one."""

    async def _set_aside(self, refused: Sequence[Refused]) -> None:
        if refused:
            log.info("build_passes_over", records=len(refused))

    async def _still(self, tx: Tx, generation: Generation) -> bool:  # noqa: ARG002  its own, live or not
        return True


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
    broker_log: Log
    topics: Sequence[str]
    consumer: BuildConsumer
    document: Document
    new: Generation
    live: Generation

    def __post_init__(self) -> None:
        self._mongo = self.unit_of_work.mongo
        self._verifies = self.document["kind"] == "verification"
        self._anyway = bool(self.document["anyway"])
        self._in_reach: set[Partition] = set()
        self._unfolded = 0

    async def run(self) -> None:
        """Build, then switch or compare. `Ended` when it cannot be."""
        await generations.drop_all_but(self._mongo, [self.live])
        await self._mongo.ensure([self.new.collection(name) for name in generations.PROJECTION], self.new.indexes())
        self.consumer.readability.share = 1.0
        before = await store.known(self._mongo, self.live)
        async with self.broker_log.read(self.topics) as reader:
            await self._catch_up(reader)
            if self._verifies:
                await self._let_live_catch_up()
            else:
                await self._fold()
                await self._refuse_less_than(before)
            held_at = monotonic()
            try:
                await self._hold()
                await self._read_up_to_live(reader, held_at)
                if self._verifies:
                    await self._compare(held_at)
                else:
                    await self._switch()
                    self.document["held_ms"] = _ms_since(held_at)
            finally:
                await generations.release(self._mongo)
        await generations.drop(self._mongo, self.new if self._verifies else self.live)

    async def _catch_up(self, reader: LogReader) -> None:
        """Read all that the log holds now, and more until little is left of what is written meanwhile."""
        build, moved_at, before = self.document, monotonic(), 0
        begun = await self.broker_log.end_offsets(self.topics)
        while True:
            positions = await reader.positions()
            left = _left(positions, await self.broker_log.end_offsets(self.topics))
            build["of"] = build["read"] + left
            if not _left(positions, begun) and (left <= _NEAR or (left < _BATCH and left >= before > 0)):
                return  # near, or as near as it gets under this load
            records = await reader.read(_BATCH, 0.3)
            await self._apply(records)
            before = left
            if records:
                moved_at = monotonic()
            elif monotonic() - moved_at > _MOST_QUIET_S:
                raise Ended("failed", f"the broker has {left} more records and handed out none for {_MOST_QUIET_S:g} s")

    async def _refuse_less_than(self, before: store.Known) -> None:
        """Refuse a log that tells less than was live when the build began: all of that was in the log once."""
        after = await store.known(self._mongo, self.new)
        self.document["youths"] = after.youths
        gone = await self._gone()
        less = gone or after.youths < before.youths or after.details < before.details
        if less and not self._anyway:
            ends = f", and {len(gone)} partitions end before what was applied" if gone else ""
            raise Ended(
                "refused",
                f"the log is not whole: it tells {after.details} facts of {after.youths} youths, and the live "
                f"projection has {before.details} of {before.youths}{ends}. Publish the journals again first: foquale "
                "rebuild --from journals. Or, where the live projection is what is wrong, take the log as it is: "
                "--anyway",
            )

    async def _gone(self) -> Mapping[Partition, Position]:
        """The partitions whose log ends before what is applied."""
        positions = await store.positions(self._mongo, self.live)
        return lost(positions, await self.broker_log.end_offsets(self.topics))

    async def _let_live_catch_up(self) -> None:
        """Wait until the live projection is as far as the recomputed one: what it has yet to read is no difference."""
        began = monotonic()
        while True:
            if await self._gone():
                raise Ended(
                    "refused", "the log ends before what was applied. Publish the journals again: foquale republish"
                )
            live, new = [await store.positions(self._mongo, of) for of in (self.live, self.new)]
            late = behind(live, new)
            if not late:
                return
            if monotonic() - began > _MOST_LATE_S:
                raise Ended("failed", f"the live projection is behind the log in {len(late)} partitions; see /ready")
            await asyncio.sleep(_LOOK_S)

    async def _read_up_to_live(self, reader: LogReader, held_at: float) -> None:
        """Read until everything is in the new generation that is in the live one, which stands still meanwhile."""
        renewed_at = held_at
        self._in_reach = {*await self.broker_log.end_offsets(self.topics)} - {*await self._gone()}
        standing = await self._to_reach()
        while behind(await store.positions(self._mongo, self.new), standing):
            if monotonic() - held_at > _MOST_HELD_S:
                raise Ended("failed", f"the log's end was not reached within {_MOST_HELD_S:g} s; begin again")
            records = await reader.read(_BATCH, 0.05)
            await self._apply(_before(records, standing) if self._verifies else records)
            if monotonic() - renewed_at > _HOLD_S / 3:
                await self._hold()
                renewed_at = monotonic()

    async def _to_reach(self, session: Session | None = None) -> dict[Partition, Position]:
        """The live positions, but of partitions that the broker no longer has, or whose log ends before them."""
        positions = await store.positions(self._mongo, self.live, session)
        return {partition: position for partition, position in positions.items() if partition in self._in_reach}

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
        self._unfolded += bool(records)
        if self._unfolded >= _BATCHES_A_FOLD and not self._verifies:  # which counts its figures from the facts
            await self._fold()

    async def _fold(self) -> None:
        """Fold what is unfolded. The more at once, the less often a cell is written."""
        self._unfolded = 0
        while await cells.fold(self.unit_of_work, self.new):
            pass

    async def _switch(self) -> None:
        async def work(tx: Tx) -> str | None:
            if not await self._has_its_turn(tx):
                return "another build took over while this one stood still"
            # The hold may have run out while this process slept: then somebody has written since.
            if behind(await store.positions(tx.mongo, self.new, tx.session), await self._to_reach(tx.session)):
                return "the live projection went on while this build stood still; begin again"
            await generations.switch(tx, self.new)
            return None

        reason = await self.unit_of_work.run(work)
        if reason:
            raise Ended("failed", reason)
        self.document["youths"] = (await store.known(self._mongo, self.new)).youths
        log.info("projection_switched", generation=self.new.number, youths=self.document["youths"])

    async def _has_its_turn(self, tx: Tx) -> bool:
        """Whether no other build has begun; writes, so that none can until the transaction has ended."""
        mine = {"_id": "build", "build": self.document["_id"]}
        return bool((await tx["leases"].update_one(mine, {"$inc": {"switches": 1}}, session=tx.session)).matched_count)

    async def _compare(self, held_at: float) -> None:
        mongo = self._mongo
        async with mongo.snapshot() as session:
            live, new = await self._to_reach(session), await store.positions(mongo, self.new, session)
            await generations.release(mongo)
            self.document["held_ms"] = _ms_since(held_at)
            if behind(new, live) or behind(live, new):
                raise Ended("failed", "the live projection went on while this build stood still; begin again")
            found = await comparison.compare(mongo, self.live, self.new, session)
        self.document |= {
            "youths": found.youths,
            "figures": found.figures,
            "differences": {"total": found.total, "items": found.items},
        }

    async def _hold(self) -> None:
        until = self.unit_of_work.clock() + timedelta(seconds=_HOLD_S)
        await generations.hold(self._mongo, until)


def behind(these: Mapping[Partition, Position], those: Mapping[Partition, Position]) -> list[Partition]:
    """The partitions in which these positions fall short of those."""
    return [
        partition
        for partition, position in those.items()
        if position.next_offset and (partition not in these or these[partition].next_offset < position.next_offset)
    ]


def _left(positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> int:
    """How many records are to be read yet."""
    return sum(max(0, end - positions.get(partition, 0)) for partition, end in ends.items())


def _before(records: Sequence[Record], positions: Mapping[Partition, Position]) -> list[Record]:
    """The records that are applied where the topics are applied so far."""
    nowhere = Position(0)
    return [
        record
        for record in records
        if record.offset < positions.get((record.topic, record.partition), nowhere).next_offset
    ]


def _ms_since(moment: float) -> int:
    return round((monotonic() - moment) * 1000)
