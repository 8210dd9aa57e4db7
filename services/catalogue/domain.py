"""What the catalogue knows, and the one rule that everything about seats follows.

A placement has a state, and a state takes a seat in one way or in none; so the counters of a session are always
those its placements' states imply. `follow` is the only way from one state to the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, Literal

from shared.events.base import Kind, Track

State = Literal["held", "accepted", "declined", "expired", "occupied", "freed"]
Happening = Literal["expired", "accepted", "declined", "signed", "left_early"]
Conflict = Literal["accepted_without_seat", "signed_without_seat"]

OPEN: Final[tuple[State, ...]] = ("held", "accepted")
"""States of an offer that waits for an answer or a contract."""


@dataclass(frozen=True, slots=True)
class Head:
    """Who answers for a network: the only personal data here, never published."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Network:
    """A FOQUALE network: the institutions of a perimeter that offer places together.

    Two are equal when there is nothing new to publish: neither the head nor the version counts.
    """

    network_id: str
    name: str
    academie: str
    platform_ids: tuple[str, ...]
    head: Head | None = field(default=None, compare=False)
    version: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform (PSAD) that follows the youths of its communes; no communes: of its whole département.

    Equal when there is nothing new to publish, whenever they were registered.
    """

    platform_id: str
    name: str
    departement: str
    academie: str
    communes: tuple[str, ...]
    default_network_id: str
    registered_at: datetime = field(compare=False)
    version: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A dated entry into a solution, and how its places are taken: held by an open offer, or occupied.

    Equal when they are described alike, however many places are taken.
    """

    session_id: str
    starts_on: date
    ends_on: date | None
    places: int
    held: int = field(default=0, compare=False)
    occupied: int = field(default=0, compare=False)

    @property
    def taken(self) -> int:
        return self.held + self.occupied

    @property
    def free(self) -> int:
        return self.places - self.taken


@dataclass(frozen=True, slots=True)
class Solution:
    """An offer of places of one network. Sessions are in order of their start, then of their id.

    Equal when there is nothing new to publish.
    """

    solution_id: str
    title: str
    kind: Kind
    track: Track | None
    network_id: str
    uai: str | None
    commune: str
    sector: str | None
    lon: float | None
    lat: float | None
    sessions: tuple[Session, ...]
    withdrawn: bool = False
    version: int = field(default=1, compare=False)


def in_order(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Sessions by start, then by id."""
    return tuple(sorted(sessions, key=lambda session: (session.starts_on, session.session_id)))


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """What a new version of a solution does to its sessions."""

    added: tuple[Session, ...]
    changed: tuple[Session, ...]
    dropped: tuple[Session, ...]
    too_small: tuple[Session, ...]
    """Sessions as they are, whose taken places the new version has no room for."""


def session_changes(before: Iterable[Session], after: Iterable[Session]) -> SessionChanges:
    """Compare the sessions of two versions of a solution. Taken places are those of `before`."""
    old = {session.session_id: session for session in before}
    new = {session.session_id: session for session in after}
    return SessionChanges(
        added=tuple(session for key, session in new.items() if key not in old),
        changed=tuple(session for key, session in new.items() if key in old and old[key] != session),
        dropped=tuple(session for key, session in old.items() if key not in new),
        too_small=tuple(s for key, s in old.items() if s.taken > (new[key].places if key in new else 0)),
    )


def with_places_taken(sessions: Iterable[Session], before: Iterable[Session]) -> tuple[Session, ...]:
    """The sessions of a new version with the counters that they had in the one before."""
    old = {session.session_id: session for session in before}
    return tuple(
        replace(session, held=old[session.session_id].held, occupied=old[session.session_id].occupied)
        if session.session_id in old
        else session
        for session in sessions
    )


def to_millisecond(moment: datetime) -> datetime:
    """The moment as the store keeps it, so that what is published and what is stored are one."""
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


@dataclass(frozen=True, slots=True)
class Placement:
    """An offer to a youth and what became of it. `held_until` counts while the offer is unanswered.

    `conflict` says that a youth accepted or signed after the seat had gone to someone else: a person has to look.
    """

    placement_id: str
    youth_id: str
    solution_id: str
    session_id: str
    state: State
    on: date
    held_until: datetime
    contract_id: str | None = None
    conflict: Conflict | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """What is known of a contract: its signature, its end, or both, whichever was heard of first."""

    contract_id: str
    placement_id: str | None = None
    ends_on: date | None = None
    ended_on: date | None = None

    def happening(self) -> "Happening | None":
        """What it means for its placement's seat: ended before its last day, it gives the seat back.

        None while the signature is not known: nobody can tell yet whose seat it is.
        """
        if self.placement_id is None or self.ends_on is None:
            return None
        return "left_early" if self.ended_on is not None and self.ended_on < self.ends_on else "signed"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a placement goes, what that adds to its session's counters, and whether it wanted a seat in vain."""

    state: State
    held: int = 0
    occupied: int = 0
    conflict: Conflict | None = None

    @property
    def needs_seat(self) -> bool:
        """Whether the step takes a seat that the placement did not have: only if one is free."""
        return self.held + self.occupied > 0


# What is known of a placement only grows: of two things that happened, the one further down this list says more,
# whichever was heard of first. That makes events late, twice and out of order give the same state.
_SAYS_MORE: Final[tuple[State, ...]] = ("held", "expired", "accepted", "declined", "occupied", "freed")

_LEADS_TO: Final[dict[Happening, State]] = {
    "expired": "expired",
    "accepted": "accepted",
    "declined": "declined",
    "signed": "occupied",
    "left_early": "freed",
}
_WITHOUT_SEAT: Final[dict[Happening, Conflict]] = {
    "accepted": "accepted_without_seat",
    "signed": "signed_without_seat",
}


def seats(state: State) -> tuple[int, int]:
    """What a placement in this state adds to its session's (held, occupied)."""
    match state:
        case "held" | "accepted":
            return 1, 0
        case "occupied":
            return 0, 1
        case "declined" | "expired" | "freed":
            return 0, 0


def follow(state: State, happening: Happening, *, seat_free: bool) -> Step:
    """The step from a state when something has happened. `seat_free`: whether the session has a free place now.

    An acceptance or a signature that finds the seat given back (expired, declined) takes one again where one is free;
    where none is, the placement stays as it was and the step names the conflict. Nothing is ever sold twice.
    """
    target = max(state, _LEADS_TO[happening], key=_SAYS_MORE.index)
    had, has = seats(state), seats(target)
    step = Step(target, held=has[0] - had[0], occupied=has[1] - had[1])
    if step.needs_seat and not seat_free:
        return Step(state, conflict=_WITHOUT_SEAT[happening])
    return step
