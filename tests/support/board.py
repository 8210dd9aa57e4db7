"""Figures written as replicas write them, and a board that follows them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.reporting import generations, store
from services.reporting.answers import Answers
from services.reporting.board import Board, Missed
from services.reporting.definitions import registry
from services.reporting.deltas import of_sums
from services.reporting.freshness import Position
from services.reporting.measures import DAY_SHIFT, FIXED, LEAF_SHIFT, number_of
from services.reporting.projection import Leaf
from services.reporting.readers import Reader
from services.reporting.settings import ReportingSettings
from services.reporting.units import Units
from shared.bus import Log
from shared.clock import Clock
from shared.mongo import Mongo, StoreError
from shared.reference import load
from shared.unit_of_work import Tx, UnitOfWork

LEAVES = [None, *(Leaf(f"{n % 3:02}", f"{n % 5}", f"N{n}") for n in range(12))]
MEASURES = [*FIXED, *(f"delay:interviewed_to_offered:{days}" for days in range(9))]
FIRST_DAY = date(2013, 1, 20)

Counted = Counter[tuple[Leaf | None, date, str]]


def some(rng: random.Random, most: int = 40) -> Counted:
    """Figures as a flush might add."""
    return Counter(
        (rng.choice(LEAVES), FIRST_DAY + timedelta(days=rng.randrange(60)), rng.choice(MEASURES))
        for _ in range(rng.randrange(most))
    )


async def write(unit_of_work: UnitOfWork, slot: int, counted: Counted, offset: int = 1, name: str = "One") -> None:
    """Add figures as a replica does: entered at its slot, positions moved, changes inserted, in one transaction."""
    leaves = list(dict.fromkeys(leaf for leaf, *_ in counted))
    sums = {
        leaves.index(leaf) << LEAF_SHIFT | day.toordinal() << DAY_SHIFT | number_of(measure): count
        for (leaf, day, measure), count in counted.items()
    }
    positions = {("t", slot): Position(offset, datetime(2013, 3, 1, tzinfo=UTC) + timedelta(seconds=offset))}

    async def work(tx: Tx) -> None:
        entry = await generations.enter(tx, slot)
        await store.move(tx, entry.generation, positions)
        networks = tx[entry.generation.collection("networks")]
        await networks.update_one({"_id": f"N{slot}"}, {"$set": {"name": name}}, upsert=True, session=tx.session)
        await store.add_changes(tx, entry, of_sums(leaves, sums), positions, {f"N{slot}": name})

    await unit_of_work.run(work)


@asynccontextmanager
async def following(board: Board) -> AsyncIterator[Board]:
    """The board, loaded and kept up as a service does it; begun again at once when it fails."""

    async def go_on() -> None:
        while True:
            with suppress(StoreError, Missed):
                await board.run()
            await asyncio.sleep(0.05)

    await board.load()
    running = asyncio.create_task(go_on())
    try:
        yield board
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def prepared(mongo: Mongo) -> UnitOfWork:
    await mongo.ensure([*store.COLLECTIONS, "outbox", "leases"], [])
    await generations.prepare(mongo)
    return UnitOfWork(mongo, "reporting")


class NoBroker(Log):
    """Has nothing to say of the log."""

    def __init__(self) -> None:
        super().__init__(ReportingSettings())

    async def end_offsets(self, topics: object) -> Any:  # noqa: ARG002  it has nothing to say
        return {}


def answering(mongo: Mongo, clock: Clock, reader: Reader) -> tuple[Board, Answers]:
    """A board over a real store, to be followed, and the answers out of it, always of now."""
    board = Board(mongo)
    answers = Answers(
        board,
        NoBroker(),
        Units(load()),
        {"t": "referral.events"},
        definitions=registry(),
        clock=clock,
        answer_age_s=0,
        reader=reader,
    )
    return board, answers
