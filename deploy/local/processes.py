"""A child process that never outlives its parent, with its output in a log file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import die_with_parent
from deploy.local.errors import LocalBackendError

HOST = "127.0.0.1"
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 15


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, server: str, variable: str) -> None:
    """Raise LocalBackendError when something already listens on `port`; `variable` is the setting that changes it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalBackendError(
                f"{server} cannot listen on {HOST}:{port}: {(error.strerror or 'unavailable').lower()}. "
                f"Stop what uses port {port}, or choose another with {variable}=PORT."
            ) from None


def answers(port: int) -> bool:
    """Does something accept TCP connections on 127.0.0.1:`port`?"""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    """One child: started in a session of its own (so Ctrl-C at the terminal reaches only the parent), ended by
    `stop`, or by the kernel when the parent dies, be it by SIGKILL.

    `start` must be called on the main thread: the kernel sends the death signal when the *thread* that started the
    child ends. `wait_until` and `stop` may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        inherited: Sequence[int] = (),
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """`environment` is added to the parent's; `inherited` are file descriptors that the child keeps open."""
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment or {})
        self._directory = directory
        self._inherited = tuple(inherited)
        self._death_signal = death_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while it has been started and not stopped."""
        return self._child.pid if self._child else None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it was started."""
        return self._child.poll() if self._child else None

    @property
    def running(self) -> bool:
        """Started, and not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the child; its output is appended to the log file."""
        if self.running:
            raise RuntimeError(f"{self.name} already runs")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.name} must be started on the main thread: it would end with this thread")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        trampoline = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), str(self._death_signal)]
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                [*trampoline, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, **self._environment},
                pass_fds=self._inherited,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], *, deadline: float) -> None:
        """Poll `ready` until it is true; LocalBackendError when the child ends first, or after `deadline` seconds."""
        until = time.monotonic() + deadline
        while True:
            if not self.running:
                raise LocalBackendError(f"{self.name} ended at once (exit code {self.returncode}). {self.log_tail()}")
            if ready():
                return
            if time.monotonic() > until:
                raise LocalBackendError(f"{self.name} did not answer within {deadline:g} s. {self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, *, grace: float = 15.0) -> None:
        """End the child: SIGTERM, and SIGKILL to all it started when it still runs after `grace` seconds."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout=grace)
            except subprocess.TimeoutExpired:
                self.signal_group(signal.SIGKILL)
                child.wait()
        self._child = None

    def kill(self) -> None:
        """End the child and all it started at once (SIGKILL), as a crash would."""
        if self._child is not None:
            self.signal_group(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the child and all it started; nothing when it has ended."""
        if self.running and self.pid is not None:
            os.killpg(self.pid, number)

    def freeze(self, *, deadline: float = 10.0) -> None:
        """Stop the child and all it started (SIGSTOP) until SIGCONT; returns when the child stands still.

        A signal to stop takes effect when a thread of the child is next scheduled, on a busy machine tens of
        milliseconds later, and until then the child may answer. LocalBackendError after `deadline` seconds.
        """
        self.signal_group(signal.SIGSTOP)
        until = time.monotonic() + deadline
        while self.running and self.pid is not None:
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is not None:
                return
            if time.monotonic() > until:
                raise LocalBackendError(f"{self.name} did not stand still within {deadline:g} s. {self.log_tail()}")
            time.sleep(0.001)

    def log_tail(self) -> str:
        """The last lines of the log, with its path, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        except OSError:
            lines = []
        if not lines:
            return f"Its log {self.log} is empty."
        return "\n".join([f"The end of its log {self.log}:", *(f"  {line[:400]}" for line in lines)])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
