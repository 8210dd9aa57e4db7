"""Plays a campaign's work through the services' public HTTP endpoints, as the platforms' and the schools' tools would.

Different youths' affairs go on side by side; one youth's in their order. What a service has not heard of from the bus
yet is tried again in a moment.
"""

import asyncio
import hashlib
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from deploy.cli.failures import Failure
from deploy.client import Client, Refused, Unreachable
from deploy.demo.campaign import Work, YouthName

_AGAIN: Final = frozenset({"not_known_yet", "not_interviewed", "store_unavailable"})
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_DEADLINE_S: Final = 60.0
_AHEAD: Final = 8


class Player:
    """`concurrency`: most requests under way. `told` hears after each piece of work how many are done."""

    def __init__(self, client: Client, *, concurrency: int = 32) -> None:
        self._client = client
        self.told: Callable[[int], None] = lambda _: None
        self._requests = asyncio.Semaphore(concurrency)
        self._ahead = asyncio.Semaphore(concurrency * _AHEAD)
        self._youths: dict[YouthName, str] = {}
        self._placements: dict[tuple[YouthName, int], str] = {}
        self._contracts: dict[tuple[YouthName, int], str] = {}
        self.done: Counter[str] = Counter()
        self.again = 0
        self._steps: dict[str, Callable[[Work, str], Awaitable[Any]]] = {
            "register": self._register,
            "contact": lambda work, key: self._client.contact(self._youth(work), self._body(work), key),
            "interview": lambda work, key: self._client.interview(self._youth(work), self._body(work), key),
            "dismissal": lambda work, key: self._client.dismiss(self._youth(work), self._body(work), key),
            "transfer": lambda work, key: self._client.transfer(self._youth(work), self._body(work), key),
            "offer": self._offer,
            "acceptance": lambda work, key: self._client.accept(self._placement(work), self._body(work), key),
            "refusal": lambda work, key: self._client.refuse(self._placement(work), self._body(work), key),
            "contract": self._contract,
            "start": lambda work, key: self._client.start(self._signed(work), self._body(work), key),
            "review": lambda work, key: self._client.review(self._signed(work), self._body(work), key),
            "end": lambda work, key: self._client.end(self._signed(work), self._body(work), key),
        }

    async def learn_youths(self, campaign: str) -> int:
        """Find the youths that a list of the campaign named; how many there are."""
        number = 0
        async for youth in self._client.youths(campaign=campaign):
            number += 1
            for seen in youth["sightings"]:
                self._youths[seen["campaign"], seen["source"] or "", seen["source_row"]] = youth["youth_id"]
        return number

    async def play(self, work: Iterable[Work]) -> None:
        """Do all of it; `Failure` at the first piece that cannot be done."""
        queues: dict[YouthName, deque[Work]] = {}
        async with _Group() as group:
            for item in work:
                await self._ahead.acquire()
                group.check()
                waiting = queues.get(item.youth)
                if waiting is not None:
                    waiting.append(item)
                else:
                    queues[item.youth] = deque([item])
                    group.start(self._one_youth(queues, item.youth))

    async def _one_youth(self, queues: dict[YouthName, deque[Work]], youth: YouthName) -> None:
        queue = queues[youth]
        try:
            while queue:
                await self._do(queue.popleft())
                self._ahead.release()
            del queues[youth]
        except BaseException:
            for _ in range(len(queue) + 1):  # so that whoever waits to go ahead sees that there is a failure
                self._ahead.release()
            raise

    async def _do(self, work: Work) -> None:
        """One piece of work, until it is done or refused for good."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _DEADLINE_S
        pause = _FIRST_PAUSE_S
        key = _key(work)
        while True:
            try:
                async with self._requests:
                    await self._steps[work.do](work, key)
                self.done[work.do] += 1
                self.told(self.done.total())
                return
            except Refused as error:
                if error.code not in _AGAIN or loop.time() > give_up_at:
                    raise Failure(f"work, line {work.number} ({work.do} on {work.on}): {error}") from error
            except Unreachable as error:
                if loop.time() > give_up_at:
                    raise Failure(f"work, line {work.number} ({work.do} on {work.on}): {error}") from error
            self.again += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(_LONGEST_PAUSE_S, pause * 1.6)

    async def _register(self, work: Work, key: str) -> None:
        self._youths[work.youth] = await self._client.register(self._body(work), key)

    async def _offer(self, work: Work, key: str) -> None:
        body = {"youth_id": self._youth(work), **self._body(work)}
        self._placements[work.youth, work.offer] = await self._client.offer(body, key)

    async def _contract(self, work: Work, key: str) -> None:
        body = {"placement_id": self._placement(work), **self._body(work)}
        self._contracts[work.youth, work.offer] = await self._client.sign(body, key)

    def _body(self, work: Work) -> dict[str, Any]:
        return {"on": work.on, **work.body}

    def _youth(self, work: Work) -> str:
        return self._known(self._youths.get(work.youth), work, "youth")

    def _placement(self, work: Work) -> str:
        return self._known(self._placements.get((work.youth, work.offer)), work, "offer")

    def _signed(self, work: Work) -> str:
        return self._known(self._contracts.get((work.youth, work.offer)), work, "contract")

    def _known(self, identifier: str | None, work: Work, what: str) -> str:
        if identifier is None:
            raise Failure(f"work, line {work.number} ({work.do}): there is no {what} of {' '.join(work.youth)}")
        return identifier


class _Group:
    """Tasks that end together: the first failure ends the others; `check` and the end of the block raise it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self._failure is None:
            self._failure = task.exception()

    async def __aenter__(self) -> "_Group":
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        while self._tasks and self._failure is None and kind is None:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None:
            self.check()


def _key(work: Work) -> str:
    """The same for the same piece of work: sent again, whatever became of the first try, it has one effect."""
    what = f"{work.number}|{work.on}|{work.youth}|{work.do}|{work.offer}|{sorted(work.body)}"
    return hashlib.sha256(what.encode()).hexdigest()[:40]
