"""Work in groups: what comes while a transaction is being written shares the next one, for a commit costs the same.

The items of a group are done one after the other in one transaction: each sees the effects of those before it, and none
is answered before all of it is durable. An item that is refused without having written anything is no trouble. Whatever
else goes wrong, nothing of the group is done, and each item is done again in a transaction of its own: an item that
fails leaves nothing and spoils no other. Only when nobody knows whether the commit went through, all are told so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from shared.ending import asked_to_end
from shared.mongo import is_outage, may_be_committed
from shared.unit_of_work import Tx, UnitOfWork

I = TypeVar("I")  # noqa: E741  a type variable
O = TypeVar("O")  # noqa: E741  a type variable

_MOST: Final = 64
_LONGEST_S: Final = 0.25


@dataclass(eq=False)
class _Waiting(Generic[I, O]):
    item: I
    key: str | None
    outcome: "asyncio.Future[O]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: O | BaseException) -> None:
        if self.outcome.done():
            return  # whoever asked has gone
        if isinstance(outcome, asyncio.CancelledError):
            self.outcome.cancel()
        elif isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Groups(Generic[I, O]):
    """Does items by `work`, which gives for each, in order, what came of it, or the exception that refuses it.

    An item for which it gives an exception must have left nothing. `work` may run again: nothing outside its
    transaction may change in it.
    """

    def __init__(
        self, unit_of_work: UnitOfWork, work: Callable[[Tx, Sequence[I]], Awaitable[Sequence[O | Exception]]]
    ) -> None:
        self._uow = unit_of_work
        self._work = work
        self._queue: deque[_Waiting[I, O]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()
        self._most = _MOST

    async def do(self, item: I, key: str | None = None) -> O:
        """What came of the item, once that is durable. Raises what refuses it. Two of one `key` share no group."""
        waiting: _Waiting[I, O] = _Waiting(item, key)
        self._queue.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work_off(), context=Context())
        return await waiting.outcome

    async def _work_off(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group = self._gather()
            began = loop.time()
            await self._together(group)
            # What takes long keeps others waiting, and meets more conflicts.
            self._most = max(1, self._most // 2) if loop.time() - began > _LONGEST_S else min(_MOST, self._most * 2)

    def _gather(self) -> list[_Waiting[I, O]]:
        group: list[_Waiting[I, O]] = []
        later: list[_Waiting[I, O]] = []
        keys: set[str] = set()
        while self._queue and len(group) < self._most:
            waiting = self._queue.popleft()
            if waiting.outcome.done():
                continue  # whoever asked has gone before it was begun
            if waiting.key is None or waiting.key not in keys:
                group.append(waiting)
                keys |= {waiting.key} if waiting.key else set()
            else:
                later.append(waiting)
        self._queue.extendleft(reversed(later))
        return group

    async def _together(self, group: Sequence[_Waiting[I, O]]) -> None:
        try:
            outcomes = await self._uow.run(lambda tx: self._work(tx, [waiting.item for waiting in group]))
        except BaseException as error:
            if len(group) > 1 and isinstance(error, Exception) and not (may_be_committed(error) or is_outage(error)):
                for waiting in group:
                    task = asyncio.create_task(self._together([waiting]))
                    self._alone.add(task)
                    task.add_done_callback(self._alone.discard)
                return
            for waiting in group:
                waiting.settle(error)
            if isinstance(error, Exception) or (isinstance(error, asyncio.CancelledError) and not asked_to_end()):
                return
            raise
        for waiting, outcome in zip(group, outcomes, strict=True):
            waiting.settle(outcome)
