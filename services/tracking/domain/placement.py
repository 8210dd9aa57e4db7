"""What becomes of an offer: the youth takes it or not, nobody answers in time, or he is dismissed meanwhile.

What comes from the bus (offered, expired, dismissed) may come in any order and gives the same state.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from services.tracking.domain.outcome import Refused
from shared.events.base import Kind, Track

PlacementState = Literal["offered", "accepted", "declined", "expired", "contracted"]

YOUTH_DISMISSED = "youth_dismissed"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the catalogue said when it held the seat: on which day, and when it wrote that down (`recorded_at`)."""

    youth_id: str
    solution_id: str
    kind: Kind
    track: Track | None
    academie: str
    network_id: str
    starts_on: date
    held_until: datetime
    on: date
    recorded_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Dismissal:
    """The youth needs no follow-up any more, from this day. The greatest is the last one."""

    on: date
    recorded_at: datetime

    def closes(self, offer: Offer) -> bool:
        """Whether the offer was made before. On the same day, what was recorded first happened first.

        A later offer stands: the youth may have been opened again.
        """
        return (offer.on, offer.recorded_at) <= (self.on, self.recorded_at)


@dataclass(frozen=True, slots=True)
class Placement:
    """An offer and its answer."""

    placement_id: str
    state: PlacementState
    offer: Offer
    answered_on: date | None = None
    reason: str | None = None
    expired_on: date | None = None
    contract_id: str | None = None

    def accept(self, on: date, now: datetime) -> "Placement | Refused":
        """The youth takes the place; possible as long as the seat is held."""
        match self.state:
            case "accepted" | "contracted":
                return _already_answered("accepted", self.answered_on)
            case "declined":
                return _declined(self)
            case "expired":
                return _expired()
        if now > self.offer.held_until:
            return _expired()
        return replace(self, state="accepted", answered_on=on)

    def decline(self, on: date, reason: str) -> "Placement | Refused":
        """The youth does not take the place, or gives it back before a contract is signed."""
        match self.state:
            case "declined":
                return _already_answered("declined", self.answered_on)
            case "expired":
                return _expired()
            case "contracted":
                return Refused(
                    "contract_signed", f"contract {self.contract_id} is signed on this placement; end that contract"
                )
        return replace(self, state="declined", answered_on=on, reason=reason)

    def dismiss(self, dismissal: Dismissal) -> "Placement":
        """Declined if it was still open and the dismissal came after the offer; a contract is left alone."""
        if self.state not in ("offered", "accepted") or not dismissal.closes(self.offer):
            return self
        return replace(self, state="declined", answered_on=dismissal.on, reason=YOUTH_DISMISSED)

    def contract(self, contract_id: str) -> "Placement | Refused":
        """A contract is signed on the accepted place; one, ever."""
        match self.state:
            case "accepted":
                return replace(self, state="contracted", contract_id=contract_id)
            case "contracted":
                return Refused("contract_exists", f"contract {self.contract_id} was signed on this placement before")
            case "declined":
                return _declined(self)
            case "expired":
                return _expired()
            case "offered":
                return Refused("placement_not_accepted", "the youth has not accepted this placement; record that first")


@dataclass(frozen=True, slots=True)
class EarlyExpiry:
    """A placement of which nothing but its expiry has been heard so far."""

    placement_id: str
    expired_on: date


def hear_of(known: Placement | EarlyExpiry | None, placement_id: str, offer: Offer) -> Placement:
    """The offer was made. Its expiry may have been heard of before."""
    match known:
        case None:
            return Placement(placement_id, "offered", offer)
        case EarlyExpiry():
            return Placement(placement_id, "expired", offer, expired_on=known.expired_on)
    return known


def expire(known: Placement | EarlyExpiry | None, placement_id: str, on: date) -> Placement | EarlyExpiry:
    """Nobody answered in time. An answer that was recorded here before stands: it was in time."""
    if known is None:
        return EarlyExpiry(placement_id, on)
    if isinstance(known, EarlyExpiry) or known.state != "offered":
        return known
    return replace(known, state="expired", expired_on=on)


def _already_answered(how: str, on: date | None) -> Refused:
    return Refused("already_answered", f"this placement was {how} on {on} already")


def _declined(placement: Placement) -> Refused:
    return Refused(
        "placement_declined",
        f"this placement was declined on {placement.answered_on} ({placement.reason}); offer the youth a new one",
    )


def _expired() -> Refused:
    return Refused("placement_expired", "the seat is no longer held for the youth; offer a new placement")
