"""Which solution a youth is offered, so that no session is ever offered more often than it has places."""

from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from random import Random
from typing import Final

from deploy.simulate.drawing import Day, Weighted
from deploy.simulate.rates import KINDS
from shared.reference import Reference

_EARLIER: Final = 150
_LATER: Final = 100
_LEFT: Final = 45
"""Days: a session offered began at most so long ago or begins at most so much later, and lasts at least so long."""


@dataclass(slots=True)
class Seat:
    """A session of a solution; `left` counts places never offered. One that comes free again is not counted back, so
    that the offers go through whatever order different youths' affairs are dealt with.
    """

    solution_id: str
    session_id: str
    kind: str
    network_id: str
    starts_on: Day
    ends_on: Day
    left: int


class Seats:
    """The reference's offer of places, as it is used up."""

    def __init__(self, reference: Reference) -> None:
        academie_of = {network.network_id: network.academie for network in reference.networks()}
        self._networks: dict[str, frozenset[str]] = {
            platform.platform_id: frozenset(
                n.network_id for n in reference.networks() if platform.platform_id in n.platform_ids
            )
            for platform in reference.platforms()
        }
        self._seats: dict[tuple[str, str], list[Seat]] = defaultdict(list)
        for solution in reference.solutions():
            for session in solution.sessions:
                self._seats[academie_of[solution.network_id], solution.kind].append(
                    Seat(
                        solution.solution_id,
                        session.session_id,
                        solution.kind,
                        solution.network_id,
                        session.starts_on.toordinal(),
                        session.ends_on.toordinal(),
                        session.places,
                    )
                )
        self._kinds = Weighted(KINDS)

    def take(
        self, rng: Random, academie: str, platform_id: str | None, day: Day, *, excluding: Set[str]
    ) -> Seat | None:
        """A place for somebody to whom it is offered on `day`: of a kind drawn first, of his platform's networks
        before others of the académie, in none of the sessions he was offered before. None when there is none left.
        """
        kinds = [self._kinds.draw(rng) for _ in range(3)]
        for kind in dict.fromkeys((*kinds, "school", "civic_service")):
            open_now = [
                seat for seat in self._seats[academie, kind] if _fits(seat, day) and seat.session_id not in excluding
            ]
            near = self._networks.get(platform_id or "", frozenset())
            seats = [seat for seat in open_now if seat.network_id in near] or open_now
            if seats:
                seat = rng.choice(seats)
                seat.left -= 1
                return seat
        return None


def _fits(seat: Seat, day: Day) -> bool:
    begins_in_time = day - _EARLIER <= seat.starts_on <= day + _LATER
    return seat.left > 0 and begins_in_time and seat.ends_on >= max(day, seat.starts_on) + _LEFT
