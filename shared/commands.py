"""An HTTP command: durable in one transaction, and the same answer again for the same `Idempotency-Key`.

Commands that come at once share a transaction (`groups`).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from shared.groups import Groups
from shared.mongo import DuplicateKeyError, Index, Mongo, StoreError
from shared.problems import Problem
from shared.unit_of_work import Tx, UnitOfWork

_KEPT_S = 90 * 24 * 3600
LONGEST_KEY: Final = 255
INDEXES = (Index("idempotency", "kept", (("at", 1),), {"expireAfterSeconds": _KEPT_S}),)

Answer = dict[str, Any]
Work = Callable[[Tx], Awaitable[Answer]]
Many = Callable[[Tx, Sequence[Any]], Awaitable[Sequence[Answer | Exception]]]
"""Does several commands of one kind, in their order; an exception for each that is refused, which has left nothing."""


@dataclass(frozen=True, slots=True)
class _Request:
    key: str | None
    fingerprint: str
    status: int
    do: Many
    item: Any


class Commands:
    """The commands of one service."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._uow = unit_of_work
        self._groups: Groups[_Request, tuple[Answer, int]] = Groups(unit_of_work, _do_all)

    async def together(self, request: _Request) -> tuple[Answer, int]:
        """Do it in a transaction that others may share."""
        return await self._groups.do(request, request.key)

    async def alone(self, request: _Request) -> tuple[Answer, int]:
        """Do it in a transaction of its own."""
        (outcome,) = await self._uow.run(lambda tx: _do_all(tx, [request]))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Command:
    """Runs one request's command. Only what was done is remembered: a refused command may be tried again."""

    def __init__(self, commands: Commands, key: str | None, fingerprint: str) -> None:
        self._commands = commands
        self.key = key
        self._fingerprint = fingerprint

    async def __call__(self, work: Work, status: int = 201, *, alone: bool = False) -> JSONResponse:
        """Do `work` and answer with what it returned. `alone`: it is long, and nothing for others to wait for."""
        request = _Request(self.key, self._fingerprint, status, one_by_one, (work, copy_context()))
        return _response(*await (self._commands.alone if alone else self._commands.together)(request))

    async def of_many(self, do: Many, item: Any, status: int = 201) -> JSONResponse:
        """Let `do` do the item, with all others of its kind that have come meanwhile."""
        return _response(*await self._commands.together(_Request(self.key, self._fingerprint, status, do, item)))


def _response(answer: Answer, status: int) -> JSONResponse:
    return JSONResponse(answer, status_code=status)


async def _do_all(tx: Tx, requests: Sequence[_Request]) -> list[tuple[Answer, int] | Exception]:
    """Do those that were not done before, and remember them."""
    outcomes: dict[int, tuple[Answer, int] | Exception] = {}
    keys = [request.key for request in requests if request.key is not None]
    found = tx["idempotency"].find({"_id": {"$in": keys}}, session=tx.session) if keys else None
    before = {row["_id"]: row async for row in found} if found else {}
    for number, request in enumerate(requests):
        if request.key in before:
            outcomes[number] = _again(before[request.key], request)
    left = [(number, request) for number, request in enumerate(requests) if number not in outcomes]
    for do, some in groupby(left, key=lambda each: each[1].do):
        of_kind = list(some)
        answers = await do(tx, [request.item for _, request in of_kind])
        for (number, request), answer in zip(of_kind, answers, strict=True):
            outcomes[number] = answer if isinstance(answer, Exception) else (answer, request.status)
    done = [
        {"_id": request.key, "fingerprint": request.fingerprint, "answer": known[0], "status": known[1], "at": tx.now}
        for number, request in left
        if request.key is not None and not isinstance(known := outcomes[number], Exception)
    ]
    if done and not await tx.mongo.insert("idempotency", done, tx.session):
        raise DuplicateKeyError("another replica was quicker")  # this transaction looks again, and finds its answer
    return [outcomes[number] for number in range(len(requests))]


def _again(row: dict[str, Any], request: _Request) -> tuple[Answer, int] | Exception:
    if row["fingerprint"] != request.fingerprint:
        return Problem(
            422,
            "idempotency_key_reused",
            "this Idempotency-Key came with another request before; use a new key for a new command",
        )
    return row["answer"], row["status"]


async def one_by_one(tx: Tx, items: Sequence[tuple[Work, Context]]) -> list[Answer | Exception]:
    """Do pieces of work one after the other, each in the context (the trace) that it came with.

    Raises what a piece raised that has written something: nothing of the transaction may be committed then.
    """
    outcomes: list[Answer | Exception] = []
    for work, context in items:
        store = _Noting(tx.mongo)
        own = Tx(cast(Mongo, store), tx.session, tx.now, tx.source)
        try:
            outcomes.append(await asyncio.create_task(_called(work, own), context=context))
        except StoreError:
            raise
        except Exception as error:
            if store.wrote:
                raise
            outcomes.append(error)
        else:
            tx.emitted += own.emitted
    return outcomes


async def _called(work: Work, tx: Tx) -> Answer:
    return await work(tx)


_READS: Final = frozenset({"find", "find_one", "aggregate", "count_documents", "distinct"})


class _Noting:
    """A store that notes whether anything was written: whatever is not known to read counts as a write."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self.wrote = False

    def __getitem__(self, collection: str) -> "_NotingCollection":
        return _NotingCollection(self._mongo[collection], self)

    def __getattr__(self, name: str) -> Any:
        self.wrote = self.wrote or name not in _READS
        return getattr(self._mongo, name)


class _NotingCollection:
    def __init__(self, collection: Any, store: _Noting) -> None:
        self._collection = collection
        self._store = store

    def __getattr__(self, name: str) -> Any:
        self._store.wrote = self._store.wrote or name not in _READS
        return getattr(self._collection, name)


async def command(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=LONGEST_KEY, description="Same key, same request: same answer, one effect."),
    ] = None,
) -> Command:
    """The command of this request (a FastAPI dependency)."""
    body = await request.body()
    fingerprint = hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode() + body).hexdigest()
    return Command(request.app.state.commands, idempotency_key, fingerprint)


CommandOf = Annotated[Command, Depends(command)]
