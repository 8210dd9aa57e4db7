"""`make chaos`: prove that nothing is lost and nothing doubled, whatever dies and whenever. Exit code 0 when proven."""

import argparse
import asyncio
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from deploy.local import LocalBackendError
from deploy.up import Stopped, stoppable
from tests.chaos.run import Options, run

_SHOWN: Final = 60
_SECONDS_A_FAULT: Final = 9.5
_DIRECTORY: Final = Path(".foquale/chaos")


def main() -> int:
    """Run, print the violations and the last line. The data stay where anything is wrong."""
    options = _options()
    # That the broker is away is what we do to it, and no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    print(
        f"seed {options.seed}: {options.faults} faults in {options.seconds:.0f} s, data in {options.directory}",
        flush=True,
    )
    deadline = options.seconds + 900
    try:
        with stoppable():
            result = asyncio.run(asyncio.wait_for(run(options), deadline))
    except Stopped:
        print("stopped")
        return 130
    except LocalBackendError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    except TimeoutError as error:
        print(f"chaos: {str(error) or f'no end within {deadline:.0f} s'}; data in {options.directory}", file=sys.stderr)
        return 1
    for violation in result.violations[:_SHOWN]:
        print(f"{violation.kind}: {violation.text}")
    if len(result.violations) > _SHOWN:
        print(f"... and {len(result.violations) - _SHOWN} more")
    if result.violations:
        print(f"data in {options.directory}")
    else:
        shutil.rmtree(options.directory, ignore_errors=True)
    print(result.line)
    return 1 if result.violations else 0


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=63, help="how many (default 63)")
    parser.add_argument("--seconds", type=float, help="over which they are spread (default 9.5 a fault)")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--seed", type=int, help="a run's plan follows from it (default: by the clock)")
    parser.add_argument("--replicas", type=int, default=2, help="processes of each service (default 2)")
    parser.add_argument("--clients", type=int, default=16, help="youths at a time (default 16)")
    parser.add_argument("--data-dir", type=Path, help="where data and logs go; kept when anything is wrong")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    seconds = given.minutes * 60 if given.minutes else given.seconds or given.faults * _SECONDS_A_FAULT
    directory = given.data_dir or _DIRECTORY / f"{seed}-{int(time.time())}"
    if given.faults < 1 or given.replicas < 1 or given.clients < 1 or seconds <= 0:
        parser.error("faults, replicas, clients and the time are at least 1")
    if directory.exists() and any(directory.iterdir()):
        parser.error(f"--data-dir {directory} is not empty")
    return Options(given.faults, seconds, seed, given.replicas, given.clients, directory)


if __name__ == "__main__":
    sys.exit(main())
