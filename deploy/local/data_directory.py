"""A data directory that one running server at a time may use."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from deploy.local.errors import LocalBackendError

LOCK_NAME = "in-use.lock"
WAIT_SECONDS = 3.0


class DataDirectory:
    """Claims a directory with a file lock.

    The lock's descriptor is meant to be inherited by the server that works there, so the claim lasts as long as the
    server does, even when the process that started it was killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open lock file; only after `claim`."""
        if self._descriptor is None:
            raise RuntimeError(f"{self.path} is not claimed")
        return self._descriptor

    def claim(self) -> None:
        """Make the directory and lock it; LocalBackendError when it cannot be written or is in use.

        Waits a moment for a server of a killed parent to be gone.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LocalBackendError(
                f"The data directory {self.path} cannot be used: {error.strerror}. "
                "Choose one that you may write to with --data-dir DIR."
            ) from None
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
                    os.close(descriptor)
                    raise LocalBackendError(
                        f"The data directory {self.path} is in use by another running instance (process {owner}). "
                        "Stop that one, or choose another directory with --data-dir DIR."
                    ) from None
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the directory free (the lock holds on while a server that inherited it still runs)."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
