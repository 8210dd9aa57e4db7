"""A plausible offer of places from February 2013 to September 2014.

The schools, training centres, missions locales and innovative structures are real; that they offered these places to
young people who come back is not known. Sum and mix are of the order of the year's published results.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

from deploy.reference_build.calendar import sessions
from deploy.reference_build.official import WHOLE_CITY_CODES
from deploy.reference_build.source import Row, SourceError
from shared.events.base import Kind, Track
from shared.reference import (
    Commune,
    ReferenceNetwork,
    ReferencePlatform,
    ReferenceSession,
    ReferenceSolution,
    School,
)

TOTAL_PLACES: Final = 40_000
"""Of the order of the 34,000 taken in charge in 2013, with room for those who break off."""

_PLACES: Final[Mapping[Kind, int]] = {
    "school": 8,
    "apprenticeship": 9,
    "trainee": 12,
    "civic_service": 8,
    "social_clause": 5,
    "mission_locale": 14,
    "innovative_structure": 18,
}
"""Places of a session before scaling."""

_ORDERS: Final[tuple[tuple[str, ...], ...]] = (
    ("professional", "apprenticeship", "civic_service", "general", "trainee", "social_clause"),
    ("professional", "general", "civic_service", "trainee", "mission_locale", "apprenticeship"),
    ("professional", "apprenticeship", "general", "civic_service", "mission_locale", "social_clause"),
)
"""What a network offers first; its neighbours in the académie differ."""

_SECTORS_BY_WORD: Final = (
    (r"BTP|B\.T\.P|BATIMENT|BÂTIMENT|COMPAGNON", "23"),
    (r"AGRI|HORTI|RURAL|MFR|FORET|PAYSAG", "21"),
    (r"HOTEL|HÔTEL|RESTAUR|BOULANG|PATISS|METIERS DE BOUCHE", "22"),
    (r"COIFF|ESTHET|SPORT|SANITAIRE|SOCIAL", "33"),
    (r"INDUSTR|AFPI|CFAI|AUTO|METALL|MECA", "25"),
    (r"COMMERC|GESTION|C\.?C\.?I|BANQUE|VENTE", "31"),
    (r"TEXTILE|MODE|COUTURE", "24"),
)
_COMMON_SECTORS: Final = ("25", "31", "33", "23", "31", "22", "34", "25", "32", "24", "33", "20")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an offer is: a school or a town."""

    title: str
    commune: str
    uai: str | None = None
    lat: float | None = None
    lon: float | None = None
    sector: str | None = None
    track: Track | None = None


def sector_of(school: School) -> str:
    """A field that the school's name tells, or a common one that its UAI picks."""
    if school.type in ("MFR", "LEGTPA"):
        return "21"
    name = school.name.upper()
    for words, sector in _SECTORS_BY_WORD:
        if re.search(words, name):
            return sector
    return _COMMON_SECTORS[crc32(school.uai.encode()) % len(_COMMON_SECTORS)]


class Pool:
    """The schools and missions locales of the platforms' communes; each is taken once for a purpose."""

    def __init__(
        self,
        schools: Iterable[School],
        bodies: Iterable[Row],
        platform_of: Mapping[str, str],
        communes: Mapping[str, Commune],
    ) -> None:
        self._schools: dict[tuple[str, str], list[School]] = defaultdict(list)
        self._missions: dict[str, list[Row]] = defaultdict(list)
        self._communes = communes
        self._taken: set[tuple[str, str]] = set()
        for school in schools:
            if school.commune is not None and school.commune in platform_of:
                self._schools[platform_of[school.commune], school.type].append(school)
        for body in bodies:
            if body["type"] == "MISSION_LOCALE" and body["code_commune"] in platform_of:
                self._missions[platform_of[body["code_commune"]]].append(body)

    def school(self, network: ReferenceNetwork, purpose: str, *types: str) -> School | None:
        """The next school of the network's platforms not yet taken for the purpose; the first types come first."""
        for type_ in types:
            for platform_id in network.platform_ids:
                for school in self._schools[platform_id, type_]:
                    if (purpose, school.uai) not in self._taken:
                        self._taken.add((purpose, school.uai))
                        return school
        return None

    def mission(self, network: ReferenceNetwork) -> Place | None:
        """The next town with a mission locale."""
        for platform_id in network.platform_ids:
            for body in self._missions[platform_id]:
                town = self._communes[body["code_commune"]]
                if ("mission_locale", town.code) not in self._taken:
                    self._taken.add(("mission_locale", town.code))
                    title = f"Accompagnement renforcé – mission locale de {town.name.removesuffix(' Arrondissement')}"
                    return Place(title, town.code, lat=town.lat, lon=town.lon)
        return None


def _at(school: School, title: str, track: Track | None = None, *, with_sector: bool = True) -> Place:
    return Place(
        title=f"{title} – {school.name}",
        commune=school.commune or "",
        uai=school.uai,
        lat=school.lat,
        lon=school.lon,
        sector=sector_of(school) if with_sector else None,
        track=track,
    )


def _professional(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "professional", "LP", "LPO", "LEGTPA", "CETAD")
    return _at(school, "Retour en voie professionnelle", "professional") if school else None


def _general(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "general", "LEGT", "LPO", "LG", "LT")
    if school is None:
        return None
    technological = school.type == "LT" or (school.type != "LG" and crc32(school.uai.encode()) % 2 == 0)
    track: Track = "technological" if technological else "general"
    word = "technologique" if technological else "générale"
    return _at(school, f"Retour en voie {word}", track, with_sector=technological)


def _apprenticeship(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "apprenticeship", "CFA", "SECTION_APP", "MFR")
    return _at(school, "Apprentissage") if school else None


def _trainee(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "trainee", "LPO", "LP", "LT")
    return _at(school, "Formation régionale, GRETA") if school else None


def _civic_service(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "civic_service", "LEGT", "LP", "LPO", "LG", "COLLEGE")
    return _at(school, "Service civique combiné", with_sector=False) if school else None


def _social_clause(pool: Pool, network: ReferenceNetwork) -> Place | None:
    school = pool.school(network, "social_clause", "LP", "LPO")
    return replace(_at(school, "Clause sociale de formation"), sector="23") if school else None


_SLOTS: Final[Mapping[str, tuple[Kind, Callable[[Pool, ReferenceNetwork], Place | None]]]] = {
    "professional": ("school", _professional),
    "general": ("school", _general),
    "apprenticeship": ("apprenticeship", _apprenticeship),
    "trainee": ("trainee", _trainee),
    "civic_service": ("civic_service", _civic_service),
    "social_clause": ("social_clause", _social_clause),
    "mission_locale": ("mission_locale", Pool.mission),
}


def offer(
    platforms: list[ReferencePlatform],
    networks: list[ReferenceNetwork],
    *,
    schools: Mapping[str, School],
    communes: Mapping[str, Commune],
    structures: Iterable[Row],
    bodies: Iterable[Row],
) -> list[ReferenceSolution]:
    """All solutions, by id: the innovative structures at their platform's default network, then 3 to 6 a network."""
    platform_of = {commune: platform for platform in platforms for commune in platform.communes}
    pool = Pool(schools.values(), bodies, {code: p.platform_id for code, p in platform_of.items()}, communes)
    found: dict[str, list[tuple[Kind, Place]]] = defaultdict(list)
    for structure in sorted(structures, key=lambda row: row["uai"]):
        school = schools.get(structure["uai"])
        if school is None:
            raise SourceError(f"{structure['uai']} of structures-retour-ecole.csv is not in etablissements.csv")
        if school.commune in platform_of:
            place = replace(_at(school, "Structure innovante", with_sector=False), title=school.name)
            general = re.search("micro.?lyc", school.name, re.IGNORECASE)
            network_id = platform_of[school.commune].default_network_id
            found[network_id].append(("innovative_structure", replace(place, track="general" if general else None)))
    population = _populations(platforms, networks, communes)
    rank: dict[str, int] = defaultdict(int)
    for network in networks:
        wanted = 3 + sum(population[network.network_id] > limit for limit in (60_000, 120_000, 200_000))
        order = _ORDERS[rank[network.academie] % len(_ORDERS)]
        rank[network.academie] += 1
        found[network.network_id].extend(_places(pool, network, order, wanted))
    return _scaled(
        solution
        for network in networks
        for solution in _solutions(network, found[network.network_id], population[network.network_id])
    )


def _places(pool: Pool, network: ReferenceNetwork, order: tuple[str, ...], wanted: int) -> list[tuple[Kind, Place]]:
    """The wanted number of offers, or what there is: a slot that the area cannot fill goes to the next kind."""
    places: list[tuple[Kind, Place]] = []
    for slot in (*order, *(slot for slot in _SLOTS if slot not in order), "professional"):
        if len(places) == wanted:
            break
        kind, find = _SLOTS[slot]
        place = find(pool, network)
        if place is not None:
            places.append((kind, place))
    return places


def _populations(
    platforms: list[ReferencePlatform], networks: list[ReferenceNetwork], communes: Mapping[str, Commune]
) -> dict[str, float]:
    """Inhabitants a network answers for; two networks of a platform share its inhabitants."""
    inhabitants = {
        p.platform_id: sum(communes[code].population for code in p.communes if code not in WHOLE_CITY_CODES)
        for p in platforms
    }
    served_by: dict[str, int] = defaultdict(int)
    for network in networks:
        for platform_id in network.platform_ids:
            served_by[platform_id] += 1
    return {n.network_id: sum(inhabitants[p] / served_by[p] for p in n.platform_ids) for n in networks}


def _solutions(
    network: ReferenceNetwork, places: list[tuple[Kind, Place]], population: float
) -> Iterator[ReferenceSolution]:
    size = 1.0 if not population else min(1.6, max(0.5, (population / 180_000) ** 0.5))
    for number, (kind, place) in enumerate(places, start=1):
        solution_id = f"SOL-{network.network_id.removeprefix('FOQ-')}-{number:02}"
        seats = max(2, round(_PLACES[kind] * (1.0 if kind == "innovative_structure" else size)))
        yield ReferenceSolution(
            solution_id=solution_id,
            title=place.title,
            kind=kind,
            track=place.track,
            network_id=network.network_id,
            uai=place.uai,
            commune=place.commune,
            sector=place.sector,
            lon=place.lon,
            lat=place.lat,
            sessions=tuple(
                ReferenceSession(f"{solution_id}-{index}", first, last, seats)
                for index, (first, last) in enumerate(sessions(kind, network.academie, solution_id), start=1)
            ),
        )


def _scaled(solutions: Iterable[ReferenceSolution]) -> list[ReferenceSolution]:
    """The same with places in proportion, at least two a session, so that they sum up to `TOTAL_PLACES`."""
    found = list(solutions)
    total = sum(session.places for solution in found for session in solution.sessions)
    given = passed = 0
    result = []
    for solution in found:
        scaled = []
        for session in solution.sessions:
            passed += session.places
            places = max(2, TOTAL_PLACES * passed // total - given)
            given += places
            scaled.append(replace(session, places=places))
        result.append(replace(solution, sessions=tuple(scaled)))
    return sorted(result, key=lambda solution: solution.solution_id)
