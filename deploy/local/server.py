"""What the local servers have in common: one child process, perhaps with a data directory of its own."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from deploy.local.data_directory import DataDirectory
from deploy.local.processes import HOST, Process, answers, require_free_port


class LocalServer(ABC):
    """A server on 127.0.0.1:`port`. `start` returns when it answers; a stopped or killed one may be started again."""

    name: ClassVar[str]
    port_variable: ClassVar[str]
    """The environment variable that a person sets to have another port; named in the message of a port in use."""
    start_seconds: ClassVar[float] = 60.0
    grace_seconds: ClassVar[float] = 15.0

    def __init__(self, port: int, directory: DataDirectory | None) -> None:
        self.port = port
        self._directory = directory
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> Process:
        """The running child; only after `start`."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._process

    def start(self) -> None:
        """Start the server and wait until it answers. LocalBackendError when it cannot be had, with the remedy."""
        if self._process is not None:
            raise RuntimeError(f"{self.name} is started already")
        if self._directory is not None:
            self._directory.claim()
        try:
            require_free_port(self.port, self.name, self.port_variable)
            self._process = self._prepare()
            self._process.start()
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server cleanly, by force after `grace_seconds`, and give its directory free."""
        if self._process is not None:
            self._process.stop(grace=self.grace_seconds)
        self._forget()

    def kill(self) -> None:
        """End the server at once, as a crash does (SIGKILL)."""
        self.process.kill()
        self._forget()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing answers from now on, until `resume`."""
        self.process.freeze()

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        self.process.signal_group(signal.SIGCONT)

    @abstractmethod
    def _prepare(self) -> Process:
        """The child, not yet started; the directory is claimed and the port is free."""

    def _wait_until_ready(self, process: Process) -> None:
        process.wait_until(lambda: answers(self.port), deadline=self.start_seconds)

    def _inherited(self) -> list[int]:
        """The descriptors that the child must keep open: the lock of its directory."""
        return [self._directory.descriptor] if self._directory else []

    def _forget(self) -> None:
        self._process = None
        if self._directory is not None:
            self._directory.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
