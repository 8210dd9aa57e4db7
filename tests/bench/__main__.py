"""`make bench`: measure, one thing after the other, print a table and write the figures to .foquale/bench.json.

Exit code 0 when everything was measured and every figure verified; 1 when something came out wrong, or could not be
measured; a target that is missed is told, and no failure.
"""

import argparse
import importlib
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from deploy.local import ApacheKafka, LocalBackendError, Mongod, free_port
from deploy.up import Stopped, stoppable
from tests.bench import comparisons, latency, million, projection, report, startup
from tests.bench.machine import ROOT, Machine

HOME: Final = ROOT / ".foquale"
PAGE: Final = ROOT / "docs" / "performance.md"
_MOST_S: Final = 880.0
_QUICK_S: Final = 10.0


class OutOfTime(BaseException):
    """A measurement took longer than it may. No `Exception`, so that nothing answers it on the way."""


class Part(NamedTuple):
    """A measurement: what it may take, its figures (those that have targets), and how."""

    budget_s: float
    figures: tuple[str, ...]
    measure: Callable[[Machine, float], dict[str, float] | tuple[dict[str, float], dict[str, str]]]


def _elsewhere(module: str) -> Callable[[Machine, float], dict[str, float]]:
    def measure(machine: Machine, budget: float) -> dict[str, float]:
        found: dict[str, float] = importlib.import_module(f"tests.bench.{module}").measure(machine, budget)
        return found

    return measure


PARTS: Final = {
    "startup": Part(40, ("startup_s",), startup.measure),
    "latency": Part(40, ("latency_p99_ms",), latency.measure),
    "offers": Part(60, ("offers_per_s", "offers_vs_lock"), _elsewhere("offers")),
    "imports": Part(45, ("import_rows_per_s", "import_vs_naive"), _elsewhere("imports")),
    "projection": Part(
        90,
        ("projection_events_per_s", "projection_live_order_events_per_s", "scaling_2x"),
        projection.measure,
    ),
    "limits": Part(90, ("projection_vs_naive", "projection_vs_raw"), comparisons.limits),
    "peers": Part(
        180,
        tuple(f"projection_vs_{name}" for name in ("quix", "faust", "postgres", "mongo_on_read")),
        comparisons.peers,
    ),
    "million": Part(
        450,
        ("projection_rss_mb", "query_p99_ms", "query_rps", "query_vs_empty", "page_p99_ms"),
        million.measure,
    ),
}


def main() -> int:
    """Run, print, write."""
    options = _options()
    if options.table:
        report.write_table(PAGE, report.table(json.loads((HOME / "bench.json").read_text()), {}))
        return 0
    # That a group's coordinator changes is no news here.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    (HOME / "bench").mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=HOME / "bench"))
    wrong: dict[str, str] = {}
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    try:
        with stoppable(), servers(directory) as machine:
            _measure(machine, options, values, missing, wrong)
    except Stopped:
        print("stopped")
        return 130
    except LocalBackendError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(report.table(values, missing))
    for name, why in {**missing, **wrong}.items():
        print(f"{name}: {why}")
    _write(options, values)
    if wrong:
        print(f"data and logs: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if wrong or missing else 0


def _measure(
    machine: Machine,
    options: argparse.Namespace,
    values: dict[str, float],
    missing: dict[str, str],
    wrong: dict[str, str],
) -> None:
    end = time.monotonic() + _MOST_S
    for name, part in PARTS.items():
        if options.only and name not in options.only:
            continue
        budget = _QUICK_S if options.quick else part.budget_s
        left = end - time.monotonic()
        if left < budget / 2:
            missing |= dict.fromkeys(part.figures, "no time was left for it")
            continue
        began = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        try:
            with _at_most(min(left, 2.5 * budget + 30)):
                found = part.measure(machine.fresh(f"bench-{name}"), min(budget, left))
            found, untold = found if isinstance(found, tuple) else (found, {})
            values |= found
            missing |= untold
            missing |= dict.fromkeys((set(part.figures) - set(found)) - set(untold), "its measurement does not tell it")
        except OutOfTime:
            missing |= dict.fromkeys(part.figures, f"took longer than {time.monotonic() - began:.0f} s")
        except ModuleNotFoundError as error:
            missing |= dict.fromkeys(part.figures, str(error))
        except Exception as error:  # noqa: BLE001  the other measurements go on
            (machine.directory / f"{name}-error.txt").write_text(traceback.format_exc())
            wrong[name] = f"{type(error).__name__}: {error}"
            missing |= dict.fromkeys(part.figures, f"{name} came out wrong")
        finally:
            machine.stop_all()
        print(f"{time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def servers(directory: Path) -> Iterator[Machine]:
    """Apache Kafka and mongod, and in the end nothing that was started."""
    with (
        ApacheKafka(directory / "kafka", port=free_port(), log=directory / "logs" / "kafka.log") as kafka,
        Mongod(directory / "mongod", port=free_port(), log=directory / "logs" / "mongod.log", cache_gb=4) as mongod,
    ):
        machine = Machine(kafka.bootstrap, mongod.url, directory)
        try:
            yield machine
        finally:
            machine.stop_all()


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def out_of_time(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _write(options: argparse.Namespace, values: dict[str, float]) -> None:
    """A quick run proves that all of it works, and its figures say little: they have a file of their own."""
    path = HOME / ("bench-quick.json" if options.quick else "bench.json")
    known = json.loads(path.read_text()) if options.only and path.exists() else {}
    path.write_text(json.dumps({**known, **values}, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="all of it on little data, in a minute or two")
    parser.add_argument("--table", action="store_true", help="put the last run's figures into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
