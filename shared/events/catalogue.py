"""What the catalogue publishes: networks, platforms, solutions, and the offers that hold a seat."""

from datetime import date, datetime
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.events.base import (
    AcademieCode,
    DepartementCode,
    Event,
    KindOf,
    NetworkId,
    PlacementId,
    PlatformId,
    SolutionId,
    TrackOf,
    Version,
    YouthEvent,
)


class NetworkRegistered(Event):
    """A FOQUALE network exists, or changed."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.network-registered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    network_id: NetworkId
    name: str = Field(description="Its name.")
    academie: AcademieCode
    platform_ids: tuple[str, ...] = Field(description="The platforms it serves; a platform may have several networks.")
    version: Version = 1

    def subject(self) -> str:
        return self.network_id


class PlatformRegistered(Event):
    """A platform (PSAD) exists, or changed. `communes` are those it answers for; none: its whole département."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.platform-registered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    platform_id: PlatformId
    name: str = Field(description="Its name.")
    departement: DepartementCode
    academie: AcademieCode
    communes: tuple[str, ...] = Field(default=(), description="COG codes; empty: the whole département.")
    default_network_id: str = Field(description="The network of the youths assigned to it.")
    registered_at: datetime = Field(description="When; of two platforms that claim a commune, the newer claim holds.")
    version: Version = 1

    def subject(self) -> str:
        return self.platform_id


class SolutionSession(BaseModel):
    """A dated session of a solution, with its places."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session_id: str = Field(description="Unique within the solution.")
    starts_on: date = Field(description="First day.")
    ends_on: date | None = Field(default=None, description="Last day, where it is known.")
    places: int = Field(description="Places in all, taken or free.")


class SolutionEvent(Event):
    """An event about a solution."""

    TOPIC: ClassVar[str] = "catalogue.events"

    solution_id: SolutionId

    def subject(self) -> str:
        return self.solution_id


class SolutionDescribed(SolutionEvent):
    """A solution, whole."""

    title: str = Field(description="What a youth reads.")
    kind: KindOf
    track: TrackOf = None
    network_id: NetworkId
    academie: Annotated[str, Field(description="Code of the network's académie.")]
    uai: str | None = Field(default=None, description="The school, where there is one.")
    commune: str = Field(description="Where it is (COG code).")
    sector: str | None = Field(default=None, description="Code of the field of training.")
    lon: float | None = Field(default=None, description="Longitude in degrees; with `lat` or not at all.")
    lat: float | None = Field(default=None, description="Latitude in degrees.")
    sessions: tuple[SolutionSession, ...] = Field(description="Its dated entries, by start.")
    version: Version


class SolutionPublished(SolutionDescribed):
    """A solution is offered for the first time, or again."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-published.v1"


class SolutionUpdated(SolutionDescribed):
    """A solution changed; the event holds it whole."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-updated.v1"


class SolutionWithdrawn(SolutionEvent):
    """A solution is no longer offered; placements already made stand."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-withdrawn.v1"

    version: Version


class PlacementOffered(YouthEvent):
    """A seat is held for the youth until `held_until`."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.placement-offered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    placement_id: PlacementId
    solution_id: SolutionId
    kind: KindOf
    track: TrackOf = None
    academie: Annotated[str, Field(description="Code of the académie of the solution's network.")]
    network_id: Annotated[str, Field(description="The network that offers the solution; not always the youth's.")]
    starts_on: date = Field(description="First day of the session.")
    held_until: datetime = Field(description="Until when the seat is held for an answer (UTC).")


class PlacementExpired(YouthEvent):
    """Nobody answered in time; the seat is free again."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.placement-expired.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    placement_id: PlacementId
    solution_id: SolutionId
