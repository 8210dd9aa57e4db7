"""How fast reporting catches up: a full log, an empty store, until every record is applied and every figure is right.

The clock starts when the partitions are dealt: neither the start of a process nor the joining of a group is in it, and
no record is read, let alone gathered, before.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any, Final

import httpx
from pymongo import MongoClient

from services.reporting.generations import FIRST, POSITIONS
from tests.bench import load, oracle
from tests.bench.load import Load
from tests.bench.machine import Machine, Running, in_turn, median
from tests.bench.oracle import Wrong

_YOUTHS: Final = 25_000
_ROUNDS: Final = 3
_ROUNDS_OF_TWICE: Final = 6
_POLL_S: Final = 0.02


@contextmanager
def caught_up(data: Load, within_s: float = 60.0, **settings: object) -> Iterator[tuple[Running, float]]:
    """Reporting on an empty store, when it has applied the whole log, and how many records a second it applied."""
    data.world.drop_stores()
    data.world.forget_group("reporting")
    running = data.world.launch("reporting", **settings)
    try:
        rate = applied_all(data, running, within_s)
        wait_for_answers(running)
        yield running, rate
    finally:
        running.stop()


def catch_up(data: Load, within_s: float = 60.0, *, verify: bool = True) -> float:
    """Records a second of one run, its figures of all levels held against what must come out. Raises Wrong."""
    with caught_up(data, within_s) as (running, rate):
        if verify:
            oracle.assert_answers(running.url, data.truth())
        return rate


def verified_once(data: Load) -> Callable[[], float]:
    """`catch_up`, verified the first time that it is called."""
    verifies = chain([True], repeat(False))
    return lambda: catch_up(data, verify=next(verifies))


def rounds_in(budget: float, most: int = _ROUNDS) -> int:
    """How often to repeat what takes some seconds."""
    return most if budget >= 45 else 1


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """Catching up youth by youth and in the order of time, and with twice the records."""
    youths = int(_YOUTHS * (1.0 if budget >= 45 else max(0.05, budget / 60)))
    single = load.put(machine, "lives", youths)
    double = load.put(machine, "twice", 2 * youths)
    timed = load.put(machine, "time", youths, order="time")
    ones, _twos, ratio = in_turn(verified_once(single), verified_once(double), rounds_in(budget, _ROUNDS_OF_TWICE))
    return {
        "projection_events_per_s": median(ones),
        "projection_live_order_events_per_s": catch_up(timed),
        "scaling_2x": double.records / single.records * ratio,
    }


def applied_all(data: Load, running: Running, within_s: float) -> float:
    """Wait until every record is applied; how many were a second. Raises Wrong when it takes too long."""
    until = time.monotonic() + within_s
    data.world.wait_until_dealt("reporting", until)
    return data.records / until_applied(data, running, until)


def until_applied(data: Load, running: Running, until: float) -> float:
    """The seconds from now until every record is applied. Raises Wrong when they are not by `until` (monotonic)."""
    began = time.perf_counter()
    with MongoClient[dict[str, Any]](data.world.mongo_url) as client:
        positions = client[f"{data.world.prefix}_reporting"][FIRST.collection(POSITIONS)]
        while (applied := sum(row["next"] for row in positions.find({}, {"next": 1}))) < data.records:
            if time.monotonic() > until or not running.process.running:
                raise Wrong(
                    f"{applied} of {data.records} records were applied within {time.perf_counter() - began:.0f} s. "
                    f"{running.process.log_tail()}"
                )
            time.sleep(_POLL_S)
    return time.perf_counter() - began


def wait_for_answers(running: Running) -> None:
    """Until the answers are as far as the log."""
    until = time.monotonic() + 30.0
    with httpx.Client(base_url=running.url, timeout=10.0, trust_env=False) as http:
        while True:
            sources = http.get("/v1/indicators").raise_for_status().json()["sources"]
            if all(source["lag"] == 0 for source in sources):
                return
            if time.monotonic() > until:
                raise Wrong(f"the answers stay behind the log: {sources}")
            time.sleep(_POLL_S)
