"""Where reporting's time goes while it catches up, as a flame graph: `python -m tests.bench.profiling PICTURE`."""

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.local import Process
from tests.bench import load
from tests.bench.__main__ import HOME, servers
from tests.bench.environments import HOME as ENVIRONMENTS
from tests.bench.environments import python_of
from tests.bench.machine import ROOT
from tests.bench.projection import applied_all

_YOUTHS: Final = 100_000
_RATE: Final = 100
_PATIENCE_S: Final = 30.0


def main(picture: Path) -> None:
    """Draw one run over some 800,000 records: where Python code runs, not where threads wait."""
    python_of("profile")
    (HOME / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=HOME / "bench") as folder, servers(Path(folder)) as machine:
        data = load.put(machine, "profile", _YOUTHS)
        running = data.world.launch("reporting")
        drawn = machine.directory / "profile.svg"
        sampler = [str(ENVIRONMENTS / "profile" / "bin" / "py-spy"), "record", "--pid", str(running.pid), "--gil"]
        options = ["--rate", str(_RATE), "--output", str(drawn)]
        log = machine.directory / "logs" / "py-spy.log"
        process = Process("py-spy", [*sampler, *options], log=log, directory=ROOT)
        process.start()
        print(f"{applied_all(data, running, 120.0):,.0f} records a second, while being watched")
        running.stop()
        until = time.monotonic() + _PATIENCE_S
        while process.running and time.monotonic() < until:  # it ends with what it watches, and draws
            time.sleep(0.1)
        text = drawn.read_text()
        if not text.rstrip().endswith("</svg>"):
            raise SystemExit(f"the picture was not finished within {_PATIENCE_S:g} s; {picture} stays as it was")
        picture.write_text(re.sub(r">[^<>]*py-spy record[^<>]*<", ">Reporting, catching up<", text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
