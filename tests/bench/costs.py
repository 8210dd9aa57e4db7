"""How the projection's cost grows with youths, partitions and replicas: `python -m tests.bench.costs`; a quarter hour.

Each row is a log caught up with, twice where it takes less than a minute, in turn with the other rows of its table and
with figures that are right. The tables go into docs/performance.md, the numbers to `.foquale/costs.json`.
"""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench import load, oracle, report
from tests.bench.__main__ import HOME, PAGE, servers
from tests.bench.load import Load
from tests.bench.machine import Machine
from tests.bench.projection import until_applied, wait_for_answers

_YOUTHS: Final = (12_500, 25_000, 50_000, 100_000, 200_000, 400_000, 1_000_000)
_PARTITIONS: Final = (1, 3, 12, 24, 48)
_YOUTHS_OF_PARTITIONS: Final = 50_000
_REPLICAS: Final = (1, 2, 3)
_YOUTHS_OF_REPLICAS: Final = 100_000
_ROUNDS: Final = 2
_LONG_S: Final = 60.0
_PATIENCE_S: Final = 300.0


class Cost(NamedTuple):
    """What catching up with a log took."""

    records: int
    seconds: float
    """From the first deal of partitions until all is applied."""
    cpu_s: float
    """Of reporting's processes meanwhile."""
    peak_mb: float
    """Their resident memory at its peak, in all."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time a record."""
        return self.cpu_s / self.records * 1e6


def main() -> None:
    """Measure, write the numbers and the tables."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    (HOME / "bench").mkdir(parents=True, exist_ok=True)
    tables = {
        "youths": (_YOUTHS, _of_youths),
        "partitions": (_PARTITIONS, _of_partitions),
        "replicas": (_REPLICAS, _of_replicas),
    }
    numbers: dict[str, dict[int, Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="costs-", dir=HOME / "bench") as folder, servers(Path(folder)) as machine:
        for name, (values, measure) in tables.items():
            numbers[name] = _in_turn(values, partial(measure, machine))
            text = as_table(name, numbers[name])
            print(text, flush=True)
            report.write_table(PAGE, text, name)
    told = {name: {value: cost._asdict() for value, cost in costs.items()} for name, costs in numbers.items()}
    (HOME / "costs.json").write_text(json.dumps(told, indent=2) + "\n")


def as_table(name: str, costs: Mapping[int, Cost]) -> str:
    """A row for each value; its rate also beside the first one's."""
    first = next(iter(costs.values())).rate
    columns = (name, "records", "records a second", "beside the first", "µs of CPU a record", "peak of memory, MB")
    rows = [
        (
            f"{value:,}",
            f"{cost.records:,}",
            report.short(cost.rate),
            f"{cost.rate / first:.2f}",
            f"{cost.cpu_us:.1f}",
            report.short(cost.peak_mb),
        )
        for value, cost in costs.items()
    ]
    return report.as_markdown([columns, *rows])


def _in_turn(values: Sequence[int], measure: Callable[[int], Cost]) -> dict[int, Cost]:
    """The mean cost for each value: machines change their speed, so one round of all comes after the other."""
    found: dict[int, list[Cost]] = {}
    for _ in range(_ROUNDS):
        for value in values:
            if value not in found or found[value][0].seconds < _LONG_S:
                found.setdefault(value, []).append(measure(value))
    return {value: mean(costs) for value, costs in found.items()}


def mean(costs: Sequence[Cost]) -> Cost:
    """Of several runs over the same log."""
    return Cost(
        costs[0].records,
        sum(each.seconds for each in costs) / len(costs),
        sum(each.cpu_s for each in costs) / len(costs),
        max(each.peak_mb for each in costs),
    )


def _of_youths(machine: Machine, youths: int) -> Cost:
    data = load.put(machine, f"y{youths}", youths, long=False, processes=2, linger_ms=100, within_s=_PATIENCE_S)
    return _caught_up(data)


def _of_partitions(machine: Machine, partitions: int) -> Cost:
    return _caught_up(load.put(machine, f"p{partitions}", _YOUTHS_OF_PARTITIONS, partitions=partitions))


def _of_replicas(machine: Machine, replicas: int) -> Cost:
    return _caught_up(load.put(machine, "replicas", _YOUTHS_OF_REPLICAS, within_s=_PATIENCE_S), replicas)


def _caught_up(data: Load, replicas: int = 1) -> Cost:
    world = data.world
    world.drop_stores()
    world.forget_group("reporting")
    running = [world.launch("reporting") for _ in range(replicas)]
    try:
        until = time.monotonic() + _PATIENCE_S
        world.wait_until_dealt("reporting", until)
        before = sum(each.cpu_s() for each in running)
        seconds = until_applied(data, running[0], until)
        cpu_s = sum(each.cpu_s() for each in running) - before
        peak_mb = sum(each.peak_rss_mb() for each in running)
        for each in running:
            wait_for_answers(each)
            oracle.assert_answers(each.url, data.truth(), periods=oracle.PERIODS[1:3])
        return Cost(data.records, seconds, cpu_s, peak_mb)
    finally:
        for each in running:
            each.stop()
        world.drop_stores()


if __name__ == "__main__":
    main()
