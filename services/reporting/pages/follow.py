"""Tells pages that figures moved, as server-sent events: which pages then ask for themselves again.

One look at the figures serves all who follow, once in `every_s`; while nobody follows nothing is looked at. A follower
who reads slowly misses messages, never the last one. All streams end when the service does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import structlog
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from services.reporting.answers import Answers
from shared.mongo import StoreError
from shared.observability import describe
from shared.problems import Problem

log = structlog.get_logger(__name__)

PATH: Final = "/pages/events"
MOST_FOLLOWERS: Final = 500
_EVERY_S: Final = 1.0
_HEARTBEAT_S: Final = 15.0
_RETRY_MS: Final = 3_000


class Followers:
    """Who follows the figures. `ending` is set when the service ends."""

    def __init__(
        self,
        answers: Answers,
        ending: asyncio.Event,
        *,
        every_s: float = _EVERY_S,
        heartbeat_s: float = _HEARTBEAT_S,
        most: int = MOST_FOLLOWERS,
    ) -> None:
        self._answers = answers
        self._ending = ending
        self._every_s = every_s
        self._heartbeat_s = heartbeat_s
        self._most = most
        self._moved: set[asyncio.Event] = set()
        self._somebody = asyncio.Event()
        self._moves = -1

    async def run(self) -> None:
        """Look whether figures moved, for as long as the service runs."""
        while True:
            await self._somebody.wait()
            try:
                moves = (await self._answers.edition()).moves
            except (Problem, StoreError) as error:
                log.info("figures_not_followed", error=describe(error))
            else:
                if moves != self._moves:
                    self._moves = moves
                    for moved in self._moved:
                        moved.set()
            await asyncio.sleep(self._every_s)

    def stream(self) -> AsyncIterator[bytes]:
        """A follower's messages; 503 `too_many_followers`."""
        if len(self._moved) >= self._most:
            raise Problem(
                503,
                "too_many_followers",
                f"{self._most} pages follow the figures already; load the page again from time to time instead",
                retry_after_s=30,
            )
        moved = asyncio.Event()
        self._moved.add(moved)  # at once: who asks next must find the place taken
        self._somebody.set()
        return self._messages(moved)

    async def _messages(self, moved: asyncio.Event) -> AsyncIterator[bytes]:
        try:
            yield b"retry: %d\n\n" % _RETRY_MS
            while not self._ending.is_set():
                if await self._woken(moved):
                    yield b"event: figures\ndata: %d\n\n" % self._moves
                elif not self._ending.is_set():
                    yield b": still here\n\n"
        finally:
            self._moved.discard(moved)
            if not self._moved:
                self._somebody.clear()

    async def _woken(self, moved: asyncio.Event) -> bool:
        """Whether figures moved; False after a while without, or when the service ends."""
        waiting = [asyncio.create_task(event.wait()) for event in (moved, self._ending)]
        try:
            await asyncio.wait(waiting, timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            for task in waiting:
                with suppress(asyncio.CancelledError):
                    await task
        if self._ending.is_set() or not moved.is_set():
            return False
        moved.clear()
        return True


def router(followers: Followers) -> APIRouter:
    """GET /pages/events."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    async def events() -> StreamingResponse:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(followers.stream(), media_type="text/event-stream", headers=headers)

    return routes
