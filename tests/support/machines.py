"""What the property machines that use a real store share: a process that dies where it is told, and a quick loop.

A machine drives the project's own classes step by step; Hypothesis chooses the steps, and shortens a sequence that
breaks a promise to the least that still does.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TypeVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from shared.crash_points import Point
from shared.mongo import Collection, Index, Mongo

_SPEED = 20

T = TypeVar("T")


def run_machine(machine: Callable[[], RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Run the machine on so many sequences of at most so many steps."""
    chosen = settings(max_examples=examples, stateful_step_count=steps)
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[arg-type]  # anything that makes one will do


class Death(BaseException):
    """The process ends here, as by SIGKILL: it is no `Exception`, so nothing of ours answers it."""


class Fate:
    """Where a process dies: the `times`-th time it comes to `point`; never, unless told. It is a `Reach`."""

    def __init__(self) -> None:
        self._point: Point | None = None
        self._left = 0

    def dies_at(self, point: Point | None, times: int = 1) -> None:
        self._point, self._left = point, times

    def lives(self) -> None:
        self._point = None

    def __call__(self, point: Point) -> None:
        if point is self._point:
            self._left -= 1
            if self._left == 0:
                self._point = None
                raise Death(point)


class MortalMongo(Mongo):
    """A store whose user dies before the `n`-th time that it asks for a collection; never, unless told."""

    accesses_left: int | None = None

    def __getitem__(self, collection: str) -> Collection:
        if self.accesses_left is not None:
            self.accesses_left -= 1
            if self.accesses_left < 0:
                self.accesses_left = None
                raise Death(collection)
        return super().__getitem__(collection)


class TestClock:
    """A clock that stands still until it is moved. It begins at the present: identifiers of events hold real time."""

    __test__ = False

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class _QuickSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / _SPEED if timeout else timeout)


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop whose clock runs twenty times as fast: pauses that are there for people take little of a test's time."""

    def __init__(self) -> None:
        super().__init__(_QuickSelector())

    def time(self) -> float:
        return monotonic() * _SPEED


@contextmanager
def store_of(mongo_url: str, database: str, collections: Sequence[str], indexes: Sequence[Index]) -> Iterator["Stage"]:
    """A database and a loop for all the examples of one machine."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        stage = Stage(runner, mongo_url, database)
        runner.run(stage.mongo.ensure(collections, indexes))
        try:
            yield stage
        finally:
            runner.run(stage.mongo.drop())
            runner.run(stage.mongo.close())
            runner.run(stage.mortal.close())


class Stage:
    """Where the examples of one machine take place, one after the other; `clear` makes it empty again."""

    def __init__(self, runner: asyncio.Runner, mongo_url: str, database: str) -> None:
        self.runner = runner
        self.mongo = Mongo(mongo_url, database)
        self.mortal = MortalMongo(mongo_url, database)

    def run(self, work: Awaitable[T]) -> T:
        """What the coroutine returns; `Death` and all errors come out of it."""

        async def to_its_end() -> T:
            return await work

        return self.runner.run(to_its_end())

    def clear(self, keep: str = "") -> None:
        """Empty all collections but the one to keep."""

        async def work() -> None:
            for name in set(await self.mongo.db.list_collection_names()) - {keep}:
                await self.mongo[name].delete_many({})

        self.runner.run(work())
