"""The rules of a registration: every fault names its field, a stable code and what mends it."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.catalogue.checks import Fault, network_faults, platform_faults, session_faults, solution_faults
from services.catalogue.domain import Network, Platform, Session, Solution, session_changes, with_places_taken
from shared.reference import Reference, load

NETWORK = Network("net", "Réseau de Valenciennes", "09", ("a", "b"))
PLATFORM = Platform(
    "p", "Plateforme", "59", "09", ("59606", "59350"), "net", registered_at=datetime(2013, 3, 1, tzinfo=UTC)
)
AUTUMN = Session("autumn", date(2013, 9, 3), date(2014, 7, 4), places=10)
SPRING = Session("spring", date(2013, 3, 4), None, places=5)
SOLUTION = Solution(
    solution_id="sol",
    title="Retour en CAP",
    kind="school",
    track="professional",
    network_id="net",
    uai="0010001W",
    commune="2A004",
    sector=None,
    lon=3.5,
    lat=50.4,
    sessions=(SPRING, AUTUMN),
)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load()


def named(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.field, fault.code) for fault in faults]


def test_valid_registrations_have_no_fault(reference: Reference) -> None:
    assert network_faults(NETWORK, reference) == []
    assert platform_faults(PLATFORM, reference) == []
    assert solution_faults(SOLUTION, reference) == []
    assert session_faults([AUTUMN, SPRING]) == []


@pytest.mark.parametrize("academie", ["26", "9", "009", "Lille", "\x00"])
def test_an_academie_must_be_one_of_the_reference(reference: Reference, academie: str) -> None:
    assert named(network_faults(replace(NETWORK, academie=academie), reference)) == [("academie", "unknown_academie")]


@pytest.mark.parametrize("academie", ["05", "70"])
def test_a_departement_fits_its_academie_of_any_date(reference: Reference, academie: str) -> None:
    assert platform_faults(replace(PLATFORM, departement="14", academie=academie), reference) == []


def test_an_academie_of_another_departement_is_refused_and_the_right_ones_are_named(reference: Reference) -> None:
    faults = platform_faults(replace(PLATFORM, departement="14", academie="09"), reference)
    assert named(faults) == [("academie", "academie_does_not_fit")]
    assert "05 (Caen) or 70 (Normandie)" in faults[0].message


def test_all_faults_of_a_platform_are_reported_at_once(reference: Reference) -> None:
    wrong = replace(PLATFORM, departement="20", academie="99", communes=("59606", "5960", "99100", "59606", "20004"))
    assert named(platform_faults(wrong, reference)) == [
        ("academie", "unknown_academie"),
        ("departement", "unknown_departement"),
        ("communes.1", "unknown_commune"),
        ("communes.2", "unknown_commune"),
        ("communes.4", "unknown_commune"),
        ("communes.3", "repeated"),
    ]


def test_a_platform_named_twice_by_its_network(reference: Reference) -> None:
    faults = network_faults(replace(NETWORK, platform_ids=("a", "b", "a")), reference)
    assert named(faults) == [("platform_ids.2", "repeated")]


def test_a_wrong_check_letter_of_a_school_comes_with_the_right_one(reference: Reference) -> None:
    faults = solution_faults(replace(SOLUTION, uai="0010001A"), reference)
    assert named(faults) == [("uai", "unknown_school")]
    assert "0010001W" in faults[0].message


@pytest.mark.parametrize("uai", ["", "10001W", "0010001", "00100011", "0010001É"])
def test_a_malformed_school_is_refused(reference: Reference, uai: str) -> None:
    assert named(solution_faults(replace(SOLUTION, uai=uai), reference)) == [("uai", "unknown_school")]


def test_a_solution_needs_no_school(reference: Reference) -> None:
    assert solution_faults(replace(SOLUTION, uai=None), reference) == []


@pytest.mark.parametrize("commune", ["", "590", "20004", "99352", "59 606", "5960I"])
def test_a_commune_that_is_no_cog_code_is_refused(reference: Reference, commune: str) -> None:
    assert named(solution_faults(replace(SOLUTION, commune=commune), reference)) == [("commune", "unknown_commune")]


@pytest.mark.parametrize(("lon", "lat", "missing"), [(3.5, None, "lat"), (None, 50.4, "lon")])
def test_half_a_position_is_none(reference: Reference, lon: float | None, lat: float | None, missing: str) -> None:
    faults = solution_faults(replace(SOLUTION, lon=lon, lat=lat), reference)
    assert named(faults) == [(missing, "position_incomplete")]


def test_sessions_have_ids_of_their_own_and_end_after_they_start() -> None:
    backwards = replace(SPRING, ends_on=date(2013, 3, 3))
    assert named(session_faults([AUTUMN, backwards, AUTUMN])) == [
        ("sessions.2.session_id", "repeated"),
        ("sessions.1.ends_on", "ends_before_start"),
    ]


def test_what_a_new_version_does_to_the_sessions() -> None:
    autumn, spring = replace(AUTUMN, held=2, occupied=1), replace(SPRING, held=0)
    summer = Session("summer", date(2013, 6, 1), None, places=3)
    changes = session_changes([autumn, spring], [replace(AUTUMN, places=3), summer])
    assert [s.session_id for s in changes.added] == ["summer"]
    assert [s.session_id for s in changes.changed] == ["autumn"]
    assert [s.session_id for s in changes.dropped] == ["spring"]
    assert changes.too_small == ()


def test_no_new_version_may_lose_a_seat_that_is_taken() -> None:
    autumn, spring = replace(AUTUMN, held=2, occupied=1), replace(SPRING, occupied=1)
    changes = session_changes([autumn, spring], [replace(AUTUMN, places=2)])
    assert [s.session_id for s in changes.too_small] == ["autumn", "spring"]


def test_a_new_version_keeps_the_counters() -> None:
    (kept, new) = with_places_taken(
        [replace(AUTUMN, places=20), Session("new", date(2014, 1, 6), None, places=3)],
        [replace(AUTUMN, held=2, occupied=3)],
    )
    assert (kept.places, kept.held, kept.occupied, kept.free) == (20, 2, 3, 15)
    assert (new.held, new.occupied, new.free) == (0, 0, 3)
