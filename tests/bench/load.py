"""Loads on the log, and programs of the bench that read them; each is a process of its own."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.bench.environments import python_of
from tests.bench.events import TOPICS, Truth
from tests.bench.machine import Machine

Order = Literal["lives", "time"]


@dataclass(frozen=True)
class Load:
    """`records` on the log of a world, and what must be counted of them."""

    world: Machine
    youths: int
    records: int
    truth_at: Path

    @property
    def topics(self) -> list[str]:
        """The topics' names on the broker."""
        return [f"{self.world.prefix}.{topic}" for topic in TOPICS]

    def truth(self) -> Truth:
        """What must be counted."""
        return Truth.load(self.truth_at)


def put(
    machine: Machine, name: str, youths: int, *, order: Order = "lives", long: bool = True, within_s: float = 60.0
) -> Load:
    """Make a world of this name, with the lives of so many youths on its log."""
    world = machine.fresh(name)
    world.topics_ready()
    truth = machine.directory / f"{name}-truth.npz"
    length = "long" if long else "short"
    arguments = [machine.kafka_bootstrap, name, str(youths), str(youths), order, length, str(truth)]
    told = run(machine, f"{name}-produce", python_of("load"), "tests.bench.produce", arguments, within_s=within_s)
    return Load(world, youths, int(told["records"]), truth)


def run(
    machine: Machine, name: str, python: str, module: str, arguments: list[str], *, within_s: float, **env: str
) -> dict[str, Any]:
    """Run a module of the bench; its last argument is the file in which it tells what came out."""
    result = machine.directory / f"{name}.json"
    machine.run(name, [python, "-m", module, *arguments, str(result)], within_s=within_s, **env)
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def run_here(machine: Machine, name: str, module: str, arguments: list[str], *, within_s: float) -> dict[str, Any]:
    """The same with the project's own Python."""
    return run(machine, name, sys.executable, module, arguments, within_s=within_s)
