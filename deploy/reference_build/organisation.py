"""A plausible set of platforms and networks for 2013. There is no public list of either: none of this is official.

What is known is kept to: how many platforms there were in France and in some académies, how many networks in two,
where the offices of guidance centres (CIO) and missions locales are, and that platforms and networks are
many-to-many. Everything else follows from population and distance, and the same source gives the same set.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from deploy.reference_build.official import WHOLE_CITY_CODES
from deploy.reference_build.source import Row, SourceError, distance_km
from shared.reference import Academie, Commune, ReferenceNetwork, ReferencePlatform

YEAR: Final = date(2013, 3, 29)
"""The day of circular 2013-035: the organisation is that of the académies of this day."""

_SEAT_BODIES = frozenset({"CIO", "MISSION_LOCALE"})


@dataclass(frozen=True, slots=True)
class Area:
    """A platform in the making: its seat and its communes."""

    seat: Commune
    communes: tuple[Commune, ...]

    @property
    def population(self) -> int:
        return sum(commune.population for commune in self.communes if commune.code not in WHOLE_CITY_CODES)


def published_counts(rows: Iterable[Row]) -> tuple[int, dict[str, int], dict[str, int]]:
    """The published numbers of platforms in France in 2013, of platforms by académie, of networks by académie."""
    platforms: dict[str, int] = {}
    networks: dict[str, int] = {}
    national = 0
    for row in rows:
        if row["perimetre"] == "national" and row["indicateur"] == "plateformes PSAD" and row["periode"] == "2013":
            national = int(row["valeur"])
        if row["perimetre"] == "académie" and row["indicateur"] == "plateformes PSAD":
            platforms[row["code"]] = int(row["valeur"])
        if row["perimetre"] == "académie" and row["indicateur"] == "réseaux FOQUALE":
            networks[row["code"]] = int(row["valeur"])
    if not national:
        raise SourceError("chiffres-publies.csv: no national number of platforms for 2013")
    return national, platforms, networks


def platforms_per_departement(
    academies: Iterable[Academie],
    communes: Mapping[str, list[Commune]],
    national: int,
    published: Mapping[str, int],
) -> dict[str, int]:
    """How many platforms each département has: at least one, the rest by population, académies with a published
    number exactly that many. At most one for every commune with a known centre, for distance decides who goes where.
    """
    counts: dict[str, int] = {}
    free: list[str] = []
    for academie in academies:
        if academie.code in published:
            counts |= _share(published[academie.code], academie.departements, communes)
        else:
            free.extend(academie.departements)
    return counts | _share(national - sum(counts.values()), free, communes)


def _share(total: int, departements: Iterable[str], communes: Mapping[str, list[Commune]]) -> dict[str, int]:
    """Highest averages (Sainte-Laguë) over the population, beginning with one each."""
    population = {code: Area(communes[code][0], tuple(communes[code])).population for code in departements}
    limit = {code: max(1, sum(commune.lat is not None for commune in communes[code])) for code in population}
    counts = dict.fromkeys(population, 1)
    for _ in range(total - len(counts)):
        code = max(
            (code for code in counts if counts[code] < limit[code]),
            key=lambda code: (population[code] / (counts[code] + 0.5), code),
        )
        counts[code] += 1
    return counts


def seats(communes: list[Commune], bodies: Iterable[Row], wanted: int) -> list[Commune]:
    """Where a département's platforms sit: communes with a guidance centre or a mission locale, then the largest.

    The most populous one first, then each that brings the inhabitants nearest to a seat; at last by population.
    """
    points = [c for c in communes if c.lat is not None and c.code not in WHOLE_CITY_CODES]
    if not points:
        return [max(communes, key=lambda commune: (commune.population, commune.code))]
    by_code = {commune.code: commune for commune in points}
    offices = {row["code_commune"] for row in bodies if row["type"] in _SEAT_BODIES}
    candidates = [by_code[code] for code in sorted(offices & by_code.keys())]
    if len(candidates) < wanted:
        largest = sorted(points, key=lambda commune: (-commune.population, commune.code))
        candidates += [commune for commune in largest if commune not in candidates][: wanted - len(candidates)]
    chosen = [max(candidates, key=lambda commune: (commune.population, commune.code))]
    nearest = [_km(point, chosen[0]) for point in points]
    while len(chosen) < wanted:
        rest = [commune for commune in candidates if commune not in chosen]
        gains = [
            sum(p.population * max(0.0, km - _km(p, seat)) for p, km in zip(points, nearest, strict=True))
            for seat in rest
        ]
        best = rest[max(range(len(rest)), key=lambda i: (gains[i], rest[i].code))]
        chosen.append(best)
        nearest = [min(km, _km(point, best)) for point, km in zip(points, nearest, strict=True)]
    return sorted(chosen, key=lambda commune: (-commune.population, commune.code))


def areas(communes: list[Commune], seats: list[Commune]) -> list[Area]:
    """Every commune with the nearest seat; one without a known centre with the first."""
    members: dict[str, list[Commune]] = defaultdict(list)
    for commune in communes:
        seat = seats[0] if commune.lat is None else min(seats, key=lambda seat: _km(commune, seat))
        members[seat.code].append(commune)
    return [Area(seat, tuple(members[seat.code])) for seat in seats]


def _km(one: Commune, other: Commune) -> float:
    if one.lat is None or one.lon is None or other.lat is None or other.lon is None:
        return float("inf")
    return distance_km(one.lat, one.lon, other.lat, other.lon)


def organise(
    academies: list[Academie], communes: Iterable[Commune], bodies: list[Row], figures: list[Row]
) -> tuple[list[ReferencePlatform], list[ReferenceNetwork]]:
    """The platforms and the networks of all académies."""
    by_departement: dict[str, list[Commune]] = defaultdict(list)
    for commune in communes:
        by_departement[commune.departement].append(commune)
    national, published_platforms, published_networks = published_counts(figures)
    counts = platforms_per_departement(academies, by_departement, national, published_platforms)
    platforms: list[ReferencePlatform] = []
    networks: list[ReferenceNetwork] = []
    for academie in academies:
        own: dict[str, Area] = {}
        for departement in academie.departements:
            members = by_departement[departement]
            found = areas(members, seats(members, bodies, counts[departement]))
            own |= {f"PSAD-{departement}-{number:02}": area for number, area in enumerate(found, start=1)}
        plan = NetworkPlan(own, published_networks.get(academie.code))
        networks.extend(plan.networks(academie.code))
        platforms.extend(
            ReferencePlatform(
                platform_id=platform_id,
                name=f"Plateforme de suivi et d'appui aux décrocheurs – {place_name(area.seat)}",
                departement=area.seat.departement,
                academie=academie.code,
                seat=area.seat.code,
                default_network_id=plan.default_network_of(platform_id),
                communes=tuple(commune.code for commune in area.communes),
            )
            for platform_id, area in own.items()
        )
    return sorted(platforms, key=lambda p: p.platform_id), sorted(networks, key=lambda n: n.network_id)


def place_name(commune: Commune) -> str:
    """`Paris 10e` for an arrondissement."""
    return commune.name.removesuffix(" Arrondissement")


class NetworkPlan:
    """The networks of one académie, from its platforms.

    Each platform begins with a network of its own. The least populous share one with a neighbour, and the most
    populous get a second one, every other of which also serves a neighbour: so that the académie has the published
    number of networks, or as many as platforms where none is published.
    """

    def __init__(self, platforms: Mapping[str, Area], published: int | None) -> None:
        self._platforms = platforms
        self._joined: dict[str, str] = {}
        by_size = sorted(platforms, key=lambda platform_id: (platforms[platform_id].population, platform_id))
        wanted = published or len(platforms)
        per_departement: dict[str, int] = defaultdict(int)
        for area in platforms.values():
            per_departement[area.seat.departement] += 1
        joins = max(int(len(platforms) >= 3), sum(count >= 4 for count in per_departement.values()))
        joins = max(joins, len(platforms) - wanted)
        for platform_id in by_size[:joins]:
            self._joined[platform_id] = self._neighbour(platform_id, exclude=set(by_size[:joins]))
        self._doubled = by_size[::-1][: wanted - (len(platforms) - joins)]

    def _neighbour(self, platform_id: str, exclude: set[str]) -> str:
        """The nearest platform, one of the same département before any other."""
        area = self._platforms[platform_id]
        return min(
            (other for other in self._platforms if other not in exclude and other != platform_id),
            key=lambda other: (
                self._platforms[other].seat.departement != area.seat.departement,
                _km(area.seat, self._platforms[other].seat),
                other,
            ),
        )

    def default_network_of(self, platform_id: str) -> str:
        return "FOQ" + self._joined.get(platform_id, platform_id).removeprefix("PSAD")

    def networks(self, academie: str) -> list[ReferenceNetwork]:
        """First networks have their platform's number, second ones are numbered after the département's last."""
        found = [
            ReferenceNetwork(
                network_id=self.default_network_of(platform_id),
                name=f"Réseau FOQUALE – {place_name(area.seat)}",
                academie=academie,
                platform_ids=(platform_id, *(guest for guest, host in self._joined.items() if host == platform_id)),
            )
            for platform_id, area in self._platforms.items()
            if platform_id not in self._joined
        ]
        last: dict[str, int] = defaultdict(int)
        for platform_id in self._platforms:
            _, departement, number = platform_id.split("-")
            last[departement] = max(last[departement], int(number))
        for index, platform_id in enumerate(sorted(self._doubled)):
            area = self._platforms[platform_id]
            last[area.seat.departement] += 1
            guests = () if index % 2 else (self._neighbour(platform_id, exclude=set()),)
            found.append(
                ReferenceNetwork(
                    network_id=f"FOQ-{area.seat.departement}-{last[area.seat.departement]:02}",
                    name=f"Réseau FOQUALE – {place_name(_second_place(area))}",
                    academie=academie,
                    platform_ids=(platform_id, *guests),
                )
            )
        return found


def _second_place(area: Area) -> Commune:
    others = [c for c in area.communes if c != area.seat and c.code not in WHOLE_CITY_CODES]
    return max(others or [area.seat], key=lambda commune: (commune.population, commune.code))
