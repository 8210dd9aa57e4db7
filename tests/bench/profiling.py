"""Where the time goes, as flame graphs: `python -m tests.bench.profiling [WHAT ...]`, all of them without a name.

Each is docs/profiles/WHAT.svg and shows where a service's Python code runs, not where its threads wait.
"""

import argparse
import os
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.local import Process
from tests.bench import imports, load, million, offers
from tests.bench.__main__ import HOME, servers
from tests.bench.environments import HOME as ENVIRONMENTS
from tests.bench.environments import python_of
from tests.bench.machine import ROOT, Machine, Running
from tests.bench.projection import caught_up, until_applied

PICTURES: Final = ROOT / "docs" / "profiles"
_YOUTHS: Final = 100_000
_LISTED: Final = 30_000
_OFFERS: Final = 6_000
_READ_S: Final = 10.0
_RATE: Final = 100
_PATIENCE_S: Final = 30.0
_LONGEST_S: Final = 120.0


def projection(machine: Machine) -> None:
    """Reporting, catching up."""
    data = load.put(machine, "projection", _YOUTHS)
    running = data.world.launch("reporting")
    until = time.monotonic() + _LONGEST_S
    data.world.wait_until_dealt("reporting", until)
    with watched(machine, running, projection):
        until_applied(data, running, until)


def queries(machine: Machine) -> None:
    """Reporting, answering fifty readers."""
    data = load.put(machine, "projection", _YOUTHS)
    with caught_up(data) as (running, _rate):
        million.read(machine, running.url, million.paths(), 1.0)
        with watched(machine, running, queries):
            million.read(machine, running.url, million.paths(), _READ_S)


def lists(machine: Machine) -> None:
    """Referral, taking in lists."""
    files = imports.lists_of(_LISTED, machine.directory / "lists")
    with imports.services(machine.fresh("lists")) as (referral, reporting), watched(machine, referral, lists):
        imports.upload(files, referral, reporting, Counter())


def seats(machine: Machine) -> None:
    """The catalogue, offering seats."""
    world = machine.fresh("seats")
    running = world.start("catalogue", seed="false")
    offers.offers_per_s(world, running.url, _OFFERS, watched(machine, running, seats))


WATCHED: Final[dict[str, Callable[[Machine], None]]] = {
    each.__name__: each for each in (projection, queries, lists, seats)
}


@contextmanager
def watched(machine: Machine, running: Running, what: Callable[[Machine], None]) -> Iterator[None]:
    """Draw what a service does meanwhile."""
    drawn = machine.directory / f"{what.__name__}.svg"
    log = machine.directory / "logs" / f"py-spy-{what.__name__}.log"
    sampler = [str(ENVIRONMENTS / "profile" / "bin" / "py-spy"), "record", "--pid", str(running.pid), "--gil"]
    options = ["--rate", str(_RATE), "--output", str(drawn)]
    with Process("py-spy", [*sampler, *options], log=log, directory=ROOT) as process:
        process.wait_until(lambda: "Sampling process" in log.read_text(), deadline=_PATIENCE_S)
        yield
        assert process.pid is not None, process.log_tail()
        os.kill(process.pid, signal.SIGINT)  # upon which it draws
        until = time.monotonic() + _PATIENCE_S
        while process.running and time.monotonic() < until:
            time.sleep(0.1)
    text = drawn.read_text() if drawn.exists() else ""
    picture = PICTURES / f"{what.__name__}.svg"
    if not text.rstrip().endswith("</svg>"):
        raise SystemExit(f"the picture was not finished within {_PATIENCE_S:g} s; {picture} stays as it was")
    title = (what.__doc__ or "").rstrip(".")
    picture.write_text(re.sub(r">[^<>]*py-spy record[^<>]*<", f">{title}<", text))
    print(picture.relative_to(ROOT), flush=True)


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profiling", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(WATCHED)}")
    chosen = parser.parse_args().what
    if unknown := set(chosen) - set(WATCHED):
        parser.error(f"there is no {' or '.join(sorted(unknown))}; there are {', '.join(WATCHED)}")
    python_of("profile")
    PICTURES.mkdir(exist_ok=True)
    (HOME / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=HOME / "bench") as folder, servers(Path(folder)) as machine:
        for name in chosen or WATCHED:
            WATCHED[name](machine)
            machine.stop_all()


if __name__ == "__main__":
    main()
