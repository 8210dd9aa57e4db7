"""Real reference data about France, dated, and the plausible organisation of 2013 that ships with it.

`load()` is cheap: each table is read at its first use. Hold one `Reference` per process. The tables are made by
`deploy/reference_build.py`; where they come from is in `data/*/ORIGIN.md` and `LICENCES.md`.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from shared.events.base import Kind, Track
from shared.reference.models import (
    Academie,
    AcademieKind,
    Commune,
    Departement,
    Outline,
    ReferenceNetwork,
    ReferencePlatform,
    ReferenceSession,
    ReferenceSolution,
    School,
    Sector,
)
from shared.reference.tables import read_by_code, read_rows

OFFICIAL: Final = "official"
OTHER_SCHOOLS: Final = "other_schools"
PLAUSIBLE: Final = "plausible"


def load(folder: Path | None = None) -> "Reference":
    """The packaged reference data, or that of another folder of the same layout. Reads nothing yet."""
    return Reference(folder or Path(__file__).with_name("data"))


class Reference:
    """Look-ups by official code, and by day where a code's meaning changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def academie_of(self, departement: str, on: date) -> str | None:
        """The code of the académie that a département belongs to on a day; None for an unknown département."""
        for academie in self._academies_by_departement.get(departement, ()):
            if academie.holds_on(on):
                return academie.code
        return None

    def academie(self, code: str, on: date) -> Academie | None:
        """The académie of that code as it was on a day; None when there was none."""
        return next((a for a in self._academies if a.code == code and a.holds_on(on)), None)

    def academies(self, on: date, kind: AcademieKind | None = None) -> tuple[Academie, ...]:
        """The académies of a day by code, or only those of one kind (30 are `academie` until the end of 2019)."""
        return self.academies_between(on, on, kind)

    def academies_between(self, first: date, last: date, kind: AcademieKind | None = None) -> tuple[Academie, ...]:
        """The académies that existed on at least one day of the period (both ends included), one record a code.

        Where a code's record changed within the period, the later one.
        """
        found = {a.code: a for a in self._academies if a.overlaps(first, last)}
        return tuple(a for _, a in sorted(found.items()) if kind is None or a.kind == kind)

    def outlines(self, on: date) -> dict[str, Outline]:
        """The outlines of the académies of a day by code; of the vice-rectorats only Mayotte has one."""
        return {outline.code: outline for outline in self._outlines if outline.holds_on(on)}

    def departements(self) -> Mapping[str, Departement]:
        """All départements and overseas collectivities by code."""
        return MappingProxyType(self._departements)

    def knows_departement(self, code: str) -> bool:
        return code in self._departements

    def sectors(self) -> Mapping[str, Sector]:
        """The fields of training by code: what a solution is about and a youth may wish for."""
        return MappingProxyType(self._sectors)

    def commune(self, code: str) -> Commune | None:
        """A commune of today's list; None for one that is not in it, as after a merger of communes."""
        line = self._communes.get(code)
        return None if line is None else _commune(line)

    def knows_commune(self, code: str) -> bool:
        return code in self._communes

    def communes(self) -> Iterator[Commune]:
        """All communes and arrondissements of the list, by code."""
        return map(_commune, self._communes.values())

    def school(self, uai: str) -> School | None:
        """A school by its (normalised) UAI; None when it is not in the list, which is not complete."""
        line = self._schools.get(uai)
        return None if line is None else _school(line)

    def knows_school(self, uai: str) -> bool:
        return uai in self._schools

    def schools(self) -> Iterator[School]:
        """All schools of the list."""
        return map(_school, self._schools.values())

    def platforms(self) -> tuple[ReferencePlatform, ...]:
        """The plausible platforms of 2013, by id; the first of a département has the largest seat."""
        return self._platforms

    def networks(self) -> tuple[ReferenceNetwork, ...]:
        """The plausible networks of 2013, by id."""
        return self._networks

    def solutions(self) -> tuple[ReferenceSolution, ...]:
        """The plausible offer of places from February 2013 to September 2014, by id."""
        return self._solutions

    @cached_property
    def _academies(self) -> tuple[Academie, ...]:
        return tuple(
            Academie(
                code=code,
                name=name,
                kind=cast(AcademieKind, kind),
                valid_from=date.fromisoformat(valid_from) if valid_from else None,
                valid_to=date.fromisoformat(valid_to) if valid_to else None,
                successor=successor or None,
                departements=tuple(departements.split()),
            )
            for code, name, kind, valid_from, valid_to, successor, departements in read_rows(
                self._folder / OFFICIAL / "academies.tsv"
            )
        )

    @cached_property
    def _academies_by_departement(self) -> dict[str, list[Academie]]:
        by_departement: dict[str, list[Academie]] = {}
        for academie in self._academies:
            for departement in academie.departements:
                by_departement.setdefault(departement, []).append(academie)
        return by_departement

    @cached_property
    def _outlines(self) -> tuple[Outline, ...]:
        return tuple(map(_outline, read_rows(self._folder / OFFICIAL / "outlines.tsv.gz")))

    @cached_property
    def _departements(self) -> dict[str, Departement]:
        rows = read_rows(self._folder / OFFICIAL / "departements.tsv")
        return {code: Departement(code, name) for code, name in rows}

    @cached_property
    def _sectors(self) -> dict[str, Sector]:
        return {code: Sector(code, name) for code, name in read_rows(self._folder / OFFICIAL / "sectors.tsv")}

    @cached_property
    def _communes(self) -> dict[str, str]:
        return read_by_code(self._folder / OFFICIAL / "communes.tsv.gz")

    @cached_property
    def _schools(self) -> dict[str, str]:
        """The lists without a licence of their own are a file apart, which may be left out."""
        schools = read_by_code(self._folder / OFFICIAL / "schools.tsv.gz")
        other = self._folder / OTHER_SCHOOLS / "schools.tsv.gz"
        return schools | read_by_code(other) if other.exists() else schools

    @cached_property
    def _platforms(self) -> tuple[ReferencePlatform, ...]:
        return tuple(
            ReferencePlatform(platform_id, name, departement, academie, seat, network_id, tuple(communes.split(" ")))
            for platform_id, name, departement, academie, seat, network_id, communes in read_rows(
                self._folder / PLAUSIBLE / "platforms.tsv.gz"
            )
        )

    @cached_property
    def _networks(self) -> tuple[ReferenceNetwork, ...]:
        return tuple(
            ReferenceNetwork(network_id, name, academie, tuple(platform_ids.split(" ")))
            for network_id, name, academie, platform_ids in read_rows(self._folder / PLAUSIBLE / "networks.tsv")
        )

    @cached_property
    def _solutions(self) -> tuple[ReferenceSolution, ...]:
        return tuple(map(_solution, read_rows(self._folder / PLAUSIBLE / "solutions.tsv.gz")))


def _number(text: str) -> float | None:
    return float(text) if text else None


def _outline(cells: list[str]) -> Outline:
    """An outline whose rings are written `lon,lat lon,lat ...;...`."""
    code, valid_from, valid_to, rings = cells
    return Outline(
        code,
        date.fromisoformat(valid_from) if valid_from else None,
        date.fromisoformat(valid_to) if valid_to else None,
        tuple(tuple(map(_point, ring.split(" "))) for ring in rings.split(";")),
    )


def _point(text: str) -> tuple[float, float]:
    lon, _, lat = text.partition(",")
    return float(lon), float(lat)


def _commune(line: str) -> Commune:
    code, name, departement, postal_code, population, lat, lon = line.split("\t")
    return Commune(code, name, departement, postal_code, int(population), _number(lat), _number(lon))


def _school(line: str) -> School:
    uai, name, kind, commune, departement, lat, lon, open_licence = line.split("\t")
    return School(uai, name, kind, commune or None, departement, _number(lat), _number(lon), open_licence == "1")


def _solution(cells: list[str]) -> ReferenceSolution:
    solution_id, title, kind, track, network_id, uai, commune, sector, lon, lat, sessions = cells
    return ReferenceSolution(
        solution_id=solution_id,
        title=title,
        kind=cast(Kind, kind),
        track=cast(Track, track) if track else None,
        network_id=network_id,
        uai=uai or None,
        commune=commune,
        sector=sector or None,
        lon=_number(lon),
        lat=_number(lat),
        sessions=tuple(
            _session(f"{solution_id}-{number}", text) for number, text in enumerate(sessions.split(" "), start=1)
        ),
    )


def _session(session_id: str, text: str) -> ReferenceSession:
    """A session written `starts_on/ends_on/places`."""
    starts_on, ends_on, places = text.split("/")
    return ReferenceSession(session_id, date.fromisoformat(starts_on), date.fromisoformat(ends_on), int(places))
