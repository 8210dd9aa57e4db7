"""Loads on the log, and programs of the bench that read them; each is a process of its own."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.bench.environments import python_of
from tests.bench.events import TOPICS, Truth
from tests.bench.machine import PARTITIONS, Machine

Order = Literal["lives", "time"]


@dataclass(frozen=True)
class Load:
    """`records` on the log of a world, and what must be counted of them."""

    world: Machine
    youths: int
    records: int
    truths_at: Sequence[Path]

    @property
    def topics(self) -> list[str]:
        """The topics' names on the broker."""
        return [f"{self.world.prefix}.{topic}" for topic in TOPICS]

    def truth(self) -> Truth:
        """What must be counted."""
        return Truth.load(self.truths_at)


def put(
    machine: Machine,
    name: str,
    youths: int,
    *,
    order: Order = "lives",
    long: bool = True,
    processes: int = 1,
    linger_ms: int = 5,
    within_s: float = 60.0,
    partitions: int = PARTITIONS,
) -> Load:
    """Make a world of this name, with the lives of so many youths on its log; or give the one that has them already.

    `processes` and `linger_ms` say how they are put there, which costs the broker more than any reader: by how many at
    once, and how long each gathers records for a batch. `partitions` are those of each topic.
    """
    kind = youths, order, long, partitions
    known: Load | None = machine.loads.get(kind)
    if known is not None:
        return known
    world = machine.fresh(name, partitions)
    world.topics_ready()
    commands, truths, results = [], [], []
    for number in range(processes):
        share = youths // processes + (number < youths % processes)
        truths.append(machine.directory / f"{name}-{number}-truth.npz")
        results.append(machine.directory / f"{name}-{number}-produce.json")
        seed, length = youths + number, "long" if long else "short"
        arguments = [machine.kafka_bootstrap, name, str(share), str(seed), order, length, str(linger_ms)]
        command = [python_of("load"), "-m", "tests.bench.produce", *arguments]
        commands.append([*command, str(truths[-1]), str(results[-1])])
    machine.run(f"{name}-produce", *commands, within_s=within_s)
    records = sum(json.loads(each.read_text())["records"] for each in results)
    made = machine.loads[kind] = Load(world, youths, records, truths)
    return made


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
