"""What the catalogue answers: the domain's things as JSON."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel

from services.catalogue.domain import Conflict, Network, Placement, Platform, Session, Solution, State
from shared.events.base import Kind, Track


class View(BaseModel):
    """An answer; more fields may come along."""

    def answer(self) -> dict[str, Any]:
        """As plain JSON values."""
        return self.model_dump(mode="json")


class HeadView(View):
    """Who answers for a network."""

    name: str
    email: str


class NetworkView(View):
    """A network."""

    network_id: str
    name: str
    academie: str
    platform_ids: list[str]
    head: HeadView | None
    version: int

    @classmethod
    def of(cls, network: Network) -> "NetworkView":
        return cls(
            network_id=network.network_id,
            name=network.name,
            academie=network.academie,
            platform_ids=list(network.platform_ids),
            head=HeadView(name=network.head.name, email=network.head.email) if network.head else None,
            version=network.version,
        )


class PlatformView(View):
    """A platform."""

    platform_id: str
    name: str
    departement: str
    academie: str
    communes: list[str]
    default_network_id: str
    registered_at: datetime
    version: int

    @classmethod
    def of(cls, platform: Platform) -> "PlatformView":
        return cls(
            platform_id=platform.platform_id,
            name=platform.name,
            departement=platform.departement,
            academie=platform.academie,
            communes=list(platform.communes),
            default_network_id=platform.default_network_id,
            registered_at=platform.registered_at,
            version=platform.version,
        )


class SessionView(View):
    """Of its places, those held by open offers, those occupied by contracts, and those free."""

    session_id: str
    starts_on: date
    ends_on: date | None
    places: int
    held: int
    occupied: int
    free: int

    @classmethod
    def of(cls, session: Session) -> "SessionView":
        return cls(
            session_id=session.session_id,
            starts_on=session.starts_on,
            ends_on=session.ends_on,
            places=session.places,
            held=session.held,
            occupied=session.occupied,
            free=session.free,
        )


class SolutionView(View):
    """`academie` is that of the solution's network."""

    solution_id: str
    title: str
    kind: Kind
    track: Track | None
    network_id: str
    academie: str
    uai: str | None
    commune: str
    sector: str | None
    lon: float | None
    lat: float | None
    state: Literal["published", "withdrawn"]
    sessions: list[SessionView]
    version: int

    @classmethod
    def of(cls, solution: Solution, network: Network) -> "SolutionView":
        return cls(
            solution_id=solution.solution_id,
            title=solution.title,
            kind=solution.kind,
            track=solution.track,
            network_id=solution.network_id,
            academie=network.academie,
            uai=solution.uai,
            commune=solution.commune,
            sector=solution.sector,
            lon=solution.lon,
            lat=solution.lat,
            state="withdrawn" if solution.withdrawn else "published",
            sessions=[SessionView.of(session) for session in solution.sessions],
            version=solution.version,
        )


class PlacementView(View):
    """`conflict` names what a person has to look at: a youth who accepted or signed when no seat was left."""

    placement_id: str
    youth_id: str
    solution_id: str
    session_id: str
    state: State
    on: date
    held_until: datetime
    conflict: Conflict | None

    @classmethod
    def of(cls, placement: Placement) -> "PlacementView":
        return cls(
            placement_id=placement.placement_id,
            youth_id=placement.youth_id,
            solution_id=placement.solution_id,
            session_id=placement.session_id,
            state=placement.state,
            on=placement.on,
            held_until=placement.held_until,
            conflict=placement.conflict,
        )


class NetworkPage(View):
    """`next` is the `cursor` of the following page, null on the last."""

    items: list[NetworkView]
    next: str | None


class PlatformPage(View):
    """`next` is the `cursor` of the following page, null on the last."""

    items: list[PlatformView]
    next: str | None


class SolutionPage(View):
    """`next` is the `cursor` of the following page, null on the last."""

    items: list[SolutionView]
    next: str | None
