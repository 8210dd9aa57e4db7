"""What clients send to tracking. Unknown fields are refused; a day is written `YYYY-MM-DD`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from services.tracking.domain import Signatures, Terms, Tutor
from services.tracking.domain.contract import ContractState, Formula
from services.tracking.domain.placement import PlacementState
from shared.events.tracking import EndReason, ReviewOutcome
from shared.http import Day, Input

On = Annotated[Day, Field(description="The day it happened; never guessed, since the figures go by it.")]
DeclineReason = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="A code: not_interested, too_far, other_solution, unreachable, family, other, or one of your own.",
        examples=["too_far"],
    ),
]
Identifier = Annotated[str, Field(min_length=1, max_length=200)]


class Acceptance(Input):
    """The youth takes the place."""

    on: On


class Refusal(Input):
    """The youth does not take the place."""

    on: On
    reason: DeclineReason


class TutorInput(Input):
    """Who accompanies the youth."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="Stays in tracking's own store.")]
    role: Annotated[
        str, Field(min_length=1, max_length=80, description="The tutor's function; leaves tracking only as a code.")
    ]


class SignaturesInput(Input):
    """The day on which each party signed. The guardian's is needed for a minor."""

    tutor: Day | None = None
    youth: Day | None = None
    guardian: Day | None = None


class ContractInput(Input):
    """A contract FQE to sign."""

    placement_id: Identifier
    on: On
    starts_on: Day
    ends_on: Day
    tutor: TutorInput
    hours_per_week: Annotated[
        float | None, Strict(), Field(ge=0, le=168, allow_inf_nan=False, description="Civic service: hours of mission.")
    ] = None
    hours: Annotated[int | None, Strict(), Field(ge=0, le=100_000, description="Social clause: hours in all.")] = None
    adult: Annotated[
        bool | None,
        Strict(),
        Field(description="Of age on the day? Needed only within the month of the 18th birthday."),
    ] = None
    formula: Annotated[Formula | None, Field(description="Civic service: full, or combined with schooling.")] = None
    signatures: SignaturesInput

    def terms(self) -> Terms:
        """What the parties sign."""
        return Terms(
            on=self.on,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            tutor=Tutor(self.tutor.name, self.tutor.role),
            signatures=Signatures(self.signatures.tutor, self.signatures.youth, self.signatures.guardian),
            hours_per_week=self.hours_per_week,
            hours=self.hours,
            adult=self.adult,
            formula=self.formula,
        )


class StartInput(Input):
    """The training has begun."""

    on: On


class ReviewInput(Input):
    """A review of the situation (bilan de situation)."""

    on: On
    outcome: ReviewOutcome
    next_on: Annotated[Day | None, Field(description="When the next is due; 60 days later where missing.")] = None


class EndInput(Input):
    """The contract is over."""

    on: On
    reason: EndReason


class _List(BaseModel):
    """Filters of a list; an unknown one is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=500, description="Most items of a page.")] = 100
    cursor: Annotated[str | None, Field(max_length=512, description="`next` of the page before.")] = None


class PlacementList(_List):
    """Which placements."""

    state: PlacementState | None = None
    network_id: Annotated[str | None, Field(max_length=200)] = None
    youth_id: Annotated[str | None, Field(max_length=200)] = None

    def equal(self) -> dict[str, str | None]:
        return {"state": self.state, "network_id": self.network_id, "youth_id": self.youth_id}


class ContractList(_List):
    """Which contracts."""

    state: ContractState | None = None
    network_id: Annotated[str | None, Field(max_length=200)] = None
    youth_id: Annotated[str | None, Field(max_length=200)] = None
    overdue_on: Annotated[
        Day | None, Field(description="Only running contracts whose review was due before this day, oldest first.")
    ] = None

    def equal(self) -> dict[str, str | None]:
        return {"state": self.state, "network_id": self.network_id, "youth_id": self.youth_id}
