"""Bookkeepers in processes of their own, which can be stopped, killed and frozen."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from deploy.docs.pages import ROOT
from deploy.local import free_port
from deploy.local.processes import Process
from shared.settings import ServiceSettings
from tests.conformance.ledger import Ledger
from tests.support.probe import eventually


class Replica:
    """One process. To be started on the main thread."""

    def __init__(self, name: str, settings: ServiceSettings, directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.hold = directory / f"{name}.hold"
        self.freeze = directory / f"{name}.freeze"
        self._grace_s = settings.graceful_timeout_s
        port = free_port()
        shared = {f"FOQUALE_{field.upper()}": str(value) for field, value in settings.model_dump().items()}
        self._url = f"http://127.0.0.1:{port}"
        self.process = Process(
            name,
            [sys.executable, "-m", "tests.conformance.bookkeeper"],
            log=self.log,
            directory=ROOT,
            environment={
                **shared,
                "FOQUALE_PORT": str(port),
                "FOQUALE_NAME": name,
                "FOQUALE_HELD_WHILE": str(self.hold),
                "FOQUALE_FROZEN_BY": str(self.freeze),
            },
        )

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()

    async def ready(self, *, within_s: float = 30.0) -> None:
        """Wait until it says that it is."""
        async with httpx.AsyncClient(timeout=10) as client:

            async def answers() -> bool:
                assert self.process.running, self.process.log_tail()
                try:
                    return (await client.get(f"{self._url}/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, within_s=within_s, what=f"{self.name} ready")

    async def at_work(self, ledger: Ledger, *, within_s: float = 30.0) -> None:
        """Wait until it has been handed a batch."""

        async def has_one() -> bool:
            assert self.process.running, self.process.log_tail()
            return bool(await ledger.deliveries(self.name))

        await eventually(has_one, within_s=within_s, what=f"a batch for {self.name}")

    async def stop(self) -> int:
        """Ask it to end (SIGTERM); its exit code. Fails when it is not gone within its grace and some seconds."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGTERM)

        async def gone() -> bool:
            return not self.process.running

        await eventually(gone, within_s=2 * self._grace_s + 5, what=f"the end of {self.name}")
        code = self.process.returncode
        assert code is not None
        return code

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()

    async def frozen(self, *, within_s: float = 15.0) -> None:
        """Wait until it has frozen itself (see `freeze`)."""

        async def stopped() -> bool:
            return await asyncio.to_thread(self._state) == "T"

        await eventually(stopped, within_s=within_s, what=f"{self.name} frozen")

    def _state(self) -> str:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0]

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.freeze()

    def resume(self) -> None:
        """SIGCONT."""
        self.process.signal_group(signal.SIGCONT)

    def said(self, event: str) -> bool:
        """Whether its log has the event."""
        return f'"{event}"' in self.log.read_text(encoding="utf-8", errors="replace")
