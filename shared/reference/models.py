"""The shapes of the reference data. Codes are strings: they have leading zeros and letters."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from shared.events.base import Kind, Track

AcademieKind = Literal["academie", "vice_rectorat"]


@dataclass(frozen=True, slots=True)
class Academie:
    """An académie as it was between two days (both included; None is open). A reform makes a new record.

    `vice_rectorat` stands for the overseas vice-rectorats and the education service of Saint-Pierre-et-Miquelon.
    """

    code: str
    name: str
    kind: AcademieKind
    valid_from: date | None
    valid_to: date | None
    successor: str | None
    departements: tuple[str, ...]

    def holds_on(self, day: date) -> bool:
        return self.overlaps(day, day)

    def overlaps(self, first: date, last: date) -> bool:
        """Whether the record holds on at least one day from `first` to `last`, both included."""
        return (self.valid_from is None or self.valid_from <= last) and (
            self.valid_to is None or first <= self.valid_to
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """The simplified outline of an académie between two days (both included; None is open).

    `rings` are closed lines of points (lon, lat) in degrees (WGS 84): islands, and holes where there are any.
    Neighbours share the points of their border.
    """

    code: str
    valid_from: date | None
    valid_to: date | None
    rings: tuple[tuple[tuple[float, float], ...], ...]

    def holds_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Departement:
    """A département or overseas collectivity by its COG code (`01`, `2A`, `974`, `988`)."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Sector:
    """A field of training: two-digit domain of the French nomenclature of training specialities (NSF)."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Commune:
    """A commune, or an arrondissement of Paris, Lyon or Marseille, by its COG code.

    `lat`/`lon` in degrees (WGS 84), None for some overseas communes; `population` 0 where unknown; `postal_code` is
    the first of possibly several. A city's population includes that of its arrondissements.
    """

    code: str
    name: str
    departement: str
    postal_code: str
    population: int
    lat: float | None
    lon: float | None


@dataclass(frozen=True, slots=True)
class School:
    """A secondary school or training centre by its UAI.

    `type`: COLLEGE, LP, LPO, LG, LT, LEGT, LEGTPA, SEP and SGT (sections of another school), LYC_EXP, EREA, CFA,
    SECTION_APP, MFR, CETAD, STS_CPGE, ECOLE_PRO_SPEC, ECOLE_SEC_SPEC. `commune` is None where its code is not known.
    Where the source has no or an impossible position, `lat`/`lon` are the commune's centre, or None.
    `open_licence` is False for rows from lists without a licence of their own (see LICENCES.md).
    """

    uai: str
    name: str
    type: str
    commune: str | None
    departement: str
    lat: float | None
    lon: float | None
    open_licence: bool


@dataclass(frozen=True, slots=True)
class ReferencePlatform:
    """A plausible, not official, platform (PSAD) of 2013. Each commune belongs to exactly one platform."""

    platform_id: str
    name: str
    departement: str
    academie: str
    seat: str
    default_network_id: str
    communes: tuple[str, ...]

    def body(self) -> dict[str, object]:
        """What the catalogue's `PUT /v1/platforms/{id}` takes."""
        return {
            "name": self.name,
            "departement": self.departement,
            "academie": self.academie,
            "communes": list(self.communes),
            "default_network_id": self.default_network_id,
        }


@dataclass(frozen=True, slots=True)
class ReferenceNetwork:
    """A plausible, not official, FOQUALE network of 2013, in one académie, serving one or more platforms."""

    network_id: str
    name: str
    academie: str
    platform_ids: tuple[str, ...]

    def body(self) -> dict[str, object]:
        """What the catalogue's `PUT /v1/networks/{id}` takes."""
        return {"name": self.name, "academie": self.academie, "platform_ids": list(self.platform_ids)}


@dataclass(frozen=True, slots=True)
class ReferenceSession:
    """A dated entry into a solution."""

    session_id: str
    starts_on: date
    ends_on: date
    places: int


@dataclass(frozen=True, slots=True)
class ReferenceSolution:
    """An offer of places. The schools and the innovative structures are real, offer and places are plausible only."""

    solution_id: str
    title: str
    kind: Kind
    track: Track | None
    network_id: str
    uai: str | None
    commune: str
    sector: str | None
    lon: float | None
    lat: float | None
    sessions: tuple[ReferenceSession, ...]

    def body(self) -> dict[str, object]:
        """What the catalogue's `PUT /v1/solutions/{id}` takes; fields without a value are left out."""
        optional = {"track": self.track, "uai": self.uai, "sector": self.sector, "lon": self.lon, "lat": self.lat}
        return {
            "title": self.title,
            "kind": self.kind,
            "network_id": self.network_id,
            "commune": self.commune,
            **{name: value for name, value in optional.items() if value is not None},
            "sessions": [
                {
                    "session_id": session.session_id,
                    "starts_on": session.starts_on.isoformat(),
                    "ends_on": session.ends_on.isoformat(),
                    "places": session.places,
                }
                for session in self.sessions
            ],
        }
