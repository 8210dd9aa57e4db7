"""The places that a run fights for: solutions of its own with few of them, and the large ones of the reference."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from shared.reference import Reference
from tests.chaos.door import Door
from tests.chaos.ledger import Command

_KINDS: Final = ("school", "school", "apprenticeship", "innovative_structure", "civic_service")
_SOLUTIONS: Final = 12
_TERM: Final = date(2014, 7, 4)
_MOST_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Seat:
    """A session of a solution."""

    solution: str
    session: str
    kind: str


def terms(seat: Seat, on: str, tutor: str, *, late: bool) -> dict[str, Any]:
    """What is signed on that day (ISO); `late`: the signatures come after the start, and must be refused."""
    starts_on = date.fromisoformat(on) + timedelta(days=2)
    signed_on = (starts_on + timedelta(days=5)).isoformat() if late else on
    ends_on = starts_on + timedelta(days=240) if seat.kind == "civic_service" else _TERM
    body = {
        "on": on,
        "starts_on": starts_on.isoformat(),
        "ends_on": ends_on.isoformat(),
        "tutor": {"name": tutor, "role": "CPE"},
        "signatures": dict.fromkeys(("tutor", "youth", "guardian"), signed_on),
        "adult": True,
    }
    return body | ({"formula": "full", "hours_per_week": 24} if seat.kind == "civic_service" else {})


class Seats:
    """Where an offer may be made."""

    def __init__(self, reference: Reference, rng: Random) -> None:
        self._networks = [network.network_id for network in reference.networks()]
        self._rng = rng
        self._few: list[Seat] = []
        self._many = [
            Seat(solution.solution_id, session.session_id, solution.kind)
            for solution in reference.solutions()
            if solution.kind in _KINDS
            for session in solution.sessions
        ]

    def commands(self) -> list[Command]:
        """What puts the solutions with few places: two sessions each, of one to four places."""
        return [self._put(number) for number in range(_SOLUTIONS)]

    async def put(self, door: Door) -> None:
        """Put them; RuntimeError when one cannot be put, since nothing has failed yet."""
        for command in self.commands():
            if await door.do(command) is None:
                raise RuntimeError(f"{command.path} was not put: {command.refusals}")

    def draw(self, rng: Random) -> list[Seat]:
        """Some with few places, in random order, then a large one."""
        return [*rng.sample(self._few, _MOST_TRIES - 1), rng.choice(self._many)]

    def _put(self, number: int) -> Command:
        solution, kind = f"CHAOS-{number}", self._rng.choice(_KINDS)
        sessions: list[dict[str, Any]] = []
        for session in ("A", "B"):
            self._few.append(Seat(solution, session, kind))
            sessions.append(
                {"session_id": session, "starts_on": "2013-09-03", "ends_on": "2014-07-04"}
                | {"places": self._rng.randint(1, 4)}
            )
        body = {
            "title": f"Few places {number}",
            "kind": kind,
            "track": "professional" if kind == "school" else None,
            "network_id": self._rng.choice(self._networks),
            "commune": "59350",
            "sessions": sessions,
        }
        key, path = f"chaos-solution-{number}", f"/v1/solutions/{solution}"
        return Command(key, "solution", "catalogue", path, body, method="PUT")
