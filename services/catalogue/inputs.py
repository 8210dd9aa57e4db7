"""Request bodies and query strings of the catalogue. What they mean together is judged in `checks`."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.catalogue import domain
from shared.events.base import Kind, Track
from shared.http import Cursor, Day, Input, Limit
from shared.identifiers import normalise_commune, normalise_uai

Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]*$", max_length=100),
    Field(description="Letters, digits and . _ : ~ - ; the first a letter or digit.", examples=["FOQ-59-02"]),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Known = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Uai = Annotated[str, StringConstraints(max_length=20), AfterValidator(normalise_uai), Field(examples=["0590011S"])]
Commune = Annotated[
    str,
    StringConstraints(max_length=20),
    AfterValidator(normalise_commune),
    Field(description="INSEE (COG) code, no postcode.", examples=["59350", "2A004"]),
]
Code = Annotated[str, StringConstraints(min_length=1, max_length=10)]


class Head(Input):
    """Who answers for a network. Kept here, never published."""

    name: Text
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class NetworkInput(Input):
    """A network, whole. Platforms may be named before they are registered."""

    name: Text
    academie: Code
    platform_ids: Annotated[list[Identifier], Field(max_length=500)]
    head: Head | None = None

    def network(self, network_id: str) -> domain.Network:
        head = domain.Head(self.head.name, self.head.email) if self.head else None
        return domain.Network(network_id, self.name, self.academie, tuple(self.platform_ids), head)


class PlatformInput(Input):
    """A platform, whole. No communes: its whole département. Its network may be named before it is registered."""

    name: Text
    departement: Code
    academie: Code
    communes: Annotated[tuple[Commune, ...], Field(max_length=5_000)] = ()
    default_network_id: Identifier

    def platform(self, platform_id: str, registered_at: datetime) -> domain.Platform:
        return domain.Platform(
            platform_id=platform_id,
            name=self.name,
            departement=self.departement,
            academie=self.academie,
            communes=self.communes,
            default_network_id=self.default_network_id,
            registered_at=registered_at,
        )


class SessionInput(Input):
    """A dated entry into a solution."""

    session_id: Identifier
    starts_on: Day
    ends_on: Day | None = None
    places: Annotated[int, Field(strict=True, ge=0, le=100_000)]


class SolutionInput(Input):
    """A solution, whole."""

    title: Text
    kind: Kind
    track: Track | None = None
    network_id: Known
    uai: Uai | None = None
    commune: Commune
    sector: ShortText | None = None
    lon: Annotated[float, Field(strict=True, ge=-180, le=180, allow_inf_nan=False)] | None = None
    lat: Annotated[float, Field(strict=True, ge=-90, le=90, allow_inf_nan=False)] | None = None
    sessions: Annotated[list[SessionInput], Field(max_length=1_000)]

    def solution(self, solution_id: str) -> domain.Solution:
        return domain.Solution(
            solution_id=solution_id,
            title=self.title,
            kind=self.kind,
            track=self.track,
            network_id=self.network_id,
            uai=self.uai,
            commune=self.commune,
            sector=self.sector,
            lon=self.lon,
            lat=self.lat,
            sessions=domain.in_order(self.as_sent()),
        )

    def as_sent(self) -> list[domain.Session]:
        """The sessions in the order of the body, for faults to name their places."""
        return [domain.Session(s.session_id, s.starts_on, s.ends_on, s.places) for s in self.sessions]


class OfferInput(Input):
    """An offer of a place to a youth; `on` is the day it is made, today when missing."""

    youth_id: Known
    solution_id: Known
    session_id: Known
    on: Day | None = None


class _Filter(BaseModel):
    """An unknown filter is refused: ignored, it would give wrong lists."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 100
    cursor: Cursor = None


class NetworkFilter(_Filter):
    """Which networks."""

    academie: Code | None = None
    platform_id: Known | None = None


class PlatformFilter(_Filter):
    """Which platforms."""

    academie: Code | None = None
    departement: Code | None = None
    network_id: Annotated[Known | None, Field(description="Their default network.")] = None


class SolutionFilter(_Filter):
    """Which of the solutions on offer."""

    kind: Kind | None = None
    track: Track | None = None
    academie: Code | None = None
    network_id: Known | None = None
    free: Annotated[
        bool | None, Field(description="true: with a free place in at least one session; false: without.")
    ] = None
