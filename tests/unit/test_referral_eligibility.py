"""Each reason for which a row is rejected, in the order in which the rules apply."""

from datetime import date

import pytest

from services.referral.app import ReferenceTables
from services.referral.eligibility import Rejected, Row, judge
from services.referral.settings import DIPLOMAS
from shared.reference import load
from tests.support.siei import SCHOOL, ine, row

KNOWN = ReferenceTables(load())
TODAY = date(2013, 4, 3)


def verdict(**changes: str) -> Row | Rejected:
    return judge(row(1, **changes), KNOWN, excluding=DIPLOMAS, today=TODAY)


def code(**changes: str) -> str:
    result = verdict(**changes)
    return result.code if isinstance(result, Rejected) else "eligible"


def test_an_eligible_row_is_read_whole() -> None:
    result = verdict(ine=ine(1234567890))
    assert isinstance(result, Row)
    assert result.on == date(2013, 3, 31)
    assert result.age == 16
    assert result.departement == "01"
    assert (result.ine, result.ine_form) == (ine(1234567890), "bea")
    assert result.followed_by_mission_locale is False
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"birth_date": "1997-03-31"}, "eligible"),
        ({"birth_date": "1997-04-01"}, "under_16"),
        ({"birth_date": "2020-01-01"}, "under_16"),
        ({"birth_date": "1987-04-01"}, "eligible"),
        ({"birth_date": "1987-03-31"}, "over_25"),
        ({"birth_date": "12/05/1996"}, "malformed"),
        ({"birth_date": "1996-02-30"}, "malformed"),
        ({"birth_date": "19960512"}, "malformed"),
        ({"birth_date": ""}, "malformed"),
        ({"campaign": "2013-13"}, "malformed"),
        ({"campaign": "03/2013"}, "malformed"),
        ({"source": "PRONOTE"}, "malformed"),
        ({"source_row": ""}, "malformed"),
        ({"family_name": " "}, "malformed"),
        ({"given_names": ""}, "malformed"),
        ({"sex": "X"}, "malformed"),
        ({"commune": ""}, "malformed"),
        ({"last_school": ""}, "malformed"),
        ({"left_on": ""}, "malformed"),
        ({"left_on": "2013-02-29"}, "malformed"),
        ({"highest_diploma": "DOCTORAT"}, "malformed"),
        ({"highest_diploma": "CAP"}, "has_diploma"),
        ({"highest_diploma": "BAC_TECHNO"}, "has_diploma"),
        ({"highest_diploma": "DNB"}, "eligible"),
        ({"highest_diploma": "NONE"}, "eligible"),
        ({"enrolled_in": SCHOOL}, "re_enrolled"),
        ({"enrolled_in": "0010001X"}, "unknown_school"),
        ({"last_school": "0010001X"}, "unknown_school"),
        ({"last_school": "LYCEE"}, "unknown_school"),
        ({"commune": "01999"}, "eligible"),
        ({"commune": "20004"}, "unknown_commune"),
        ({"commune": "2A004"}, "eligible"),
        ({"commune": "97411"}, "eligible"),
        ({"commune": "97911"}, "unknown_commune"),
        ({"commune": "Lyon"}, "unknown_commune"),
        ({"left_on": "2013-04-01"}, "bad_dates"),
        ({"left_on": "2013-03-31"}, "eligible"),
        ({"followed_by_mission_locale": "oui"}, "eligible"),
        ({"status": "stagiaire"}, "eligible"),
    ],
)
def test_a_row_is_judged_by_one_rule(changes: dict[str, str], expected: str) -> None:
    assert code(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"birth_date": "2000-01-01", "campaign": "2013-03", "sex": "", "commune": "?"}, "under_16"),
        ({"birth_date": "2000-01-01", "campaign": ""}, "under_16"),
        ({"birth_date": "1980-01-01", "sex": ""}, "malformed"),
        ({"birth_date": "1980-01-01", "highest_diploma": "CAP"}, "over_25"),
        ({"highest_diploma": "CAP", "enrolled_in": SCHOOL}, "has_diploma"),
        ({"enrolled_in": SCHOOL, "last_school": "LYCEE"}, "re_enrolled"),
        ({"last_school": "LYCEE", "commune": "Lyon"}, "unknown_school"),
        ({"commune": "Lyon", "left_on": "2013-04-01"}, "unknown_commune"),
    ],
)
def test_the_first_rule_that_fits_gives_the_reason(changes: dict[str, str], expected: str) -> None:
    assert code(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ine": "1234567890A"}, ("bad_ine",)),
        ({"ine": "0123A45678B"}, ()),
        ({"ine": "123456789AB"}, ("bad_ine",)),
        ({"ine": "123456789AB", "campaign": "2017-09", "birth_date": "2000-05-12"}, ()),
        ({"last_school": "0010003Y"}, ("school_not_listed",)),
        ({"commune": "01999"}, ("commune_not_listed",)),
        ({"followed_by_mission_locale": "oui"}, ("unreadable_optional",)),
    ],
)
def test_what_is_odd_but_no_reason_to_reject_is_a_warning(changes: dict[str, str], expected: tuple[str, ...]) -> None:
    result = verdict(**changes)
    assert isinstance(result, Row)
    assert result.warnings == expected
    assert (result.ine is None) == ("bad_ine" in expected or "ine" not in changes)


def test_a_rejection_names_field_and_remedy_and_never_shows_identity() -> None:
    wrong_key = verdict(last_school="0010001X")
    assert isinstance(wrong_key, Rejected)
    assert (wrong_key.field, wrong_key.value, wrong_key.suggestion) == ("last_school", "0010001X", SCHOOL)
    young = verdict(birth_date="2000-01-01")
    assert isinstance(young, Rejected)
    assert young.value is None
    assert "2000" not in young.message
    sex = verdict(sex="f")
    assert isinstance(sex, Rejected)
    assert sex.suggestion == "F"


def test_a_youth_who_came_by_himself_is_judged_on_that_day_and_needs_fewer_fields() -> None:
    values = {"family_name": "Zola", "given_names": "Émile", "birth_date": "1996-04-02", "sex": "M", "commune": "13001"}
    result = judge(values, KNOWN, excluding=DIPLOMAS, today=TODAY, came_on=date(2013, 4, 2))
    assert isinstance(result, Row)
    assert (result.age, result.campaign, result.origin, result.source) == (17, "2013-04", "spontaneous", None)
