"""How long a service takes from its process' start until it says that it is ready: store and topics are there."""

from typing import Final

from tests.bench.machine import Machine, median

SERVICES: Final = ("catalogue", "referral", "tracking", "reporting")
"""Referral is ready only once it has heard of networks and platforms from catalogue."""


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """The median of three starts of each service; `startup_s` is that of the slowest."""
    times = max(1, min(3, int(budget / 8)))
    # Prepares the stores, and compiles what was never imported.
    for prepared in [machine.start(service) for service in SERVICES]:
        prepared.stop()
    found: dict[str, float] = {}
    for service in SERVICES:
        took = []
        for _ in range(times):
            running = machine.start(service)
            took.append(running.ready_after_s)
            running.stop()
        found[f"startup_{service}_s"] = median(took)
    return {"startup_s": max(found.values()), **found}
