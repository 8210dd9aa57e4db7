import csv
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.reference_build.build import build
from deploy.reference_build.source import FILES, SourceError
from shared.identifiers import departement_of, uai_problem
from shared.reference import Reference, load
from shared.reference.reference import OTHER_SCHOOLS

IN_2013 = date(2013, 3, 29)
LAST_OF_2019 = date(2019, 12, 31)
FIRST_OF_2020 = date(2020, 1, 1)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load()


def test_thirty_academies_and_five_vice_rectorats_in_2013(reference: Reference) -> None:
    assert len(reference.academies(IN_2013, "academie")) == 30
    vice_rectorats = reference.academies(IN_2013, "vice_rectorat")
    assert [academie.code for academie in vice_rectorats] == ["40", "41", "42", "43", "44"]
    assert len(reference.academies(IN_2013)) == 35


@pytest.mark.parametrize(
    ("departement", "day", "academie"),
    [
        ("14", IN_2013, "05"),
        ("50", IN_2013, "05"),
        ("61", LAST_OF_2019, "05"),
        ("27", LAST_OF_2019, "21"),
        ("76", IN_2013, "21"),
        ("14", FIRST_OF_2020, "70"),
        ("76", FIRST_OF_2020, "70"),
        ("59", IN_2013, "09"),
        ("2A", IN_2013, "27"),
        ("977", IN_2013, "32"),
        ("975", IN_2013, "44"),
        ("988", FIRST_OF_2020, "40"),
        ("20", IN_2013, None),
        ("984", IN_2013, None),
    ],
)
def test_the_academie_of_a_departement_depends_on_the_day(
    reference: Reference, departement: str, day: date, academie: str | None
) -> None:
    assert reference.academie_of(departement, day) == academie


def test_caen_and_rouen_became_normandie_and_mayotte_an_academie_on_one_night(reference: Reference) -> None:
    caen = reference.academie("05", LAST_OF_2019)
    assert caen is not None
    assert (caen.name, caen.successor) == ("Caen", "70")
    assert reference.academie("05", FIRST_OF_2020) is None
    assert reference.academie("70", LAST_OF_2019) is None
    normandie = reference.academie("70", FIRST_OF_2020)
    assert normandie is not None
    assert normandie.departements == ("14", "27", "50", "61", "76")
    kinds = [academie.kind for day in (LAST_OF_2019, FIRST_OF_2020) if (academie := reference.academie("43", day))]
    assert kinds == ["vice_rectorat", "academie"]
    assert len(reference.academies(FIRST_OF_2020, "academie")) == 30


def test_a_period_has_each_academie_that_existed_in_it_once(reference: Reference) -> None:
    codes = [academie.code for academie in reference.academies_between(LAST_OF_2019, FIRST_OF_2020)]
    assert codes == sorted(set(codes))
    assert {"05", "21", "70", "43"} <= set(codes)
    assert [a.kind for a in reference.academies_between(LAST_OF_2019, FIRST_OF_2020) if a.code == "43"] == ["academie"]
    assert "70" not in {academie.code for academie in reference.academies_between(IN_2013, LAST_OF_2019)}


def test_on_any_day_every_departement_has_exactly_one_academie(reference: Reference) -> None:
    for day in (date(1980, 1, 1), IN_2013, LAST_OF_2019, FIRST_OF_2020, date(2040, 6, 1)):
        owners = Counter(code for academie in reference.academies(day) for code in academie.departements)
        assert owners == dict.fromkeys(reference.departements(), 1)


def test_the_departements_are_those_of_the_official_list(reference: Reference) -> None:
    assert len(reference.departements()) == 107
    assert reference.departements()["2B"].name == "Haute-Corse"
    assert reference.knows_departement("974")
    assert not reference.knows_departement("20")
    assert not reference.knows_departement("984")


def test_communes_are_found_by_their_code(reference: Reference) -> None:
    valenciennes = reference.commune("59606")
    assert valenciennes is not None
    assert (valenciennes.name, valenciennes.departement, valenciennes.postal_code) == ("Valenciennes", "59", "59300")
    assert valenciennes.lat == pytest.approx(50.36, abs=0.02)
    assert valenciennes.lon == pytest.approx(3.52, abs=0.02)
    for arrondissement in ("75112", "69381", "13216"):
        assert reference.commune(arrondissement) is not None
    assert reference.commune("59999") is None
    assert reference.commune("code") is None


def test_every_commune_is_of_the_departement_that_its_code_tells(reference: Reference) -> None:
    communes = list(reference.communes())
    assert len(communes) == 35_008
    for commune in communes:
        assert commune.departement == departement_of(commune.code)
        assert reference.knows_departement(commune.departement)


def test_every_school_has_a_right_uai_and_a_known_departement(reference: Reference) -> None:
    schools = list(reference.schools())
    assert len(schools) == 14_969
    for school in schools:
        assert uai_problem(school.uai) is None
        assert reference.knows_departement(school.departement)
        commune = None if school.commune is None else reference.commune(school.commune)
        assert (commune is None) == (school.commune is None)
        assert commune is None or commune.departement == school.departement


def test_schools_with_known_defects_of_the_source_are_mended(reference: Reference) -> None:
    saint_martin = reference.school("9711169U")  # the source says Guadeloupe
    le_port = reference.school("9741177L")  # ... and Saint-Martin for a town of La Réunion
    misplaced = reference.school("0731527N")  # ... and puts a school of Savoie into Normandy
    assert saint_martin is not None
    assert saint_martin.departement == "978"
    assert le_port is not None
    assert (le_port.departement, le_port.commune) == ("974", None)
    assert misplaced is not None
    assert misplaced.lat == pytest.approx(45.6, abs=0.1)
    assert reference.school("0000000A") is None


def test_sectors_are_the_domains_of_the_nomenclature(reference: Reference) -> None:
    assert reference.sectors()["23"].name == "Génie civil, construction et bois"


def test_360_platforms_cover_every_commune_exactly_once(reference: Reference) -> None:
    platforms = reference.platforms()
    assert len(platforms) == 360
    owners = Counter(commune for platform in platforms for commune in platform.communes)
    assert owners == dict.fromkeys((commune.code for commune in reference.communes()), 1)
    for platform in platforms:
        assert platform.seat in platform.communes
        assert {departement_of(commune) for commune in platform.communes} == {platform.departement}
        assert platform.academie == reference.academie_of(platform.departement, IN_2013)
    assert {platform.departement for platform in platforms} == set(reference.departements())


def test_academies_with_published_numbers_have_them(reference: Reference) -> None:
    platforms = Counter(platform.academie for platform in reference.platforms())
    networks = Counter(network.academie for network in reference.networks())
    assert (platforms["25"], networks["25"]) == (22, 24)
    assert networks["13"] == 8
    assert {code: platforms[code] for code in ("14", "10", "08", "06")} == {"14": 17, "10": 12, "08": 18, "06": 13}
    assert set(networks) == set(platforms) == {academie.code for academie in reference.academies(IN_2013)}


def test_platforms_and_networks_are_many_to_many_within_their_academie(reference: Reference) -> None:
    platforms = {platform.platform_id: platform for platform in reference.platforms()}
    networks = {network.network_id: network for network in reference.networks()}
    assert len(networks) == len(reference.networks())
    networks_of: Mapping[str, list[str]] = defaultdict(list)
    for network in networks.values():
        for platform_id in network.platform_ids:
            assert platforms[platform_id].academie == network.academie
            networks_of[platform_id].append(network.network_id)
    for platform in platforms.values():
        assert platform.default_network_id in networks_of[platform.platform_id]
    assert max(map(len, networks_of.values())) >= 2
    assert max(len(network.platform_ids) for network in networks.values()) >= 2


def test_a_commune_goes_to_the_nearest_seat(reference: Reference) -> None:
    platform = next(p for p in reference.platforms() if "59014" in p.communes)  # Anzin is next to Valenciennes
    assert platform.name == "Plateforme de suivi et d'appui aux décrocheurs – Valenciennes"


def test_the_offer_is_of_real_schools_and_sums_up_to_a_year(reference: Reference) -> None:
    solutions = reference.solutions()
    networks = {network.network_id: network for network in reference.networks()}
    assert len({solution.solution_id for solution in solutions}) == len(solutions)
    assert {solution.network_id for solution in solutions} == set(networks)
    for solution in solutions:
        assert reference.commune(solution.commune) is not None
        if solution.uai is not None:
            school = reference.school(solution.uai)
            assert school is not None
            assert school.commune == solution.commune
            assert reference.academie_of(school.departement, IN_2013) == networks[solution.network_id].academie
        assert (solution.track is not None) == (solution.kind == "school") or solution.kind == "innovative_structure"
        assert solution.sector is None or solution.sector in reference.sectors()
    sessions = [session for solution in solutions for session in solution.sessions]
    assert sum(session.places for session in sessions) == 40_000
    assert min(session.places for session in sessions) >= 2
    assert all(date(2013, 2, 1) <= session.starts_on <= date(2014, 9, 30) for session in sessions)
    assert all(session.starts_on + timedelta(days=28) < session.ends_on for session in sessions)
    assert len({session.session_id for session in sessions}) == len(sessions)


def test_no_innovative_structure_is_invented(reference: Reference) -> None:
    found = [solution for solution in reference.solutions() if solution.kind == "innovative_structure"]
    assert len(found) == 26
    schools = [school for solution in found if solution.uai and (school := reference.school(solution.uai))]
    assert {school.type for school in schools} == {"LYC_EXP"}


def test_a_civic_service_lasts_six_to_twelve_months(reference: Reference) -> None:
    lengths = {
        (session.ends_on - session.starts_on).days
        for solution in reference.solutions()
        if solution.kind == "civic_service"
        for session in solution.sessions
    }
    assert lengths
    assert all(183 <= days <= 366 for days in lengths)


def test_bodies_are_what_the_catalogue_takes(reference: Reference) -> None:
    solution = next(s for s in reference.solutions() if s.uai and s.track and s.lat)
    body = solution.body()
    assert body.keys() >= {"title", "kind", "track", "network_id", "uai", "commune", "lon", "lat", "sessions"}
    assert isinstance(body["sessions"], list)
    assert body["sessions"][0].keys() == {"session_id", "starts_on", "ends_on", "places"}
    assert None not in body.values()
    mission = next(s for s in reference.solutions() if s.kind == "mission_locale")
    assert not mission.body().keys() & {"track", "uai", "sector"}
    assert reference.networks()[0].body().keys() == {"name", "academie", "platform_ids"}
    assert reference.platforms()[0].body().keys() == {
        *("name", "departement", "academie", "communes", "default_network_id"),
    }


def test_the_package_works_without_the_schools_that_have_no_licence(tmp_path: Path) -> None:
    packaged = Path(__file__).parents[2] / "shared" / "reference" / "data"
    folder = tmp_path / "data"
    shutil.copytree(packaged, folder)
    shutil.rmtree(folder / OTHER_SCHOOLS)
    schools = list(load(folder).schools())
    assert len(schools) == 13_307
    assert all(school.open_licence for school in schools)


def test_every_academie_of_a_day_has_an_outline_and_shares_the_points_of_its_borders(reference: Reference) -> None:
    for day in (date(2013, 1, 1), date(2021, 1, 1)):
        outlines = reference.outlines(day)
        assert {academie.code for academie in reference.academies(day, "academie")} <= set(outlines)
    lille, amiens = (reference.outlines(date(2013, 1, 1))[code].rings[0] for code in ("09", "20"))
    assert len(set(lille) & set(amiens)) > 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A country of one académie and two départements, one of them without a known commune centre."""
    folder = tmp_path / "source"
    folder.mkdir()
    tables: dict[str, list[tuple[str, ...]]] = {
        "academies.csv": [("01", "Une", "académie", "", "", "", "01 02")],
        "departements.csv": [("01", "Ain"), ("02", "Aisne")],
        "communes.csv": [
            ("01001", "Bourg", "01", "01000 01001", "9000", "46.0", "5.0"),
            ("01002", "Village", "01", "01002", "100", "46.01", "5.0"),
            ("01003", "Ville", "01", "01003", "4000", "46.2", "5.0"),
            ("02001", "Île", "02", "02001", "50", "", ""),
            ("98401", "Désert", "984", "98401", "", "", ""),
        ],
        "etablissements.csv": [
            ("0010001W", "Lycée  pro", "LP", "01001", "01", "46.0", "5.0", "A"),
            ("0010002X", "CFA du BTP", "CFA", "01003", "01", "", "", "S"),
            ("0020001R", "Lycée", "LEGT", "", "99", "", "", "A"),
        ],
        "structures-retour-ecole.csv": [],
        "organismes.csv": [
            ("CIO", "CIO", "01003", "Ville", "46.2", "5.0"),
            ("MISSION_LOCALE", "Mission locale", "01001", "Bourg", "46.0", "5.0"),
        ],
        "chiffres-publies.csv": [("national", "FR", "2013", "plateformes PSAD", "3")],
    }
    for name in ("academies-avant-2020.geojson", "academies.geojson"):
        square = [[[5.0, 46.0], [6.0, 46.0], [6.0, 47.0001], [5.99999, 47.0], [5.0, 46.0]]]
        feature = {"properties": {"code": "01"}, "geometry": {"type": "Polygon", "coordinates": square}}
        (folder / name).write_text(json.dumps({"features": [feature]}), encoding="utf-8")
    for name, rows in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([FILES[name], *rows])
    return folder


def test_the_build_gives_the_same_tables_from_the_same_source(source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    written = [path.relative_to(first) for path in build(source, first)]
    build(source, second)
    assert len(written) == 10
    assert [(first / path).read_bytes() for path in written] == [(second / path).read_bytes() for path in written]


def test_the_build_reshapes_the_source(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path)
    built = load(tmp_path)
    assert [(p.platform_id, p.seat, p.communes) for p in built.platforms()] == [
        ("PSAD-01-01", "01001", ("01001", "01002")),
        ("PSAD-01-02", "01003", ("01003",)),
        ("PSAD-02-01", "02001", ("02001",)),
    ]
    assert built.commune("98401") is None
    cfa, lycee = built.school("0010002X"), built.school("0020001R")
    assert cfa is not None
    assert (cfa.lat, cfa.lon, cfa.open_licence) == (46.2, 5.0, False)
    assert lycee is not None
    assert (lycee.departement, lycee.commune) == ("02", None)
    assert built.outlines(date(2013, 1, 1))["01"].rings == (((5.0, 46.0), (6.0, 46.0), (6.0, 47.0), (5.0, 46.0)),)
    offers = {(solution.kind, solution.uai) for solution in built.solutions()}
    assert {("school", "0010001W"), ("apprenticeship", "0010002X"), ("mission_locale", None)} <= offers
    assert next(s.sector for s in built.solutions() if s.uai == "0010002X") == "23"


def test_a_build_with_open_licences_only_names_no_other_school(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path)
    build(source, tmp_path, open_licence_only=True)
    built = load(tmp_path)
    assert [school.uai for school in built.schools()] == ["0010001W", "0020001R"]
    assert "0010002X" not in {solution.uai for solution in built.solutions()}


def test_a_source_that_is_not_as_expected_is_named(source: Path, tmp_path: Path) -> None:
    (source / "structures-retour-ecole.csv").write_text("uai\n0593321P\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"0593321P of structures-retour-ecole\.csv is not in etablissements\.csv"):
        build(source, tmp_path)
    (source / "communes.csv").write_text("code,nom\n01001,Bourg\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"communes\.csv: no column departement"):
        build(source, tmp_path)
    (source / "communes.csv").unlink()
    with pytest.raises(SourceError, match=r"communes\.csv: No such file"):
        build(source, tmp_path)
