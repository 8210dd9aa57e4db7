"""Commands that come at once share a transaction, and none notices: not the one that fails, nor those beside it."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any

import pytest

from shared import commands
from shared.commands import Answer, Command, Commands, Work
from shared.crash_points import Point
from shared.events import ContactAttempted
from shared.mongo import Mongo, StoreError
from shared.observability import set_trace
from shared.problems import Problem
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.machines import Death, Fate

PLACES = 5


class Counted:
    """Counts the transactions that were committed."""

    def __init__(self) -> None:
        self.transactions = 0

    def __call__(self, point: Point) -> None:
        self.transactions += point is Point.TRANSACTION_COMMITTED


@pytest.fixture
async def mongo(mongo_url: str, db_name: str) -> AsyncIterator[Mongo]:
    opened = Mongo(mongo_url, db_name)
    names = ("things", "counters", "outbox", "unpublished", "idempotency")
    await opened.ensure(names, (*OUTBOX_INDEXES, *commands.INDEXES))
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """A worker that died tells of itself once it is collected: here, and not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def together(mongo: Mongo, counted: Counted) -> Commands:
    return Commands(UnitOfWork(mongo, "grouping", reach=counted))


async def send(made: Commands, work: Work, key: str | None = None, fingerprint: str = "same") -> Any:
    """What a client is told: the answer, or the exception."""
    (told,) = await asyncio.gather(Command(made, key, fingerprint)(work), return_exceptions=True)
    return told if isinstance(told, BaseException) else json.loads(bytes(told.body))


def writes(name: str) -> Work:
    async def work(tx: Tx) -> Answer:
        await tx["things"].insert_one({"_id": name}, session=tx.session)
        tx.emit(ContactAttempted(youth_id=name, on=date(2013, 4, 2), channel="phone", outcome="reached"))
        return {"name": name}

    return work


def slowly_writes(name: str, begun: asyncio.Event) -> Work:
    async def work(tx: Tx) -> Answer:
        begun.set()
        await asyncio.sleep(0.05)
        return await writes(name)(tx)

    return work


def fails_after_writing(name: str, error: Exception) -> Work:
    async def work(tx: Tx) -> Answer:
        await writes(name)(tx)
        raise error

    return work


async def refused_after_reading(tx: Tx) -> Answer:
    found = await tx["things"].find_one({"_id": "none"}, session=tx.session)
    tx.emit(ContactAttempted(youth_id="none", on=date(2013, 4, 2), channel="phone", outcome="reached"))
    raise Problem(409, "nothing_there", f"{found}")


async def takes_a_place(tx: Tx) -> Answer:
    row = await tx["counters"].find_one({"_id": "seats"}, session=tx.session)
    taken = row["taken"] if row else 0
    if taken >= PLACES:
        raise Problem(409, "full", "no place is left")
    await tx["counters"].update_one({"_id": "seats"}, {"$inc": {"taken": 1}}, upsert=True, session=tx.session)
    return {"place": taken + 1}


async def things(mongo: Mongo) -> set[str]:
    """What is durable; the events are of the same."""
    found = {row["_id"] async for row in mongo["things"].find()}
    assert sorted([row["subject"] async for row in mongo["outbox"].find()]) == sorted(found)
    return found


async def test_commands_that_come_at_once_share_few_transactions(
    mongo: Mongo, together: Commands, counted: Counted
) -> None:
    names = [f"t{n}" for n in range(50)]
    answers = await asyncio.gather(*(send(together, writes(name)) for name in names))
    assert answers == [{"name": name} for name in names]
    assert await things(mongo) == set(names)
    assert counted.transactions <= 3


async def test_a_command_that_is_refused_after_reading_does_not_end_its_group(
    mongo: Mongo, together: Commands, counted: Counted
) -> None:
    works = [refused_after_reading if n % 2 else writes(f"t{n}") for n in range(20)]
    answers = await asyncio.gather(*(send(together, work) for work in works))
    assert [isinstance(answer, Problem) for answer in answers] == [bool(n % 2) for n in range(20)]
    assert await things(mongo) == {f"t{n}" for n in range(0, 20, 2)}
    assert counted.transactions <= 3


@pytest.mark.parametrize("error", [Problem(409, "changed_my_mind", "after writing"), KeyError("a defect")])
async def test_a_command_that_fails_after_writing_leaves_nothing_and_spoils_no_other(
    mongo: Mongo, together: Commands, error: Exception
) -> None:
    works = [fails_after_writing(f"t{n}", error) if n in (3, 7) else writes(f"t{n}") for n in range(12)]
    answers = await asyncio.gather(*(send(together, work) for work in works))
    assert [n for n, answer in enumerate(answers) if answer is error] == [3, 7]
    assert await things(mongo) == {f"t{n}" for n in range(12)} - {"t3", "t7"}


async def test_a_contradiction_that_only_the_store_sees_is_told_to_its_own_command(
    mongo: Mongo, together: Commands
) -> None:
    assert await send(together, writes("there")) == {"name": "there"}
    works = [writes("there") if n == 4 else writes(f"t{n}") for n in range(8)]
    answers = await asyncio.gather(*(send(together, work) for work in works))
    assert isinstance(answers[4], StoreError)
    assert [answer for n, answer in enumerate(answers) if n != 4] == [{"name": f"t{n}"} for n in range(8) if n != 4]
    assert await things(mongo) == {"there", *(f"t{n}" for n in range(8) if n != 4)}


async def test_each_command_sees_the_effects_of_those_before_it(together: Commands, counted: Counted) -> None:
    answers = await asyncio.gather(*(send(together, takes_a_place) for _ in range(12)))
    assert answers[:PLACES] == [{"place": n + 1} for n in range(PLACES)]
    assert [answer.code for answer in answers[PLACES:]] == ["full"] * 7
    assert counted.transactions <= 3


async def test_replicas_that_conflict_run_again_and_count_each_command_once(mongo: Mongo) -> None:
    replicas = [Commands(UnitOfWork(mongo, "grouping")) for _ in range(2)]

    async def count(tx: Tx) -> Answer:
        row = await tx["counters"].find_one({"_id": "n"}, session=tx.session)
        number = (row["n"] if row else 0) + 1
        await tx["counters"].replace_one({"_id": "n"}, {"n": number}, upsert=True, session=tx.session)
        return {"n": number}

    answers = await asyncio.gather(*(send(replicas[n % 2], count) for n in range(60)))
    assert sorted(answer["n"] for answer in answers) == list(range(1, 61))


async def test_one_key_twice_at_once_is_done_once(mongo: Mongo, together: Commands) -> None:
    twice = [send(together, writes("once"), "key") for _ in range(3)]
    other = send(together, writes("other"), "key", fingerprint="another request")
    answers = await asyncio.gather(*twice, other)
    assert answers[:3] == [{"name": "once"}] * 3
    assert answers[3].code == "idempotency_key_reused"
    assert await things(mongo) == {"once"}


async def test_a_refused_key_may_be_tried_again(mongo: Mongo, together: Commands) -> None:
    answers = await asyncio.gather(
        send(together, refused_after_reading, "key"), send(together, writes("second try"), "key")
    )
    assert isinstance(answers[0], Problem)
    assert answers[1] == {"name": "second try"}
    assert await things(mongo) == {"second try"}


@pytest.mark.parametrize(("point", "done"), [(Point.TRANSACTION_WRITTEN, 0), (Point.TRANSACTION_COMMITTED, 10)])
async def test_of_a_process_that_dies_all_of_the_group_is_durable_or_nothing(
    mongo: Mongo, point: Point, done: int
) -> None:
    fate = Fate()
    dying = Commands(UnitOfWork(mongo, "grouping", reach=fate))
    fate.dies_at(point)
    sent = [asyncio.create_task(Command(dying, f"k{n}", "same")(writes(f"t{n}"))) for n in range(10)]
    told = await asyncio.gather(*sent, return_exceptions=True)
    assert {type(each) for each in told} == {Death}
    assert len(await things(mongo)) == done
    living = Commands(UnitOfWork(mongo, "grouping"))
    answers = await asyncio.gather(*(send(living, writes(f"t{n}"), f"k{n}") for n in range(10)))
    assert answers == [{"name": f"t{n}"} for n in range(10)]
    assert await things(mongo) == {f"t{n}" for n in range(10)}


async def test_where_nobody_knows_whether_it_was_committed_nothing_is_done_again(mongo_url: str, mongo: Mongo) -> None:
    class Forgetful(Mongo):
        """Commits, and then the answer is lost."""

        async def transaction(self, work: Any, *, deadline_s: float = 30.0) -> Any:
            await super().transaction(work, deadline_s=deadline_s)
            raise StoreError("the connection broke", error_labels=["UnknownTransactionCommitResult"])

    forgetful = Forgetful(mongo_url, mongo.db.name)
    made = Commands(UnitOfWork(forgetful, "grouping"))
    answers = await asyncio.gather(*(send(made, writes(f"t{n}")) for n in range(6)))
    assert {type(answer) for answer in answers} == {StoreError}
    assert await things(mongo) == {f"t{n}" for n in range(6)}
    await forgetful.close()


async def test_a_caller_that_goes_away_spoils_no_other(mongo: Mongo, together: Commands) -> None:
    begun = asyncio.Event()
    first = asyncio.create_task(send(together, slowly_writes("slow", begun)))
    await begun.wait()
    waiting = [asyncio.create_task(send(together, writes(f"t{n}"))) for n in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()  # before it was begun
    assert await first == {"name": "slow"}
    assert await waiting[3] == {"name": "t3"}
    assert await things(mongo) == {"slow", "t0", "t2", "t3"}

    begun.clear()
    again = asyncio.create_task(Command(together, "k", "same")(slowly_writes("gone", begun)))
    beside = asyncio.create_task(send(together, writes("beside")))
    await begun.wait()
    again.cancel()  # amid its transaction: it is done, and its answer kept for whoever asks again
    assert await beside == {"name": "beside"}
    assert await send(together, writes("gone"), "k") == {"name": "gone"}
    assert await things(mongo) == {"slow", "t0", "t2", "t3", "beside", "gone"}


async def test_each_event_goes_on_in_the_trace_of_its_command(mongo: Mongo, together: Commands) -> None:
    async def traced(n: int) -> Any:
        set_trace(f"00-{n:032x}-{1:016x}-01")
        return await send(together, writes(f"t{n}"))

    await asyncio.gather(*(asyncio.create_task(traced(n)) for n in range(1, 6)))
    traces = {row["subject"]: row["trace"] async for row in mongo["outbox"].find()}
    assert traces == {f"t{n}": f"00-{n:032x}-{1:016x}-01" for n in range(1, 6)}
