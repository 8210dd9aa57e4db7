"""The figures in memory follow a real store: while replicas write and fold, over switches, gaps and outages."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import pytest

from deploy.local import Mongod, free_port
from services.reporting import board as boards
from services.reporting import cells, generations, store
from services.reporting.board import Board, Missed
from services.reporting.deltas import of_sums
from services.reporting.figures import LEVELS, Period, Tally, Unit, units_of
from services.reporting.generations import Generation
from services.reporting.measures import DAY_SHIFT, number_of
from shared.mongo import Mongo
from shared.unit_of_work import UnitOfWork
from tests.support.board import FIRST_DAY, LEAVES, Counted, following, prepared, some, write
from tests.support.probe import eventually

PART = Period(date(2013, 1, 25), date(2013, 3, 2))


def plain(counted: Counted, period: Period) -> dict[Unit, Tally]:
    found: dict[Unit, Tally] = defaultdict(Counter)
    for (leaf, day, measure), count in counted.items():
        for unit in units_of(leaf) if day in period else ():
            found[unit][measure] += count
    return dict(found)


async def shown(board: Board, period: Period = Period()) -> dict[Unit, Tally]:  # noqa: B008  it is frozen
    board.settle()
    tallies = (await board.figures()).snapshot(LEVELS, period).tallies
    found = {unit: Counter({name: n for name, n in tally.items() if n}) for unit, tally in tallies.items()}
    return {unit: tally for unit, tally in found.items() if tally}


def equals(board: Board, counted: Counted) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await shown(board) == plain(counted, Period())

    return look


@pytest.fixture
async def unit_of_work(mongo_url: str, db_name: str) -> AsyncIterator[UnitOfWork]:
    mongo = Mongo(mongo_url, db_name)
    yield await prepared(mongo)
    await mongo.close()


async def test_a_fold_says_that_more_may_be_left_when_it_took_all_that_it_may(
    unit_of_work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_DOCUMENTS_A_FOLD", 2)
    rng, written = random.Random(5), Counted()
    for offset in range(1, 6):
        counted = some(rng)
        await write(unit_of_work, 0, counted, offset)
        written.update(counted)
    left = []
    for _ in range(4):
        more = await cells.fold(unit_of_work)
        left.append((await unit_of_work.mongo["changes"].count_documents({}), more))
    assert left == [(3, True), (1, True), (0, False), (0, False)]
    board = Board(unit_of_work.mongo)
    await board.load()
    assert await shown(board) == plain(written, Period())


async def test_boards_that_load_while_replicas_write_and_fold_lose_and_double_nothing(unit_of_work: UnitOfWork) -> None:
    written: Counted = Counter()
    writing = True

    async def writer(slot: int) -> None:
        rng = random.Random(slot)
        for offset in range(1, 41):
            counted = some(rng)
            await write(unit_of_work, slot, counted, offset)
            written.update(counted)

    async def folder() -> None:
        while writing:
            await cells.fold(unit_of_work)
            await asyncio.sleep(0.01)

    async with AsyncExitStack() as stack:
        folding = asyncio.create_task(folder())
        writers = [asyncio.create_task(writer(slot)) for slot in range(4)]
        followers = []
        while not all(task.done() for task in writers):
            followers.append(await stack.enter_async_context(following(Board(unit_of_work.mongo))))
            for board in followers:
                of_day = (await boards.load(unit_of_work.mongo)).snapshot(["national"], PART).tallies
                assert of_day.keys() <= {("national", "FR")}
                tallies = await shown(board, PART)
                academies = sum(tally["detected"] for (level, _), tally in tallies.items() if level == "academie")
                networks = sum(tally["detected"] for (level, _), tally in tallies.items() if level == "network")
                assert academies == networks
        await asyncio.gather(*writers)
        writing = False
        await folding
        assert len(followers) > 2
        for board in followers:
            await eventually(equals(board, written))
            assert await shown(board, PART) == plain(written, PART)
            figures = await board.figures()
            assert figures.positions == await store.positions(unit_of_work.mongo, figures.generation)
            assert figures.networks == {f"N{slot}": "One" for slot in range(4)}
        anew = await boards.load(unit_of_work.mongo)
        assert anew.writes == {slot: 40 if slot < 4 else 0 for slot in range(32)}


async def test_figures_stay_as_they_are_until_they_are_settled(unit_of_work: UnitOfWork) -> None:
    counted: Counted = Counter({(LEAVES[1], FIRST_DAY, "detected"): 3})
    async with following(Board(unit_of_work.mongo)) as board:
        await write(unit_of_work, 0, counted)
        await eventually(equals(board, counted))
        moves = board.moves
        await write(unit_of_work, 0, counted)

        async def waits() -> bool:
            return bool(board._waiting)

        await eventually(waits)
        assert (await board.figures()).snapshot(["national"], Period()).tallies["national", "FR"]["detected"] == 3
        assert board.moves == moves
        await eventually(equals(board, counted + counted))
        assert board.moves == moves + 1


async def test_a_change_that_did_not_come_by_is_found_out_by_the_next(unit_of_work: UnitOfWork) -> None:
    one, two = (Counter({(LEAVES[1], FIRST_DAY, measure): 1}) for measure in ("detected", "offered"))
    board = Board(unit_of_work.mongo)
    await board.load()
    await write(unit_of_work, 5, one)
    await write(unit_of_work, 5, two)
    rows = await unit_of_work.mongo["changes"].find().sort("n", 1).to_list(None)
    with pytest.raises(Missed):
        board.take(rows[1])
    board.take(rows[0])
    board.take(rows[0])
    assert await shown(board) == plain(one, Period())
    async with following(board):
        await eventually(equals(board, one + two))


async def test_a_write_of_a_slot_that_left_no_change_makes_the_board_load_anew(unit_of_work: UnitOfWork) -> None:
    counted: Counted = Counter({(LEAVES[1], FIRST_DAY, "detected"): 1})
    async with following(Board(unit_of_work.mongo)) as board:
        before = await board.figures()
        await unit_of_work.mongo["slots"].update_one({"_id": 3}, {"$inc": {"writes": 1}})
        await write(unit_of_work, 3, counted)
        await eventually(equals(board, counted))
        assert await board.figures() is not before


async def test_another_generation_takes_its_place_in_one_step_and_is_followed(unit_of_work: UnitOfWork) -> None:
    mongo, second = unit_of_work.mongo, Generation(2)
    old: Counted = Counter({(LEAVES[1], FIRST_DAY, "detected"): 1})
    new: Counted = Counter({(LEAVES[2], FIRST_DAY, "detected"): 7})
    async with following(Board(mongo)) as board:
        await write(unit_of_work, 0, old)
        await eventually(equals(board, old))
        await mongo.ensure([second.collection(name) for name in generations.PROJECTION], [])
        sums = {FIRST_DAY.toordinal() << DAY_SHIFT | number_of("detected"): 7}
        built = {"slot": -1, "n": 0, "positions": [], "names": {}}
        await mongo[second.collection("changes")].insert_one(
            {"_id": "built", **of_sums([LEAVES[2]], sums).document(), **built}
        )
        await asyncio.sleep(0.1)
        assert await shown(board) == plain(old, Period())
        await unit_of_work.run(lambda tx: generations.switch(tx, second))
        await generations.drop(mongo, Generation(1))
        await eventually(equals(board, new))
        await write(unit_of_work, 9, old)
        await eventually(equals(board, old + new))


async def test_figures_are_answered_while_the_store_is_away_and_are_whole_once_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with Mongod(tmp_path / "mongod", port=port, cache_gb=0.25) as mongod:
        mongo = Mongo(mongod.url, "reporting")
        unit_of_work = await prepared(mongo)
        counted = some(random.Random(1))
        async with following(Board(mongo)) as board:
            await write(unit_of_work, 0, counted)
            await eventually(equals(board, counted))
            mongod.stop()
            assert await shown(board) == plain(counted, Period())
            await asyncio.sleep(0.2)
            mongod.start()
            more = some(random.Random(2))
            await write(unit_of_work, 0, more, 2)
            await write(unit_of_work, 1, more, 1)
            await eventually(equals(board, counted + more + more), within_s=30)
        await mongo.close()
