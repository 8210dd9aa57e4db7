"""From the source folder to the packaged tables."""

from collections.abc import Iterable
from pathlib import Path

from deploy.reference_build import official, outlines
from deploy.reference_build.offer import offer
from deploy.reference_build.organisation import YEAR, organise
from deploy.reference_build.source import read
from deploy.reference_build.writing import write_table
from shared.reference import Academie, Commune, ReferenceNetwork, ReferencePlatform, ReferenceSolution, School
from shared.reference.reference import OFFICIAL, OTHER_SCHOOLS, PLAUSIBLE


def build(source: Path, out: Path, *, open_licence_only: bool = False) -> dict[Path, int]:
    """Writes all tables under `out` and tells the rows of each.

    Raises:
        SourceError: a source file is missing or is not as expected.
    """
    academies = official.academies(read(source, "academies.csv"))
    departements = official.departements(read(source, "departements.csv"))
    communes = official.communes(read(source, "communes.csv"), departements)
    schools = official.schools(read(source, "etablissements.csv"), communes)
    if open_licence_only:
        schools = {uai: school for uai, school in schools.items() if school.open_licence}
    bodies = read(source, "organismes.csv")
    of_the_year = [academie for academie in academies if academie.holds_on(YEAR)]
    platforms, networks = organise(of_the_year, communes.values(), bodies, read(source, "chiffres-publies.csv"))
    solutions = offer(
        platforms,
        networks,
        schools=schools,
        communes=communes,
        structures=read(source, "structures-retour-ecole.csv"),
        bodies=bodies,
    )

    written = {
        out / OFFICIAL / "academies.tsv": _write_academies(out / OFFICIAL / "academies.tsv", academies),
        out / OFFICIAL / "departements.tsv": write_table(
            out / OFFICIAL / "departements.tsv", ("code", "name"), ((d.code, d.name) for d in departements.values())
        ),
        out / OFFICIAL / "sectors.tsv": write_table(
            out / OFFICIAL / "sectors.tsv", ("code", "name"), official.SECTORS.items()
        ),
        out / OFFICIAL / "outlines.tsv.gz": write_table(
            out / OFFICIAL / "outlines.tsv.gz",
            ("code", "valid_from", "valid_to", "rings"),
            map(outlines.written, outlines.outlines(source)),
        ),
        out / OFFICIAL / "communes.tsv.gz": _write_communes(out / OFFICIAL / "communes.tsv.gz", communes.values()),
        out / OFFICIAL / "schools.tsv.gz": _write_schools(
            out / OFFICIAL / "schools.tsv.gz", (school for school in schools.values() if school.open_licence)
        ),
    }
    other = out / OTHER_SCHOOLS / "schools.tsv.gz"
    if open_licence_only:
        other.unlink(missing_ok=True)
    else:
        written[other] = _write_schools(other, (s for s in schools.values() if not s.open_licence))
    return written | _write_plausible(out / PLAUSIBLE, platforms, networks, solutions)


def _write_academies(path: Path, academies: Iterable[Academie]) -> int:
    header = ("code", "name", "kind", "valid_from", "valid_to", "successor", "departements")
    rows = ((a.code, a.name, a.kind, a.valid_from, a.valid_to, a.successor, a.departements) for a in academies)
    return write_table(path, header, rows)


def _write_communes(path: Path, communes: Iterable[Commune]) -> int:
    header = ("code", "name", "departement", "postal_code", "population", "lat", "lon")
    rows = ((c.code, c.name, c.departement, c.postal_code, c.population, c.lat, c.lon) for c in communes)
    return write_table(path, header, rows)


def _write_schools(path: Path, schools: Iterable[School]) -> int:
    header = ("uai", "name", "type", "commune", "departement", "lat", "lon", "open_licence")
    rows = ((s.uai, s.name, s.type, s.commune, s.departement, s.lat, s.lon, s.open_licence) for s in schools)
    return write_table(path, header, rows)


def _write_plausible(
    folder: Path,
    platforms: list[ReferencePlatform],
    networks: list[ReferenceNetwork],
    solutions: list[ReferenceSolution],
) -> dict[Path, int]:
    platform_header = ("platform_id", "name", "departement", "academie", "seat", "default_network_id", "communes")
    platform_rows = (
        (p.platform_id, p.name, p.departement, p.academie, p.seat, p.default_network_id, p.communes) for p in platforms
    )
    network_header = ("network_id", "name", "academie", "platform_ids")
    network_rows = ((n.network_id, n.name, n.academie, n.platform_ids) for n in networks)
    solution_header = (
        *("solution_id", "title", "kind", "track", "network_id", "uai", "commune", "sector", "lon", "lat"),
        "sessions",
    )
    solution_rows = (
        (
            *(s.solution_id, s.title, s.kind, s.track, s.network_id, s.uai, s.commune, s.sector, s.lon, s.lat),
            tuple(f"{x.starts_on}/{x.ends_on}/{x.places}" for x in s.sessions),
        )
        for s in solutions
    )
    return {
        folder / "platforms.tsv.gz": write_table(folder / "platforms.tsv.gz", platform_header, platform_rows),
        folder / "networks.tsv": write_table(folder / "networks.tsv", network_header, network_rows),
        folder / "solutions.tsv.gz": write_table(folder / "solutions.tsv.gz", solution_header, solution_rows),
    }
