"""What becomes of an offer."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.tracking.domain import Dismissal, EarlyExpiry, Placement, Refused, expire, hear_of
from tests.support.tracking import ACCEPTED, HELD_UNTIL, NOW, OFFER, OFFERED

DAY = date(2013, 3, 22)
DECLINED = replace(OFFERED, state="declined", answered_on=DAY, reason="too_far")
EXPIRED = replace(OFFERED, state="expired", expired_on=date(2013, 4, 5))
CONTRACTED = replace(ACCEPTED, state="contracted", contract_id="c")


def code(outcome: object) -> str:
    assert isinstance(outcome, Refused)
    return outcome.code


def test_a_youth_takes_a_place_that_is_held_up_to_the_last_moment() -> None:
    assert OFFERED.accept(DAY, HELD_UNTIL) == replace(OFFERED, state="accepted", answered_on=DAY)


def test_a_place_no_longer_held_cannot_be_taken_even_if_the_youth_said_yes_in_time() -> None:
    assert code(OFFERED.accept(DAY, HELD_UNTIL + timedelta(milliseconds=1))) == "placement_expired"


def test_a_place_no_longer_held_can_still_be_refused_until_the_catalogue_has_let_it_expire() -> None:
    assert OFFERED.decline(DAY, "too_far") == DECLINED
    assert code(EXPIRED.decline(DAY, "too_far")) == "placement_expired"


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (ACCEPTED, "already_answered"),
        (CONTRACTED, "already_answered"),
        (DECLINED, "placement_declined"),
        (EXPIRED, "placement_expired"),
    ],
)
def test_an_acceptance_is_refused_where_it_makes_no_sense(placement: Placement, expected: str) -> None:
    assert code(placement.accept(DAY, NOW)) == expected
    assert code(placement.accept(DAY, HELD_UNTIL + timedelta(days=1))) == expected


def test_a_youth_may_change_his_mind_until_the_contract_is_signed() -> None:
    assert ACCEPTED.decline(DAY, "too_far") == DECLINED
    assert code(DECLINED.decline(DAY, "family")) == "already_answered"
    assert code(CONTRACTED.decline(DAY, "too_far")) == "contract_signed"


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (OFFERED, "placement_not_accepted"),
        (DECLINED, "placement_declined"),
        (EXPIRED, "placement_expired"),
        (CONTRACTED, "contract_exists"),
    ],
)
def test_only_an_accepted_place_gets_a_contract(placement: Placement, expected: str) -> None:
    assert code(placement.contract("c")) == expected
    assert ACCEPTED.contract("c") == CONTRACTED


def test_expiry_ends_an_offer_but_no_answer_that_was_in_time() -> None:
    assert expire(OFFERED, "placement", date(2013, 4, 5)) == EXPIRED
    for answered in (ACCEPTED, DECLINED, CONTRACTED, EXPIRED):
        assert expire(answered, "placement", date(2013, 4, 6)) == answered


def test_expiry_heard_of_before_the_offer_gives_the_same_in_the_end() -> None:
    early = expire(None, "placement", date(2013, 4, 5))
    assert early == EarlyExpiry("placement", date(2013, 4, 5))
    assert expire(early, "placement", date(2013, 4, 5)) == early
    assert hear_of(early, "placement", OFFER) == EXPIRED
    assert hear_of(EXPIRED, "placement", OFFER) == EXPIRED


def test_an_offer_heard_of_twice_changes_no_answer() -> None:
    for known in (OFFERED, ACCEPTED, DECLINED, CONTRACTED):
        assert hear_of(known, "placement", replace(OFFER, solution_id="other")) == known


def test_a_dismissal_closes_what_was_open_and_leaves_a_contract_alone() -> None:
    dismissal = Dismissal(DAY, NOW + timedelta(days=2))
    closed = replace(OFFERED, state="declined", answered_on=DAY, reason="youth_dismissed")
    assert OFFERED.dismiss(dismissal) == closed
    assert ACCEPTED.dismiss(dismissal) == closed
    for settled in (DECLINED, EXPIRED, CONTRACTED):
        assert settled.dismiss(dismissal) == settled


@pytest.mark.parametrize(
    ("days_later", "recorded_later", "closes"),
    [
        (1, 1, True),
        (1, -1, True),  # the day counts, whenever it was written down
        (0, 1, True),
        (0, 0, True),
        (0, -1, False),  # the same day, but the offer came after: the youth was opened again
        (-1, 1, False),
    ],
)
def test_a_dismissal_closes_only_offers_made_before(days_later: int, recorded_later: int, closes: bool) -> None:
    dismissal = Dismissal(OFFER.on + timedelta(days=days_later), OFFER.recorded_at + timedelta(hours=recorded_later))
    assert (OFFERED.dismiss(dismissal) != OFFERED) is closes
