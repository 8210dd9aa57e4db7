"""The real tables: académies, départements, communes, schools, sectors, with the known defects of the source mended."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from deploy.reference_build.source import Row, SourceError, distance_km
from shared.identifiers import uai_problem
from shared.reference import Academie, AcademieKind, Commune, Departement, School

WITHOUT_LICENCE: Final = frozenset({"S", "M", "H"})
"""Values of the schools' `source` that stand for lists without a licence of their own, or of unstated origin."""

IMPOSSIBLE_KM: Final = 100.0
"""A school further than this from its commune's centre has a wrong position (Guyane's communes reach 80 km)."""

WHOLE_CITY_CODES: Final = frozenset({"13055", "69123", "75056"})
"""Marseille, Lyon and Paris, which are in the list once whole and once by arrondissement."""

SECTORS: Final = {
    "10": "Formations générales",
    "11": "Mathématiques et sciences",
    "12": "Sciences humaines et droit",
    "13": "Lettres et arts",
    "20": "Spécialités pluritechnologiques de production",
    "21": "Agriculture, pêche, forêt et espaces verts",
    "22": "Transformations",
    "23": "Génie civil, construction et bois",
    "24": "Matériaux souples",
    "25": "Mécanique, électricité, électronique",
    "30": "Spécialités plurivalentes des services",
    "31": "Échanges et gestion",
    "32": "Communication et information",
    "33": "Services aux personnes",
    "34": "Services à la collectivité",
    "41": "Domaines des capacités individuelles",
    "42": "Domaines des activités quotidiennes et de loisirs",
}
"""Domains of the nomenclature of training specialities (NSF, decree 94-522 of 21 June 1994)."""

_KINDS: Final[Mapping[str, AcademieKind]] = {
    "académie": "academie",
    "vice-rectorat": "vice_rectorat",
    "service de l'éducation nationale": "vice_rectorat",
}
# The numbers that a UAI begins with follow the département, but for these.
_UAI_PREFIXES: Final = {"620": "2A", "720": "2B", "983": "988", "984": "987"}


def academies(rows: Iterable[Row]) -> list[Academie]:
    """By code, then by first day."""
    found = [
        Academie(
            code=row["code"],
            name=row["nom"],
            kind=_KINDS[row["type"]],
            valid_from=date.fromisoformat(row["valide_du"]) if row["valide_du"] else None,
            valid_to=date.fromisoformat(row["valide_au"]) if row["valide_au"] else None,
            successor=row["remplace_par"] or None,
            departements=tuple(row["departements"].split()),
        )
        for row in rows
    ]
    return sorted(found, key=lambda academie: (academie.code, academie.valid_from or date.min))


def departements(rows: Iterable[Row]) -> dict[str, Departement]:
    """By code."""
    return {row["code"]: Departement(row["code"], row["nom"]) for row in rows}


def communes(rows: Iterable[Row], known: Mapping[str, Departement]) -> dict[str, Commune]:
    """Those of a known département: the source has a few uninhabited lands (984, 989) which belong to none."""
    return {
        row["code"]: Commune(
            code=row["code"],
            name=row["nom"],
            departement=row["departement"],
            postal_code=row["codes_postaux"].split(" ")[0],
            population=int(row["population"] or 0),
            lat=float(row["lat"]) if row["lat"] else None,
            lon=float(row["lon"]) if row["lon"] else None,
        )
        for row in rows
        if row["departement"] in known
    }


def schools(rows: Iterable[Row], known_communes: Mapping[str, Commune]) -> dict[str, School]:
    """By UAI. The source's `academie` (today's) is not taken over: it follows from the département and the day."""
    found = (_school(row, known_communes.get(row["code_commune"])) for row in rows)
    return {school.uai: school for school in sorted(found, key=lambda school: school.uai)}


def _school(row: Row, commune: Commune | None) -> School:
    uai = row["uai"]
    if uai_problem(uai):
        raise SourceError(f"etablissements.csv: {uai} is no UAI")
    lat = float(row["lat"]) if row["lat"] else None
    lon = float(row["lon"]) if row["lon"] else None
    if commune is not None and _impossible(commune, lat, lon):
        lat, lon = commune.lat, commune.lon
    return School(
        uai=uai,
        name=" ".join(row["nom"].split()),
        type=row["type"],
        commune=commune.code if commune else None,
        departement=commune.departement if commune else _departement_of_uai(uai),
        lat=lat,
        lon=lon,
        open_licence=row["source"] not in WITHOUT_LICENCE,
    )


def _impossible(commune: Commune, lat: float | None, lon: float | None) -> bool:
    if lat is None or lon is None:
        return True
    if commune.lat is None or commune.lon is None:
        return False
    return distance_km(lat, lon, commune.lat, commune.lon) > IMPOSSIBLE_KM


def _departement_of_uai(uai: str) -> str:
    prefix = uai[:3]
    return _UAI_PREFIXES.get(prefix) or (prefix.removeprefix("0"))
