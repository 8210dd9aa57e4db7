"""How the run's clients speak to the services: to any replica, again with the same key until they are answered.

Some give up after an attempt that nobody answered; what became of their command they do not know, and the ledger says
so. Some send a command twice at once, to two replicas.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import httpx

from tests.chaos.ledger import Command, Ledger

AGAIN: Final = frozenset({"not_known_yet", "not_interviewed"})
"""Refusals that say that the bus has not brought the news yet: surely nothing was done."""

_PATIENCE_S: Final = 100.0
_TIMEOUT: Final = httpx.Timeout(6.0, connect=2.0)


class Door:
    """`urls`: service -> base URL of each replica. `twice`, `give_up`: shares of commands, of unanswered attempts."""

    def __init__(
        self,
        urls: Mapping[str, Sequence[str]],
        ledger: Ledger,
        rng: Random,
        *,
        twice: float = 0.12,
        give_up: float = 0.2,
    ) -> None:
        self._urls = urls
        self._ledger = ledger
        self._rng = rng
        self._twice = twice
        self._give_up = give_up
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def do(self, command: Command) -> Any:
        """Send a command and note what came of it. The answer of a success, else None."""
        self._ledger.commands.append(command)
        replicas = list(self._urls[command.service])
        self._rng.shuffle(replicas)
        if self._rng.random() < self._twice:
            both = [self._until_answered(command, [url]) for url in (*replicas, *replicas)[:2]]
            await asyncio.gather(*both)
        else:
            await self._until_answered(command, replicas)
        return command.answers[0] if command.answers else None

    async def get(self, service: str, path: str, **query: str) -> Any:
        """What one replica answers; None when none does."""
        for url in self._rng.sample(self._urls[service], len(self._urls[service])):
            try:
                answer = await self._http.get(url + path, params=query)
            except httpx.HTTPError:
                continue
            if answer.is_success:
                return answer.json()
        return None

    async def _until_answered(self, command: Command, replicas: Sequence[str]) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        pause, number = 0.1, 0
        while True:
            if await self._attempt(command, replicas[number % len(replicas)]):
                return
            if time.monotonic() > give_up_at:
                return
            if command.unanswered and self._rng.random() < self._give_up:
                return
            number += 1
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = min(2.0, pause * 1.7)

    async def _attempt(self, command: Command, url: str) -> bool:
        """Send it once; whether there is nothing more to wait for."""
        command.attempts += 1
        command.unanswered += 1  # until it is answered: the run may end meanwhile
        headers = {"Idempotency-Key": command.key, "Content-Type": "application/json"}
        try:
            answer = await self._http.request(
                command.method, url + command.path, content=json.dumps(command.body), headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            command.unanswered -= 1  # it never left
            return False
        except httpx.HTTPError:
            return False
        if answer.status_code >= 500:
            return False
        command.unanswered -= 1
        if answer.is_success:
            command.answers.append(answer.json())
            return True
        code = str(answer.json().get("code", answer.status_code))
        if code in AGAIN and not command.must_refuse:
            return False
        command.refusals.append(code)
        return True
