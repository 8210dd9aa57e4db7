"""The contract "Formation Qualification Emploi" of the circular 2013-035 and its life: signed, running, ended."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from services.tracking.domain.outcome import Broken, Failure, Refused
from services.tracking.domain.placement import Placement
from shared.events.base import Kind, Track
from shared.events.tracking import EndReason, ReviewOutcome

ContractState = Literal["signed", "running", "ended"]
Formula = Literal["full", "combined"]

REVIEW_EVERY = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Tutor:
    """Who accompanies the youth for the whole path; appointed by the education nationale."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Signatures:
    """The days on which each party signed; the guardian's and the youth's names are not tracking's to know."""

    tutor: date | None = None
    youth: date | None = None
    guardian: date | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the parties sign. `on` is the day of the contract.

    `hours_per_week` and `formula` are of civic service, `hours` (in all) of the social clause; `adult` says whether the
    youth is of age where the month of birth cannot.
    """

    on: date
    starts_on: date
    ends_on: date
    tutor: Tutor
    signatures: Signatures
    hours_per_week: float | None = None
    hours: int | None = None
    adult: bool | None = None
    formula: Formula | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A review of the situation (bilan de situation) and when the next one is due."""

    on: date
    outcome: ReviewOutcome
    next_on: date


@dataclass(frozen=True, slots=True)
class Contract:
    """A signed contract; reviews in the order in which they were recorded."""

    contract_id: str
    youth_id: str
    placement_id: str
    solution_id: str
    kind: Kind
    track: Track | None
    academie: str
    network_id: str
    terms: Terms
    started_on: date | None = None
    reviews: tuple[Review, ...] = ()
    ended_on: date | None = None
    end_reason: EndReason | None = None

    @property
    def state(self) -> ContractState:
        if self.ended_on is not None:
            return "ended"
        return "signed" if self.started_on is None else "running"

    @property
    def next_review_on(self) -> date | None:
        """As the last review (by its day) says; without one, 60 days after the start, real or agreed. None at the end.

        Of two reviews on one day the one recorded later counts.
        """
        if self.ended_on is not None:
            return None
        if not self.reviews:
            return (self.started_on or self.terms.starts_on) + REVIEW_EVERY
        return max(enumerate(self.reviews), key=lambda item: (item[1].on, item[0]))[1].next_on

    def start(self, on: date) -> "Contract | Refused":
        """The youth is really there."""
        match self.state:
            case "ended":
                return _ended(self)
            case "running":
                return Refused("already_started", f"the training started on {self.started_on} already")
        return replace(self, started_on=on)

    def review(self, on: date, outcome: ReviewOutcome, next_on: date | None) -> "Contract | Refused | Broken":
        """A review took place; the next is due 60 days later unless it says otherwise. Late ones may be added."""
        match self.state:
            case "ended":
                return _ended(self)
            case "signed":
                return Refused("not_started", "the training has not started; record its start first")
        due = on + REVIEW_EVERY if next_on is None else next_on
        if due <= on:
            return _broken("next_on", "next_review_not_after", f"the next review must be after this one, of {on}")
        return replace(self, reviews=(*self.reviews, Review(on, outcome, due)))

    def end(self, on: date, reason: EndReason) -> "Contract | Refused | Broken":
        """The contract is over, at its term or before, whether the training had started or not."""
        if self.state == "ended":
            return _ended(self)
        if on < self.terms.on:
            return _broken("on", "end_before_signature", f"the contract was signed on {self.terms.on}, later than this")
        return replace(self, ended_on=on, end_reason=reason)


def sign(contract_id: str, placement: Placement, terms: Terms) -> "tuple[Placement, Contract] | Refused":
    """The contract on an accepted placement; `rules.contract_failures` has judged the terms."""
    taken = placement.contract(contract_id)
    if isinstance(taken, Refused):
        return taken
    offer = taken.offer
    return taken, Contract(
        contract_id=contract_id,
        youth_id=offer.youth_id,
        placement_id=placement.placement_id,
        solution_id=offer.solution_id,
        kind=offer.kind,
        track=offer.track,
        academie=offer.academie,
        network_id=offer.network_id,
        terms=terms,
    )


def _ended(contract: Contract) -> Refused:
    return Refused("contract_ended", f"the contract ended on {contract.ended_on} ({contract.end_reason})")


def _broken(field: str, code: str, message: str) -> Broken:
    return Broken((Failure(field, code, message),))
