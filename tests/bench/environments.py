"""Environments of Python that only the bench uses, with pinned packages, so that none is a dependency of the project.

Each is `.foquale/bench/environments/NAME`, made from `peers/requirements/NAME.txt`. The project and its packages can be
imported there too; the environment's own come first.
"""

import shutil
import subprocess
import sys
import sysconfig
from typing import Final

from tests.bench.machine import ROOT

HOME: Final = ROOT / ".foquale" / "bench" / "environments"
_REQUIREMENTS: Final = ROOT / "tests" / "bench" / "peers" / "requirements"
_STAMP: Final = "requirements.txt"


class Unavailable(Exception):
    """A peer that this machine cannot run; says why."""


def python_of(name: str, *, within_s: float = 180.0) -> str:
    """The Python of an environment, made where it is missing or its requirements have changed. Raises Unavailable."""
    home = HOME / name
    wanted = (_REQUIREMENTS / f"{name}.txt").read_text()
    python = home / "bin" / "python"
    stamp = home / _STAMP
    if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)], name, within_s)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        _run([*pip, "--requirement", str(_REQUIREMENTS / f"{name}.txt")], name, within_s)
        own = next(home.glob("lib/python*/site-packages"))
        (own / "foquale-bench.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
        stamp.write_text(wanted)
    return str(python)


def _run(command: list[str], name: str, within_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name}: its packages could not be had within {within_s:.0f} s") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"{name}: its packages could not be had ({' '.join(last)[:200]})")
