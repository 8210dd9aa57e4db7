"""Which faults a run has: a plan that follows from its seed alone, so that a run can be had again."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from shared.crash_points import Point

SERVICES: Final = ("referral", "catalogue", "tracking", "reporting")
SESSION_S: Final = 6.0
"""The consumers' session in a run; a pause of a replica is longer."""


class Fault(StrEnum):
    """What is done. A replica is one process of a service."""

    KILL = "kill"
    """SIGKILL a replica; it is started again in a moment."""
    OUTAGE = "outage"
    """SIGKILL all replicas of a service at once, among them the one that holds the relay's lease."""
    PAUSE = "pause"
    """SIGSTOP a replica past its session: it comes back as one whose partitions others have."""
    RESTART = "restart"
    """SIGTERM, as a deployment does, and start."""
    CRASH_AT = "crash-at"
    """Start a replica that kills itself at a point of `shared.crash_points`."""
    CRASH_RELAY = "crash-relay"
    """Kill all replicas of a service and start them so that whichever takes the relay's lease dies while it relays."""
    KILL_BROKER = "kill-broker"
    PAUSE_BROKER = "pause-broker"
    KILL_STORE = "kill-store"
    PAUSE_STORE = "pause-store"


_WEIGHTS: Final = {
    Fault.KILL: 10,
    Fault.OUTAGE: 3,
    Fault.PAUSE: 7,
    Fault.RESTART: 3,
    Fault.CRASH_AT: 10,
    Fault.CRASH_RELAY: 3,
    Fault.KILL_BROKER: 3,
    Fault.PAUSE_BROKER: 3,
    Fault.KILL_STORE: 3,
    Fault.PAUSE_STORE: 3,
}
OF_ALL_REPLICAS: Final = frozenset({Fault.OUTAGE, Fault.CRASH_RELAY})
_OF_SERVICES: Final = frozenset({Fault.KILL, Fault.PAUSE, Fault.RESTART, Fault.CRASH_AT}) | OF_ALL_REPLICAS
_RELAY: Final = (Point.RELAY_READ, Point.RELAY_PUBLISHED, Point.RELAY_MARKED)
_RELAYING: Final = ("referral", "catalogue", "tracking")
_TWO_AT_ONCE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault: seconds from the beginning, whom it hits, for how long (s), and at which point of the code."""

    at: float
    what: Fault
    service: str = ""
    replica: int = 0
    lasts: float = 0.0
    point: str = ""

    def __str__(self) -> str:
        whom = f" {self.service}" if self.service else ""
        which = f"-{self.replica}" if self.service and self.what not in OF_ALL_REPLICAS else ""
        point = f" at {self.point}" if self.point else ""
        return f"{self.what}{whom}{which}{point} for {self.lasts:.1f} s"


def plan(seed: int, *, faults: int, seconds: float, replicas: int, services: Sequence[str] = SERVICES) -> list[Planned]:
    """So many faults spread over the time, some two at once; each kind at least once where there is room for it."""
    rng = Random(f"{seed}|faults")
    kinds = list(Fault) if faults >= len(Fault) else []
    kinds += rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=faults - len(kinds))
    rng.shuffle(kinds)
    step = seconds / faults
    planned: list[Planned] = []
    for number, what in enumerate(kinds):
        at = (number + rng.random() * 0.8) * step
        if planned and rng.random() < _TWO_AT_ONCE:
            at = planned[-1].at
        planned.append(_draw(rng, at, what, replicas, services))
    return sorted(planned, key=lambda fault: fault.at)


def _draw(rng: Random, at: float, what: Fault, replicas: int, services: Sequence[str]) -> Planned:
    service = rng.choice(services) if what in _OF_SERVICES else ""
    replica = rng.randrange(replicas)
    match what:
        case Fault.PAUSE:
            lasts = SESSION_S + rng.uniform(1.0, 8.0)
        case Fault.PAUSE_BROKER | Fault.PAUSE_STORE:
            lasts = rng.uniform(3.0, 15.0)
        case _:
            lasts = rng.uniform(0.0, 3.0)
    point = ""
    if what is Fault.CRASH_AT:
        point = f"{rng.choice(list(Point))}:{rng.randint(1, 6)}"
    elif what is Fault.CRASH_RELAY:
        service, point = rng.choice(_RELAYING), f"{rng.choice(_RELAY)}:{rng.randint(1, 4)}"
    return Planned(round(at, 2), what, service, replica, round(lasts, 2), point)
