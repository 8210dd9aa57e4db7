"""Reporting beside other ways of doing the same work on the same log, ours and the other in turn."""

import time
from collections.abc import Callable
from statistics import mean
from typing import Any, Final

from tests.bench import load, oracle
from tests.bench.environments import Unavailable, python_of
from tests.bench.load import Load
from tests.bench.machine import Machine, in_turn, median
from tests.bench.oracle import Wrong
from tests.bench.projection import catch_up, rounds_in, verified_once

_YOUTHS: Final = 25_000
_HALF: Final = 12_500
_FEW: Final = 4_000
_FEWER: Final = 1_000
_FEWEST: Final = 250
_LONGEST_S: Final = 90.0
_PEERS: Final = ("postgres", "mongo_on_read", "postgres", "mongo_on_read", "quix", "faust_batches", "faust")
"""In the order in which they are measured, the fastest twice."""
_FAUST: Final = {"faust": "events", "faust_batches": "batches"}


def limits(machine: Machine, budget: float) -> dict[str, float]:
    """Beside the plain way, and beside FastStream doing nothing."""
    share = min(1.0, budget / 60)
    data = load.put(machine, "limits", int(_YOUTHS * max(0.1, share)))
    few = load.put(machine, "naive", int(_FEWEST * max(0.2, share)))
    ours, raw, ratio = in_turn(verified_once(data), lambda: _raw(data, "own"), rounds_in(budget))
    naive = _naive(few)
    return {
        "projection_vs_naive": median(ours) / naive,
        "projection_vs_raw": ratio,
        "naive_events_per_s": naive,
        "raw_events_per_s": median(raw),
        "raw_default_events_per_s": _raw(data, "default"),
    }


def peers(machine: Machine, budget: float) -> tuple[dict[str, float], dict[str, str]]:
    """Beside four other designs; and why some could not be measured. The slowest get fewer records, and come last."""
    until = time.monotonic() + budget
    share = max(0.1, min(1.0, budget / 100))
    many = load.put(machine, "peers", int(_YOUTHS * share))
    few = {
        "quix": load.put(machine, "peers-half", int(_HALF * share)),
        "faust_batches": load.put(machine, "peers-few", int(_FEW * share)),
        "faust": load.put(machine, "peers-fewest", int(_FEWER * share)),
    }
    rates: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    before = catch_up(many)
    for name in _PEERS:
        if time.monotonic() > until and name not in rates:
            missing[name] = "no time was left for it"
        if time.monotonic() > until or name in missing:
            continue
        try:
            rate = _peer(name, few.get(name, many))
        except (Unavailable, RuntimeError) as error:
            missing[name] = str(error)
            continue
        # Machines change their speed within a run: a peer is compared with what was measured right before and after.
        after = catch_up(many, verify=False) if name not in few else before
        rates.setdefault(name, []).append(rate)
        ratios.setdefault(name, []).append((before + after) / 2 / rate)
        before = after
    found = {f"{name}_events_per_s": mean(told) for name, told in rates.items()}
    found |= {f"projection_vs_{name}": mean(told) for name, told in ratios.items()}
    return found, {f"projection_vs_{name}": why for name, why in missing.items() if name not in rates}


def _raw(data: Load, way: str) -> float:
    machine = data.world
    arguments = [way, machine.kafka_bootstrap, ",".join(data.topics), str(data.records)]
    told = load.run_here(machine, f"raw-{way}", "tests.bench.raw", arguments, within_s=60)
    return float(told["rate"])


def _naive(data: Load) -> float:
    machine = data.world
    told = load.run_here(machine, "naive", "tests.bench.naive", _arguments(data, "naive"), within_s=_LONGEST_S)
    return _verified(told, "the plain way", lambda figures: oracle.assert_figures(figures, data.truth(), "naive"))


def _peer(name: str, data: Load) -> float:
    way = _FAUST.get(name)
    python = python_of({"mongo_on_read": "load", "faust_batches": "faust"}.get(name, name))
    module = "faust_app" if way else name
    arguments = _arguments(data, name)
    if way or name == "postgres":  # they store nothing in MongoDB
        del arguments[1:3]
    if way:
        arguments.insert(0, way)
    told = load.run(data.world, name, python, f"tests.bench.peers.{module}", arguments, within_s=_LONGEST_S)
    check = oracle.assert_france if name == "mongo_on_read" else oracle.assert_figures
    return _verified(told, name, lambda figures: check(figures, data.truth(), name))


def _arguments(data: Load, name: str) -> list[str]:
    machine = data.world
    database = f"{machine.prefix}_{name}"
    return [machine.kafka_bootstrap, machine.mongo_url, database, ",".join(data.topics), str(data.records)]


def _verified(told: dict[str, Any], who: str, check: Callable[[dict[oracle.Figure, int]], None]) -> float:
    figures = {(ac, dep, net, day, measure): count for ac, dep, net, day, measure, count in told["figures"]}
    if not figures:
        raise Wrong(f"{who} has no figures")
    check(figures)
    return float(told["rate"])
