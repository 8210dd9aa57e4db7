"""What the catalogue publishes: networks, platforms, solutions, and the offers that hold a seat."""

from datetime import date, datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.events.base import Event, Kind, Track, YouthEvent


class NetworkRegistered(Event):
    """A FOQUALE network exists, or changed."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.network-registered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    network_id: str
    name: str
    academie: str
    platform_ids: tuple[str, ...]
    version: int = Field(default=1, description="Grows with each registration of this network.")

    def subject(self) -> str:
        return self.network_id


class PlatformRegistered(Event):
    """A platform (PSAD) exists, or changed. `communes` are those it answers for; none: its whole département."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.platform-registered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    platform_id: str
    name: str
    departement: str
    academie: str
    communes: tuple[str, ...] = ()
    default_network_id: str
    registered_at: datetime = Field(description="When; of two platforms that claim a commune, the newer claim holds.")
    version: int = Field(default=1, description="Grows with each registration of this platform.")

    def subject(self) -> str:
        return self.platform_id


class SolutionSession(BaseModel):
    """A dated session of a solution, with its places."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session_id: str
    starts_on: date
    ends_on: date | None = None
    places: int


class SolutionEvent(Event):
    """An event about a solution."""

    TOPIC: ClassVar[str] = "catalogue.events"

    solution_id: str

    def subject(self) -> str:
        return self.solution_id


class SolutionDescribed(SolutionEvent):
    """A solution, whole."""

    title: str
    kind: Kind
    track: Track | None = None
    network_id: str
    academie: str
    uai: str | None = None
    commune: str
    sector: str | None = None
    lon: float | None = None
    lat: float | None = None
    sessions: tuple[SolutionSession, ...]
    version: int


class SolutionPublished(SolutionDescribed):
    """A solution is offered for the first time, or again."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-published.v1"


class SolutionUpdated(SolutionDescribed):
    """A solution changed; the event holds it whole."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-updated.v1"


class SolutionWithdrawn(SolutionEvent):
    """A solution is no longer offered; placements already made stand."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.solution-withdrawn.v1"

    version: int


class PlacementOffered(YouthEvent):
    """A seat is held for the youth until `held_until`."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.placement-offered.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    placement_id: str
    solution_id: str
    kind: Kind
    track: Track | None = None
    academie: str
    network_id: str
    starts_on: date
    held_until: datetime


class PlacementExpired(YouthEvent):
    """Nobody answered in time; the seat is free again."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.placement-expired.v1"
    TOPIC: ClassVar[str] = "catalogue.events"

    placement_id: str
    solution_id: str
