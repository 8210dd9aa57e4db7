"""The life of a contract FQE, and the rules it must fulfil."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.tracking.domain import Broken, Contract, Refused, Signatures, Terms, contract_failures, sign
from services.tracking.domain.rules import months_later
from services.tracking.roles import role_code
from shared.events.base import Kind
from tests.support.tracking import ACCEPTED, ADULT, MINOR, OFFERED, TERMS, signed

START = date(2013, 4, 2)


def done(outcome: Contract | Refused | Broken) -> Contract:
    assert isinstance(outcome, Contract)
    return outcome


def code(outcome: object) -> str:
    if isinstance(outcome, Broken):
        [failure] = outcome.failures
        return failure.code
    assert isinstance(outcome, Refused)
    return outcome.code


def codes(terms: Terms, kind: Kind = "school", birth_month: str = ADULT) -> dict[str, str]:
    return {failure.field: failure.code for failure in contract_failures(terms, kind, birth_month)}


# its life


def test_a_contract_is_signed_runs_and_ends() -> None:
    contract = signed()
    assert contract.state == "signed"
    running = done(contract.start(START))
    assert running.state == "running"
    ended = done(running.end(date(2013, 7, 5), "completed"))
    assert (ended.state, ended.ended_on, ended.end_reason) == ("ended", date(2013, 7, 5), "completed")


def test_only_an_accepted_placement_gets_a_contract_and_keeps_it() -> None:
    assert code(sign("c", OFFERED, TERMS)) == "placement_not_accepted"
    outcome = sign("c", ACCEPTED, TERMS)
    assert isinstance(outcome, tuple)
    taken, contract = outcome
    assert (taken.state, taken.contract_id, contract.contract_id) == ("contracted", "c", "c")
    assert code(sign("d", taken, TERMS)) == "contract_exists"


def test_commands_that_do_not_fit_the_state_are_refused() -> None:
    running = done(signed().start(START))
    ended = done(running.end(date(2013, 7, 5), "lost"))
    assert code(signed().review(START, "on_track", None)) == "not_started"
    assert code(running.start(START)) == "already_started"
    assert code(ended.start(START)) == "contract_ended"
    assert code(ended.review(START, "on_track", None)) == "contract_ended"
    assert code(ended.end(date(2013, 7, 6), "lost")) == "contract_ended"


def test_a_contract_that_never_started_may_end_but_not_before_it_was_signed() -> None:
    assert done(signed().end(TERMS.on, "moved")).state == "ended"
    assert code(signed().end(date(2013, 3, 24), "moved")) == "end_before_signature"


def test_the_next_review_is_due_sixty_days_after_the_last_or_the_start() -> None:
    contract = signed()
    assert contract.next_review_on == date(2013, 6, 1)  # 60 days after the agreed start
    running = done(contract.start(date(2013, 4, 8)))
    assert running.next_review_on == date(2013, 6, 7)
    reviewed = done(running.review(date(2013, 5, 2), "on_track", None))
    assert reviewed.next_review_on == date(2013, 7, 1)
    sooner = done(reviewed.review(date(2013, 6, 20), "at_risk", date(2013, 6, 27)))
    assert sooner.next_review_on == date(2013, 6, 27)
    late_entry = done(sooner.review(date(2013, 5, 30), "adjusted", None))
    assert late_entry.next_review_on == date(2013, 6, 27)
    assert [review.on.day for review in late_entry.reviews] == [2, 20, 30]
    assert done(late_entry.end(date(2013, 7, 5), "diploma")).next_review_on is None


def test_of_two_reviews_on_one_day_the_later_entry_says_when_the_next_is_due() -> None:
    running = done(signed().start(START))
    first = done(running.review(date(2013, 5, 2), "on_track", date(2013, 8, 1)))
    assert done(first.review(date(2013, 5, 2), "at_risk", date(2013, 5, 9))).next_review_on == date(2013, 5, 9)


def test_the_next_review_comes_after_this_one() -> None:
    running = done(signed().start(START))
    assert code(running.review(date(2013, 5, 2), "on_track", date(2013, 5, 2))) == "next_review_not_after"


# its rules


def test_a_sound_contract_has_no_failures() -> None:
    assert codes(TERMS) == {}


def test_tutor_and_youth_sign_and_nobody_after_the_start() -> None:
    assert codes(replace(TERMS, signatures=Signatures())) == {
        "signatures.tutor": "tutor_signature_needed",
        "signatures.youth": "youth_signature_needed",
    }
    on_the_day = Signatures(tutor=START, youth=START, guardian=START)
    assert codes(replace(TERMS, signatures=on_the_day)) == {}
    after = date(2013, 4, 3)
    assert codes(replace(TERMS, signatures=Signatures(after, after, after))) == {
        "signatures.tutor": "signature_after_start",
        "signatures.youth": "signature_after_start",
        "signatures.guardian": "signature_after_start",
    }


def test_it_ends_after_it_starts() -> None:
    assert codes(replace(TERMS, ends_on=START)) == {"ends_on": "ends_before_start"}
    assert codes(replace(TERMS, ends_on=date(2013, 4, 3))) == {}


NEEDED = {"signatures.guardian": "guardian_signature_needed"}


@pytest.mark.parametrize(
    ("birth_month", "adult", "expected"),
    [
        ("1995-02", None, {}),
        ("1995-02", False, {}),  # the month of birth decides where it can
        ("1995-03", None, {"adult": "adult_needed"}),
        ("1995-03", True, {}),
        ("1995-03", False, NEEDED),
        ("1995-04", None, NEEDED),
        ("1995-04", True, NEEDED),
        ("1996-03", None, NEEDED),
        ("1994-04", None, {}),
    ],
)
def test_a_minors_guardian_signs(birth_month: str, adult: bool | None, expected: dict[str, str]) -> None:
    terms = replace(TERMS, adult=adult)
    assert codes(terms, birth_month=birth_month) == expected
    with_guardian = replace(terms, signatures=replace(TERMS.signatures, guardian=TERMS.on))
    still = {"adult": "adult_needed"} if birth_month == "1995-03" and adult is None else {}
    assert codes(with_guardian, birth_month=birth_month) == still


def civic(**changes: Any) -> Terms:
    sound: dict[str, Any] = {"ends_on": date(2013, 12, 1), "formula": "full", "hours_per_week": 24.0}
    return replace(TERMS, **{**sound, **changes})


@pytest.mark.parametrize(
    ("ends_on", "sound"),
    [
        (date(2013, 9, 30), False),
        (date(2013, 10, 1), True),  # six months, the last day counted
        (date(2013, 10, 2), True),
        (date(2014, 4, 2), True),
        (date(2014, 4, 3), False),
    ],
)
def test_a_civic_service_lasts_six_to_twelve_months(ends_on: date, sound: bool) -> None:
    assert codes(civic(ends_on=ends_on), "civic_service") == ({} if sound else {"ends_on": "civic_service_duration"})
    assert codes(civic(ends_on=ends_on), "school") == {}


def test_six_months_from_the_last_day_of_a_long_month_end_with_the_short_one() -> None:
    assert months_later(date(2013, 8, 31), 6) == date(2014, 2, 28)
    assert months_later(date(2013, 11, 30), 12) == date(2014, 11, 30)
    assert months_later(date(2012, 2, 29), 12) == date(2013, 2, 28)


@pytest.mark.parametrize(
    ("formula", "hours", "expected"),
    [
        ("full", 23.9, {"hours_per_week": "civic_service_hours"}),
        ("full", 24, {}),
        ("full", 48, {}),
        ("full", 48.5, {"hours_per_week": "civic_service_hours"}),
        ("full", None, {"hours_per_week": "civic_service_hours"}),
        ("combined", 20.5, {"hours_per_week": "civic_service_hours"}),
        ("combined", 21, {}),
        ("combined", 35, {}),
        ("combined", 35.5, {"hours_per_week": "civic_service_hours"}),
        (None, 24, {"formula": "formula_needed"}),
    ],
)
def test_a_civic_service_has_the_hours_of_its_formula(
    formula: str | None, hours: float | None, expected: dict[str, str]
) -> None:
    assert codes(civic(formula=formula, hours_per_week=hours), "civic_service") == expected


@pytest.mark.parametrize("hours", [150, 300, 450, 900])
def test_the_social_clause_has_its_hours(hours: int) -> None:
    assert codes(replace(TERMS, hours=hours), "social_clause") == {}


@pytest.mark.parametrize("hours", [None, 0, 149, 600, 901])
def test_the_social_clause_has_no_other_hours(hours: int | None) -> None:
    assert codes(replace(TERMS, hours=hours), "social_clause") == {"hours": "social_clause_hours"}


def test_all_that_is_wrong_is_said_at_once() -> None:
    terms = civic(
        ends_on=date(2013, 4, 1), formula=None, signatures=Signatures(tutor=date(2013, 4, 3)), hours_per_week=None
    )
    failures = contract_failures(terms, "civic_service", MINOR)
    assert [(failure.field, failure.code) for failure in failures] == [
        ("ends_on", "ends_before_start"),
        ("signatures.tutor", "signature_after_start"),
        ("signatures.youth", "youth_signature_needed"),
        ("signatures.guardian", "guardian_signature_needed"),
        ("ends_on", "civic_service_duration"),
        ("formula", "formula_needed"),
    ]


# what leaves of the tutor


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("cpe", "cpe"),
        ("CPE", "cpe"),
        ("Conseillère principale d'éducation", "cpe"),
        ("Coordonnateur MLDS", "mlds"),
        ("school_nurse", "school_nurse"),
        ("Madame Martin, 06 12 34 56 78", "other"),
        ("école", "other"),
        ("x" * 41, "other"),
        ("", "other"),
    ],
)
def test_the_tutors_role_leaves_as_a_code_never_as_text(role: str, expected: str) -> None:
    assert role_code(role) == expected
