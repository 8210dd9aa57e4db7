"""Who counts where, case by case, by the text of the definitions."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest

from services.reporting.app import FACTS
from services.reporting.projection import Fact, Leaf, contributions, join_all, leaf_of
from shared.events import YouthEvent
from shared.events.base import Kind
from shared.events.referral import ContactOutcome
from shared.events.tracking import EndReason
from tests.support.lives import (
    contacted,
    contracted,
    detected,
    dismissed,
    ended,
    interviewed,
    offered,
    started,
    transferred,
)

MARCH = date(2013, 3, 31)
TIME = datetime(2013, 4, 1, tzinfo=UTC)


def known(*events: YouthEvent) -> Fact:
    """The fact after these events, recorded a minute apart."""
    return join_all(
        FACTS[type(event)](event, TIME + timedelta(minutes=number), f"e{number}") for number, event in enumerate(events)
    )


def counted(*events: YouthEvent) -> set[tuple[date, str]]:
    return contributions(known(*events))


def days(number: int) -> date:
    return MARCH + timedelta(days=number)


def test_a_youth_counts_once_by_the_first_day_whatever_came_later() -> None:
    assert counted(contacted("y", days(9)), contacted("y", days(4), "no_answer"), contacted("y", days(7))) == {
        (days(4), "attempted"),
        (days(7), "reached"),
    }


@pytest.mark.parametrize("outcome", get_args(ContactOutcome))
def test_reached_and_declined_reach_a_youth_and_other_outcomes_do_not(outcome: ContactOutcome) -> None:
    reached = (days(1), "reached") in counted(contacted("y", days(1), outcome))
    assert reached == (outcome in ("reached", "declined"))


def test_an_interview_before_any_contact_reaches_a_youth() -> None:
    assert (days(2), "reached") in counted(interviewed("y", days(2)), contacted("y", days(3)))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_only_some_kinds_of_training_are_a_return_and_civic_service_counts_apart(kind: Kind) -> None:
    codes = {measure for _, measure in counted(started("y", days(1), kind))}
    expected = {
        "school": {"returned"},
        "innovative_structure": {"returned"},
        "apprenticeship": {"returned"},
        "trainee": {"returned"},
        "civic_service": {"civic_service"},
    }
    assert codes == expected.get(kind, set())


@pytest.mark.parametrize("reason", get_args(EndReason))
def test_only_dropping_out_and_being_lost_break_a_contract(reason: EndReason) -> None:
    broken = (days(1), "broken") in counted(ended("y", days(1), reason))
    assert broken == (reason in ("dropped_out", "lost"))


def test_a_dismissed_youth_counts_in_nothing_but_dismissed() -> None:
    assert counted(detected("y", MARCH), contacted("y", days(2)), dismissed("y", days(3), "AGRICULTURE")) == {
        (days(3), "dismissed"),
        (days(3), "dismissed:AGRICULTURE"),
        (MARCH, "cohort:dismissed"),
        (MARCH, "cohort:detected:SCOLARITE"),
        (MARCH, "cohort:dismissed:SCOLARITE"),
    }


def test_a_dismissal_on_the_day_of_the_last_detection_holds_and_one_before_it_does_not() -> None:
    assert (MARCH, "dismissed") in counted(detected("y", MARCH), dismissed("y", MARCH))
    again = counted(detected("y", MARCH), dismissed("y", days(3)), detected("y", days(4)))
    assert (MARCH, "detected") in again
    assert not {measure for _, measure in again if measure.startswith("dismissed")}


def test_the_last_dismissal_counts_by_its_day_and_its_own_source() -> None:
    assert counted(dismissed("y", days(9), None), dismissed("y", days(3), "SCOLARITE")) == {
        (days(9), "dismissed"),
        (days(9), "dismissed:UNKNOWN"),
    }


def test_a_youth_belongs_to_the_owner_of_the_latest_day_then_of_the_latest_recording() -> None:
    assert leaf_of(known(transferred("y", days(5), 2), detected("y", MARCH, 0))) == Leaf("24", "93", "FOQ-93-01")
    assert leaf_of(known(transferred("y", MARCH, 2), detected("y", MARCH, 3))) == Leaf("24", "77", "FOQ-77-01")
    assert leaf_of(known(contacted("y", MARCH))) is None


def test_the_cohort_knows_what_became_of_a_youth_and_how_long_it_took() -> None:
    life = (
        detected("y", MARCH),
        contacted("y", days(-2), "no_answer"),
        interviewed("y", days(20)),
        offered("y", days(27)),
        contracted("y", days(27)),
    )
    assert {measure for day, measure in counted(*life) if day == MARCH} == {
        "detected",
        "cohort:attempted",
        "cohort:reached",
        "cohort:interviewed",
        "cohort:offered",
        "cohort:contracted",
        "cohort:detected:SCOLARITE",
        "delay:detected_to_attempted:0",
        "delay:detected_to_interviewed:20",
        "delay:interviewed_to_offered:7",
        "delay:offered_to_contracted:0",
        "delay:detected_to_reached:20",
        "delay:detected_to_contracted:27",
        "delay:detected_to_verified:27",
    }


def test_a_youth_never_detected_is_in_no_cohort() -> None:
    assert counted(offered("y", days(1)), contracted("y", days(2))) == {(days(1), "offered"), (days(2), "contracted")}
