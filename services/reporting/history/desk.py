"""Long work that many may ask for: it is begun once, and goes on when the one who asked no longer waits."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

import structlog

from services.reporting.history.process import Broken
from shared.observability import describe
from shared.problems import Problem

log = structlog.get_logger(__name__)

T = TypeVar("T")

BEING_COMPUTED: Final = "being_computed"
_MOST_AT_ONCE: Final = 16
_TRY_AGAIN_S: Final = 5


class Desk:
    """Hands out what is being made. Who asks waits for `patience_s`; then he is told to ask again: `being_computed`."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._made: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` makes for this key; while it is under way, the same for all who ask."""
        task = self._made.get(key)
        if task is None:
            if len(self._made) >= _MOST_AT_ONCE:
                raise _later("much is being computed already")
            task = self._made[key] = asyncio.ensure_future(make())
            task.add_done_callback(lambda done: self._end(key, done))
        try:
            async with asyncio.timeout(self._patience_s):
                found: T = await asyncio.shield(task)
        except TimeoutError:
            if task.done():
                raise
            raise _later("the log is being read for this; it goes on whether you wait or not") from None
        except Broken as error:
            raise Problem(
                503,
                "log_unreadable",
                f"the log could not be read ({error}); see that the broker answers, and try again",
                retry_after_s=_TRY_AGAIN_S,
            ) from error
        return found

    async def close(self) -> None:
        """Let go of what is under way."""
        tasks = list(self._made.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._made[key]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Problem):
            log.warning("history_failed", error=describe(error))


def _later(why: str) -> Problem:
    return Problem(503, BEING_COMPUTED, f"{why}; ask again in a moment", retry_after_s=_TRY_AGAIN_S)
