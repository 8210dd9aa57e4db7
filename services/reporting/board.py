"""The figures in memory, and how they keep up with the store: every replica has them all, and answers from there.

A load reads one snapshot: cells and changes, whose sum never changes by a fold, positions, names, and how many writes
each slot has had. From the snapshot's moment on, a change stream tells every change that is inserted, in the order of
commits; `n` numbers those of a slot without gaps, so that none is missed or counted twice unnoticed. When a number is
missing, the stream is lost or another generation is live, all is loaded anew; until then the figures stay as they are.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from services.reporting import deltas, generations, store
from services.reporting.figures import Level, Period, Tally, Unit
from services.reporting.freshness import Partition, Position
from services.reporting.generations import CELLS, CHANGES, SLOTS, Generation
from services.reporting.sums import Sums, tally_of
from shared.mongo import Document, Moment, Mongo, Session, StoreError, moment_of, was_dropped
from shared.problems import Problem

log = structlog.get_logger(__name__)

_ROWS_AT_ONCE: Final = 20
_MOST_WAITING: Final = 500_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures, positions and names as they were together at one moment.

    `span`: first and last month with figures, `YYYY-MM`; None where there are none.
    """

    tallies: dict[Unit, Tally]
    positions: dict[Partition, Position]
    networks: dict[str, str]
    span: tuple[str, str] | None


@dataclass
class Figures:
    """All figures of a generation, and what goes with them. `writes`: of each slot, how many are in them."""

    generation: Generation
    moment: Moment
    writes: dict[int, int]
    positions: dict[Partition, Position]
    networks: dict[str, str]
    sums: Sums = field(default_factory=Sums)

    def add(self, *changes: Document) -> None:
        """Add documents of `changes`, in their order."""
        self.sums.add(*map(deltas.of_document, changes))
        for change in changes:
            for topic, number, next_offset, time in change["positions"]:
                self._move((topic, number), next_offset, time)
            self.networks |= change["names"]

    def _move(self, partition: Partition, next_offset: int, time: Any) -> None:
        """As in the store: never backwards, but to 0, where the log was made anew."""
        position = self.positions.setdefault(partition, Position(0))
        position.next_offset = max(position.next_offset, next_offset) if next_offset else 0
        if time is not None:
            known = position.last_event_time
            position.last_event_time = time if known is None else max(known, time)

    def snapshot(self, levels: Sequence[Level], period: Period, codes: Collection[str] = ()) -> Snapshot:
        """The tallies of the units of these levels over the period, and what goes with them."""
        tallies: dict[Unit, Tally] = {}
        for level in levels:
            found = tally_of(self.sums.tallies(level, period, codes))
            tallies |= {(level, code): tally for code, tally in found}
        span = self.sums.span()
        return Snapshot(
            tallies,
            self.positions,
            self.networks,
            None if span is None else (_written(span[0]), _written(span[1])),
        )


def _written(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"


async def load(mongo: Mongo) -> Figures:
    """The live figures as they are now."""
    while True:
        try:
            async with mongo.snapshot() as session:
                figures = await read(mongo, await generations.live(mongo, session), session)
        except StoreError as error:
            if not was_dropped(error):
                raise
            continue
        # A collection that was dropped meanwhile reads as an empty one. It is dropped only when it is no longer live.
        if await generations.live(mongo) == figures.generation:
            return figures


async def read(mongo: Mongo, of: Generation, session: Session) -> Figures:
    """A generation's figures as they are in a snapshot (`session`) that something was already read in."""
    figures = Figures(
        of,
        moment_of(session),
        {row["_id"]: row["writes"] async for row in mongo[SLOTS].find({}, session=session)},
        await store.positions(mongo, of, session),
        await store.names(mongo, of, "networks", session),
    )
    for name in (CELLS, CHANGES):
        # A few at a time: adding them takes the loop, and somebody may be waiting for an answer.
        async for row in mongo[of.collection(name)].find({}, session=session, batch_size=_ROWS_AT_ONCE):
            figures.sums.add(deltas.of_document(row))
    figures.sums.sort()
    return figures


class Missed(Exception):
    """A change did not come by."""


class Board:
    """The live figures, kept up with the store.

    Changes that have come in wait until `settle`, so that all answers of a moment are of the same figures. Before the
    first load, whoever asks waits for `patience_s`.
    """

    def __init__(self, mongo: Mongo, *, patience_s: float = 5.0) -> None:
        self._mongo = mongo
        self._patience_s = patience_s
        self._figures: Figures | None = None
        self._loaded = asyncio.Event()
        self._lost = True
        self._heard: dict[int, int] = {}
        self._waiting: list[Document] = []
        self._weight = 0
        self.moves = 0
        """Rises whenever the figures become others."""

    async def load(self) -> None:
        """Load all figures anew."""
        self._figures = figures = await load(self._mongo)
        self._heard = dict(figures.writes)
        self._waiting, self._weight = [], 0
        self._lost = False
        self.moves += 1
        self._loaded.set()

    async def run(self) -> None:
        """Keep up for as long as the service runs."""
        while True:
            if self._lost:
                await self.load()
            self._lost = True  # unless this goes on for ever
            figures = await self.figures()
            async with self._mongo.follow(_pipeline(figures.generation), figures.moment) as changes:
                async for change in changes:
                    if change["ns"]["coll"] == SLOTS:
                        log.info("figures_load_anew", reason="another generation is live")
                        break
                    self.take(change["fullDocument"])

    @property
    def has_news(self) -> bool:
        """Whether changes wait to be added."""
        return bool(self._waiting)

    def take(self, change: Document) -> None:
        """Note a change of the stream. `Missed` when one before it has not come."""
        slot, number = change["slot"], change["n"]
        before = self._heard.get(slot, 0)
        if number <= before:
            return  # it is in the snapshot
        if number > before + 1:
            raise Missed(f"slot {slot}: {number} came after {before}")
        self._heard[slot] = number
        self._waiting.append(change)
        self._weight += len(change["keys"])
        if self._weight > _MOST_WAITING:  # and nobody asks
            self.settle()

    def settle(self) -> None:
        """Add what waits to the figures."""
        if self._figures is None or not self._waiting:
            return
        waiting, self._waiting, self._weight = self._waiting, [], 0
        self.moves += 1
        self._figures.add(*waiting)

    async def figures(self) -> Figures:
        """The figures, as they are until the next `settle`."""
        figures = self._figures
        if figures is not None:
            return figures
        try:
            async with asyncio.timeout(self._patience_s):
                await self._loaded.wait()
        except TimeoutError:
            detail = "the figures are still being loaded; try again in a moment"
            raise Problem(503, "store_unavailable", detail, retry_after_s=2) from None
        return await self.figures()


def _pipeline(live: Generation) -> list[Mapping[str, Any]]:
    """Changes of the live generation, and the moment when another takes its place."""
    inserted = {"operationType": "insert", "ns.coll": live.collection(CHANGES)}
    switched = {
        "operationType": "update",
        "ns.coll": SLOTS,
        "updateDescription.updatedFields.generation": {"$exists": True},
    }
    return [{"$match": {"$or": [inserted, switched]}}]
