"""What tracking answers: a placement, a contract, a page of either."""

from datetime import date, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from services.tracking.domain import Contract, Placement, Review, Signatures, Tutor
from services.tracking.domain.contract import ContractState, Formula
from services.tracking.domain.placement import PlacementState
from shared.events.base import Kind, Track
from shared.events.tracking import EndReason


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)

    def json_object(self) -> dict[str, Any]:
        """As the answer's JSON object."""
        return self.model_dump(mode="json")


class PlacementView(View):
    """An offer and its answer. `answered_on` and `reason` are of the acceptance or the refusal."""

    placement_id: str
    youth_id: str
    solution_id: str
    state: PlacementState
    kind: Kind
    track: Track | None
    academie: str
    network_id: str
    starts_on: date
    offered_on: date
    held_until: datetime
    answered_on: date | None
    reason: str | None
    expired_on: date | None
    contract_id: str | None

    @classmethod
    def of(cls, placement: Placement) -> Self:
        offer = placement.offer
        return cls(
            placement_id=placement.placement_id,
            youth_id=offer.youth_id,
            solution_id=offer.solution_id,
            state=placement.state,
            kind=offer.kind,
            track=offer.track,
            academie=offer.academie,
            network_id=offer.network_id,
            starts_on=offer.starts_on,
            offered_on=offer.on,
            held_until=offer.held_until,
            answered_on=placement.answered_on,
            reason=placement.reason,
            expired_on=placement.expired_on,
            contract_id=placement.contract_id,
        )


class ContractView(View):
    """A contract FQE and its life. `next_review_on` is null once it has ended."""

    contract_id: str
    youth_id: str
    placement_id: str
    solution_id: str
    state: ContractState
    next_review_on: date | None
    kind: Kind
    track: Track | None
    academie: str
    network_id: str
    on: date
    starts_on: date
    ends_on: date
    tutor: Tutor
    signatures: Signatures
    formula: Formula | None
    hours_per_week: float | None
    hours: int | None
    started_on: date | None
    reviews: tuple[Review, ...]
    ended_on: date | None
    end_reason: EndReason | None

    @classmethod
    def of(cls, contract: Contract) -> Self:
        terms = contract.terms
        return cls(
            contract_id=contract.contract_id,
            youth_id=contract.youth_id,
            placement_id=contract.placement_id,
            solution_id=contract.solution_id,
            state=contract.state,
            next_review_on=contract.next_review_on,
            kind=contract.kind,
            track=contract.track,
            academie=contract.academie,
            network_id=contract.network_id,
            on=terms.on,
            starts_on=terms.starts_on,
            ends_on=terms.ends_on,
            tutor=terms.tutor,
            signatures=terms.signatures,
            formula=terms.formula,
            hours_per_week=terms.hours_per_week,
            hours=terms.hours,
            started_on=contract.started_on,
            reviews=contract.reviews,
            ended_on=contract.ended_on,
            end_reason=contract.end_reason,
        )


class PlacementPage(View):
    """A page of placements; `next` goes into `cursor` of the following request, null on the last page."""

    items: list[PlacementView]
    next: str | None


class ContractPage(View):
    """A page of contracts; `next` goes into `cursor` of the following request, null on the last page."""

    items: list[ContractView]
    next: str | None
