"""One run: start the machine, load it, hurt it, let it come to rest, and judge."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx

from shared.reference import load
from tests.chaos import observed
from tests.chaos.checker import Evidence, Violation
from tests.chaos.door import Door
from tests.chaos.faults import plan
from tests.chaos.feed import Feed
from tests.chaos.injector import Injector
from tests.chaos.judge import judge, verdict
from tests.chaos.ledger import Ledger
from tests.chaos.lives import World
from tests.chaos.load import Load, ledger_line
from tests.chaos.machine import Machine
from tests.chaos.observed import Seen
from tests.chaos.seats import Seats

_READY_WITHIN_S: Final = 90.0
_ANSWERED_WITHIN_S: Final = 120.0
_AT_REST_WITHIN_S: Final = 240.0
_PROGRESS_S: Final = 10.0
_REBUILD_EVERY_S: Final = 30.0
_WARM_UP_S: Final = 5.0
_BUILT_WITHIN_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be. `seconds`: over which the faults are spread."""

    faults: int
    seconds: float
    seed: int
    replicas: int
    clients: int
    directory: Path


@dataclass(frozen=True, slots=True)
class Result:
    """How it went: every violation, and the last line."""

    violations: list[Violation]
    line: str


class Tell:
    """Prints lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} {text}", flush=True)


async def run(options: Options) -> Result:
    """All of it. The machine is stopped whatever happens."""
    tell = Tell()
    machine = Machine(options.directory, replicas=options.replicas, tell=tell)
    try:
        await machine.start()
        tell(f"store {machine.store.url}, broker {machine.broker.bootstrap}, logs {machine.logs}")
        await _until_ready(machine)
        tell(f"everything is up: {', '.join(replica.name for replica in machine.replicas)}")
        ledger = Ledger()
        injector = Injector(machine, tell)
        watching = asyncio.create_task(machine.watch())
        try:
            await _work(machine, ledger, injector, options, tell)
            await _rest(machine, tell)
        finally:
            watching.cancel()
        evidence = Evidence(ledger, await _look(machine, tell))
        violations = judge(evidence) + [Violation("wrong", what) for what in machine.ended_by_itself]
        tell(f"faults by kind: {' '.join(f'{kind}={count}' for kind, count in sorted(injector.counts.items()))}")
        tell(f"crash points reached: {len(machine.fired)}: {', '.join(machine.fired)}")
        tell(f"{ledger_line(ledger)} {seen_line(evidence)}")
        return Result(
            violations,
            verdict(violations, faults=injector.done, events=len(evidence.events), seed=options.seed),
        )
    finally:
        machine.stop()


def seen_line(evidence: Evidence) -> str:
    """What the run has shown that the ledger does not tell."""
    placements = evidence.collection("catalogue", "placements")
    events = [event for event in evidence.seen.log.events if event.id in evidence.events]
    figures = {
        "published_again": len(events) - len(evidence.events),
        "youths": len(evidence.collection("referral", "youths")),
        "placements": len(placements),
        "expired": sum(placement["state"] == "expired" for placement in placements),
        "too_late_for_the_seat": sum("conflict" in placement for placement in placements),
        "contracts": len(evidence.collection("tracking", "contracts")),
        "dead_letters": sum(len(evidence.collection(service, "dead_letters")) for service in evidence.seen.stores),
    }
    return " ".join(f"{name}={count}" for name, count in figures.items())


async def _work(
    machine: Machine, ledger: Ledger, injector: Injector, options: Options, tell: Callable[[str], None]
) -> None:
    """Load and faults, until the faults are over and the clients are answered."""
    over = False
    rng, reference = Random(f"{options.seed}|load"), load()
    feed = Feed(machine.broker.bootstrap, ledger, rng)
    async with Door(machine.urls, ledger, rng) as door, feed:
        seats = Seats(reference, rng)
        await seats.put(door)
        work = Load(World(reference, ledger, door, feed, seats, rng, lambda: over), clients=options.clients)
        work.begin()
        progress = asyncio.create_task(_progress(ledger, tell))
        rebuilding = asyncio.create_task(_rebuild(machine.urls["reporting"], rng, tell))
        try:
            await asyncio.sleep(_WARM_UP_S)
            await injector.run(
                plan(options.seed, faults=options.faults, seconds=options.seconds, replicas=options.replicas)
            )
            tell("faults are over")
            work.check()
            over = True
            rebuilding.cancel()
            await work.end(_ANSWERED_WITHIN_S)
        finally:
            rebuilding.cancel()
            progress.cancel()


async def _progress(ledger: Ledger, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        tell(ledger_line(ledger))


async def _rebuild(urls: Sequence[str], rng: Random, tell: Callable[[str], None]) -> None:
    """Now and then build the projection anew, under load and under fire. It may fail; then the live one stays."""
    while True:
        await asyncio.sleep(_REBUILD_EVERY_S * rng.uniform(0.6, 1.2))
        try:
            build = await observed.built(rng.choice(urls), "rebuild", _BUILT_WITHIN_S)
        except (httpx.HTTPError, TimeoutError) as error:
            tell(f"a rebuild was not seen to end ({type(error).__name__})")
        else:
            how = f"held {build['held_ms']} ms" if build["state"] == "done" else build["reason"]
            tell(f"rebuild of {build['read']} records: {build['state']}, {how}")


async def _until_ready(machine: Machine) -> None:
    until = time.monotonic() + _READY_WITHIN_S
    while found := await observed.unrest(machine.store.url, machine.broker.bootstrap, machine.urls):
        if time.monotonic() > until:
            raise TimeoutError(f"not ready in {_READY_WITHIN_S:.0f} s: {found}")
        await asyncio.sleep(0.5)


async def _rest(machine: Machine, tell: Callable[[str], None]) -> None:
    """Until nothing waits anywhere, seen twice in a row. TimeoutError with what still does."""
    began = time.monotonic()
    quiet = 0
    while quiet < 2:
        found = await observed.unrest(machine.store.url, machine.broker.bootstrap, machine.urls)
        quiet = 0 if found else quiet + 1
        if time.monotonic() > began + _AT_REST_WITHIN_S:
            raise TimeoutError(f"not at rest in {_AT_REST_WITHIN_S:.0f} s: {'; '.join(found)}")
        await asyncio.sleep(1.0)
    tell(f"at rest after {time.monotonic() - began:.1f} s")


async def _look(machine: Machine, tell: Callable[[str], None]) -> Seen:
    """The log, the stores, the figures; these recomputed by reporting, and again once it has built them anew."""
    log = await observed.read_log(machine.broker.bootstrap)
    stores = await asyncio.to_thread(observed.read_stores, machine.store.url)
    urls = machine.urls["reporting"]
    seen = Seen(log, stores, await observed.read_figures(urls))
    verified = await observed.built(urls[0], "verification", _BUILT_WITHIN_S)
    rebuilt = await observed.built(urls[-1], "rebuild", _BUILT_WITHIN_S)
    seen.figures += await observed.read_figures(urls, " rebuilt")
    seen.differences += [str(item) for item in (verified["differences"] or {"items": []})["items"]]
    for name, build in (("verification", verified), ("rebuild", rebuilt)):
        if build["state"] != "done":
            seen.differences.append(f"the {name} ended as {build['state']}: {build['reason']}")
    tell(
        f"read {len(log.events)} records; reporting recomputed {verified['figures']} figures, "
        f"built generation {rebuilt['generation']} from {rebuilt['read']} records"
    )
    return seen
