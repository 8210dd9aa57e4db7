"""An HTTP command: one transaction, and the same answer again for the same `Idempotency-Key`."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from shared.mongo import Index
from shared.problems import Problem
from shared.unit_of_work import Tx, UnitOfWork

_KEPT_S = 90 * 24 * 3600
INDEXES = (Index("idempotency", "kept", (("at", 1),), {"expireAfterSeconds": _KEPT_S}),)

Answer = dict[str, Any]


class Command:
    """Runs one request's command. Only what was done is remembered: a refused command may be tried again."""

    def __init__(self, unit_of_work: UnitOfWork, key: str | None, fingerprint: str) -> None:
        self._uow = unit_of_work
        self.key = key
        self._fingerprint = fingerprint

    async def __call__(self, work: Callable[[Tx], Awaitable[Answer]], status: int = 201) -> JSONResponse:
        """Do `work` in a transaction and answer with what it returned."""
        if self.key is None:
            return JSONResponse(await self._uow.run(work), status_code=status)

        async def once(tx: Tx) -> tuple[Answer, int]:
            before = await tx["idempotency"].find_one({"_id": self.key}, session=tx.session)
            if before:
                self._check(before["fingerprint"])
                return before["answer"], before["status"]
            answer = await work(tx)
            await tx["idempotency"].insert_one(
                {"_id": self.key, "fingerprint": self._fingerprint, "answer": answer, "status": status, "at": tx.now},
                session=tx.session,
            )
            return answer, status

        answer, was = await self._uow.run(once)
        return JSONResponse(answer, status_code=was)

    def _check(self, fingerprint: str) -> None:
        if fingerprint != self._fingerprint:
            raise Problem(
                422,
                "idempotency_key_reused",
                "this Idempotency-Key came with another request before; use a new key for a new command",
            )


async def command(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="Same key, same request: same answer, one effect.")
    ] = None,
) -> Command:
    """The command of this request (a FastAPI dependency)."""
    body = await request.body()
    fingerprint = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
    return Command(request.app.state.unit_of_work, idempotency_key, fingerprint)


CommandOf = Annotated[Command, Depends(command)]
