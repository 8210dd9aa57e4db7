"""What tracking publishes: answers to offers, contracts FQE, and what becomes of them."""

from datetime import date
from typing import ClassVar, Literal

from shared.events.base import Kind, Track, YouthEvent

ReviewOutcome = Literal["on_track", "at_risk", "adjusted"]
EndReason = Literal["completed", "diploma", "dropped_out", "reoriented", "employment", "moved", "lost"]


class TrackingEvent(YouthEvent):
    """An event of tracking's topic."""

    TOPIC: ClassVar[str] = "tracking.events"


class PlacementAccepted(TrackingEvent):
    """The youth takes the offered place."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.placement-accepted.v1"

    placement_id: str
    solution_id: str


class PlacementDeclined(TrackingEvent):
    """The youth, or his situation, refuses the offered place."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.placement-declined.v1"

    placement_id: str
    solution_id: str
    reason: str


class ContractSigned(TrackingEvent):
    """The contract "Formation Qualification Emploi" is signed by tutor, youth and, for a minor, guardian."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.contract-signed.v1"

    contract_id: str
    placement_id: str
    solution_id: str
    kind: Kind
    track: Track | None = None
    tutor_role: str
    starts_on: date
    ends_on: date


class TrainingStarted(TrackingEvent):
    """The youth is really there."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.training-started.v1"

    contract_id: str
    kind: Kind


class ReviewDone(TrackingEvent):
    """A review of the situation took place (bilan de situation)."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.review-done.v1"

    contract_id: str
    outcome: ReviewOutcome
    next_on: date


class ContractEnded(TrackingEvent):
    """The contract is over, at its term or before."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.contract-ended.v1"

    contract_id: str
    reason: EndReason
