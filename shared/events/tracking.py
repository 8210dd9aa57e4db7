"""What tracking publishes: answers to offers, contracts FQE, and what becomes of them."""

from datetime import date
from typing import ClassVar, Literal

from pydantic import Field

from shared.events.base import ContractId, KindOf, PlacementId, SolutionId, TrackOf, YouthEvent

ReviewOutcome = Literal["on_track", "at_risk", "adjusted"]
EndReason = Literal["completed", "diploma", "dropped_out", "reoriented", "employment", "moved", "lost"]


class TrackingEvent(YouthEvent):
    """An event of tracking's topic."""

    TOPIC: ClassVar[str] = "tracking.events"


class PlacementAccepted(TrackingEvent):
    """The youth takes the offered place."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.placement-accepted.v1"

    placement_id: PlacementId
    solution_id: SolutionId


class PlacementDeclined(TrackingEvent):
    """The youth, or his situation, refuses the offered place."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.placement-declined.v1"

    placement_id: PlacementId
    solution_id: SolutionId
    reason: str = Field(description="A code, no free text; `youth_dismissed` where the case was closed meanwhile.")


class ContractSigned(TrackingEvent):
    """The contract "Formation Qualification Emploi" is signed by tutor, youth and, for a minor, guardian."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.contract-signed.v1"

    contract_id: ContractId
    placement_id: PlacementId
    solution_id: SolutionId
    kind: KindOf
    track: TrackOf = None
    tutor_role: str = Field(description="The tutor's function as a code; the name stays in tracking.")
    starts_on: date = Field(description="First day agreed.")
    ends_on: date = Field(description="Last day agreed.")


class TrainingStarted(TrackingEvent):
    """The youth is really there."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.training-started.v1"

    contract_id: ContractId
    kind: KindOf


class ReviewDone(TrackingEvent):
    """A review of the situation took place (bilan de situation)."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.review-done.v1"

    contract_id: ContractId
    outcome: ReviewOutcome = Field(description="How it stands.")
    next_on: date = Field(description="When the next review is due.")


class ContractEnded(TrackingEvent):
    """The contract is over, at its term or before."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.contract-ended.v1"

    contract_id: ContractId
    reason: EndReason = Field(description="Why; before the last day agreed, the seat is free again.")
