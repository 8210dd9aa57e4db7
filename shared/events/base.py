"""What all events have in common."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """The data of one event. Frozen; a field that a reader does not know is ignored (events grow by adding fields)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]

    def subject(self) -> str:
        """What the event is about: `ce_subject` and the record's key, so that order holds per subject."""
        raise TypeError(f"{type(self).__name__} does not say what it is about")


class YouthEvent(Event):
    """An event about one youth, who is nothing but a random identifier outside referral."""

    youth_id: str = Field(min_length=1, description="Random identifier (UUID) of the youth.")
    on: date = Field(description="The day it happened.")

    def subject(self) -> str:
        return self.youth_id


Kind = Literal[
    "school",
    "innovative_structure",
    "apprenticeship",
    "trainee",
    "civic_service",
    "social_clause",
    "mission_locale",
    "other",
]
Track = Literal["professional", "general", "technological"]
Sex = Literal["F", "M"]
Source = Literal["SCOLARITE", "AGRICULTURE", "APPRENTISSAGE", "MISSION_LOCALE", "ETABLISSEMENT"]

# The same field means the same in every event.
AcademieCode = Annotated[str, Field(description="Code of the académie that the département belongs to on that day.")]
DepartementCode = Annotated[str, Field(description="Code of the département: 59, 2A, 974.")]
PlatformId = Annotated[str, Field(description="The platform (PSAD).")]
NetworkId = Annotated[str, Field(description="The FOQUALE network.")]
SolutionId = Annotated[str, Field(description="The solution in the catalogue.")]
PlacementId = Annotated[str, Field(description="The offer of a seat.")]
ContractId = Annotated[str, Field(description="The contract FQE.")]
KindOf = Annotated[Kind, Field(description="What kind of solution it is.")]
TrackOf = Annotated[Track | None, Field(description="The track (voie); null where there is none.")]
Version = Annotated[int, Field(description="Grows with each change; of two events, the greater holds.")]
