"""The process that reads the log, as its owner sees it: started when first needed, ended after a while without work."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

from services.reporting.history.jobs import LENGTH, Failed, Job, Result, decode_result, encode
from services.reporting.settings import ReportingSettings

_IDLE_S: Final = 120.0


class Broken(Exception):
    """The log could not be read; `args` name the kind of error."""


class LogProcess:
    """Does one job after the other in a process of its own."""

    def __init__(self, settings: ReportingSettings, *, idle_s: float = _IDLE_S) -> None:
        self._settings = settings
        self._idle_s = idle_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._ending: asyncio.TimerHandle | None = None

    async def do(self, job: Job) -> Result:
        """The job's result. `Broken` when it could not be done."""
        async with self._turn:
            self._stay()
            try:
                if self._process is not None and self._process.returncode is not None:
                    await self.close()  # it has ended while nobody waited for it, so nothing is lost
                process = self._process or await self._start()
                result = await _ask(process, encode(job))
            except BaseException as error:
                await self.close()  # whatever it does now, nobody waits for it
                if isinstance(error, OSError | asyncio.IncompleteReadError):
                    raise Broken("the process that reads the log has ended") from error
                raise
            self._ending = asyncio.get_running_loop().call_later(self._idle_s, self._hang_up)
        if isinstance(result, Failed):
            raise Broken(result.error)
        return result

    async def close(self) -> None:
        """End the process."""
        self._stay()
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _start(self) -> Process:
        # The module is a constant, and the interpreter is this one.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.reporting.history.worker", stdin=PIPE, stdout=PIPE
        )
        self._process = process
        await _send(process, self._settings.model_dump_json().encode())
        return process

    def _stay(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _hang_up(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()


async def _send(process: Process, message: bytes) -> None:
    if process.stdin is not None:
        process.stdin.write(LENGTH.pack(len(message)) + message)
        await process.stdin.drain()


async def _ask(process: Process, job: bytes) -> Result:
    await _send(process, job)
    if process.stdout is None:
        raise OSError("no pipe")
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    result: Result = decode_result(await process.stdout.readexactly(length))
    return result
