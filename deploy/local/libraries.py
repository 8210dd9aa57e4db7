"""Shared libraries for a server program whose system lacks them."""

from __future__ import annotations

import os
import re
import subprocess
from importlib import metadata
from pathlib import Path

from deploy.local.errors import LocalBackendError

CARRIER = "pycurl"
CARRIED = ("libcurl.so.4", "libssl.so.3", "libcrypto.so.3")
VERSION_SECONDS = 30


def library_environment(program: Path, scratch: Path) -> dict[str, str]:
    """What the environment needs so that `program` finds its libraries: nothing on most systems.

    mongod is linked to libcurl, libssl and libcrypto, and a bare Debian has no libcurl. The wheel of pycurl carries
    all three under names of its own; `scratch` then gets links with the names that mongod asks for. All three or none:
    two copies of OpenSSL in one process would disagree. LocalBackendError when the program cannot run even so.
    """
    complaint = _complaint(program, {})
    if complaint is None:
        return {}
    carried = _link_carried(scratch) if re.search(r"lib(curl|ssl|crypto)\.so", complaint) else None
    if carried is not None:
        paths = [str(scratch), str(carried), os.environ.get("LD_LIBRARY_PATH", "")]
        environment = {"LD_LIBRARY_PATH": ":".join(path for path in paths if path)}
        complaint = _complaint(program, environment)
        if complaint is None:
            return environment
    raise LocalBackendError(
        f"{program.name} cannot run on this system: {complaint} Point FOQUALE_MONGO_URL to a server that runs already, "
        "or use `docker compose up`. (Debian 12, Ubuntu 22.04 or newer are fine.)"
    )


def _complaint(program: Path, environment: dict[str, str]) -> str | None:
    """What the system says against running the program, on one line; None when it runs."""
    try:
        done = subprocess.run(
            [program, "--version"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except OSError as error:
        return f"{error.strerror}."
    except subprocess.TimeoutExpired:
        return f"it does not even tell its version within {VERSION_SECONDS} s."
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else f"exit code {done.returncode}."


def _link_carried(scratch: Path) -> Path | None:
    """Fill `scratch` with links to the carried libraries; their folder, where those are that they need in turn.

    None when the carrier is not installed or lacks one.
    """
    try:
        files = metadata.files(CARRIER) or []
    except metadata.PackageNotFoundError:
        return None
    found = {}
    for wanted in CARRIED:
        stem, version = wanted.split(".so.")
        pattern = re.compile(rf"{re.escape(stem)}-[0-9a-f]+\.so\.{version}(\.\d+)*")
        match = next((file for file in files if pattern.fullmatch(file.name)), None)
        if match is None:
            return None
        found[wanted] = Path(str(match.locate())).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    for wanted, source in found.items():
        link = scratch / wanted
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return found[CARRIED[0]].parent
