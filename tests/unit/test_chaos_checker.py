"""The judge of `make chaos` finds what is wrong: a history without a fault, spoilt in one place at a time."""

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from shared.events import (
    ContactAttempted,
    ContractSigned,
    DropoutDetected,
    PlacementAccepted,
    PlacementExpired,
    ReferralDeadLetterKept,
    YouthEvent,
)
from shared.events.referral import RowCounts
from tests.chaos.checker import Violation
from tests.chaos.faults import Fault, plan
from tests.chaos.judge import judge, verdict
from tests.chaos.ledger import Command, Planted, Row
from tests.chaos.specimen import PLANTED, Specimen
from tests.support import oracle


def found(specimen: Specimen) -> list[Violation]:
    return judge(specimen.evidence())


def kinds(specimen: Specimen) -> set[str]:
    return {violation.kind for violation in found(specimen)}


def contact(on: date, youth: str = "youth-1") -> ContactAttempted:
    return ContactAttempted(youth_id=youth, on=on, channel="phone", outcome="reached")


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    specimen = Specimen()
    assert found(specimen) == []
    line = verdict([], faults=12, events=len(specimen.evidence().events), seed=7)
    assert line == "chaos: faults=12 events=30 lost=0 doubled=0 oversold=0 drift=0 seed=7"


def test_the_last_line_counts_what_was_found_and_leaves_the_rest_to_the_list() -> None:
    violations = [
        Violation("lost", "a"),
        Violation("doubled", "b", 2),
        Violation("oversold", "c"),
        Violation("drift", "d"),
        Violation("drift", "e"),
        Violation("wrong", "f"),
    ]
    line = verdict(violations, faults=1, events=2, seed=3)
    assert line == "chaos: faults=1 events=2 lost=1 doubled=2 oversold=1 drift=2 seed=3"


def test_an_event_published_twice_is_one_event() -> None:
    specimen = Specimen()
    again = specimen.event(ContactAttempted)
    specimen.log.events.append(replace(again, place=("referral.events", 0, 900)))
    assert found(specimen) == []


# lost


@pytest.mark.parametrize("type_", [ContactAttempted, DropoutDetected, PlacementAccepted, ContractSigned])
def test_an_event_that_counts_as_published_and_is_not_in_the_log_is_lost(type_: type[YouthEvent]) -> None:
    specimen = Specimen()
    specimen.log.events.remove(specimen.event(type_))
    texts = [violation.text for violation in found(specimen) if violation.kind == "lost"]
    assert any("counts as published" in text for text in texts)
    assert len(texts) >= 2, "whoever waits for its effect misses it, too"


def test_an_acknowledged_command_of_which_nobody_knows_anything_is_lost() -> None:
    specimen = Specimen()
    command = Command("key", "contact", "referral", "/", {"outcome": "reached"}, "youth-1", "2013-06-01", attempts=1)
    command.answers.append({"state": "reached"})
    specimen.ledger.commands.append(command)
    assert Counter(violation.kind for violation in found(specimen)) == {"lost": 2}


def test_an_event_that_was_never_published_is_lost() -> None:
    specimen = Specimen()
    event = specimen.event(ContactAttempted)
    specimen.log.events.remove(event)
    specimen.put("referral", "unpublished", {"_id": event.id, "events": [event.id]})
    assert any("never published" in violation.text for violation in found(specimen))


def test_a_row_that_the_broker_confirmed_and_that_is_with_nobody_is_lost() -> None:
    specimen = Specimen()
    row = Row("SCOLARITE|2013-03|R99", 99, "row-99", "2013-03-31", ("2013-03", "SCOLARITE", "R99"))
    specimen.ledger.rows.append(row)
    assert found(specimen) == [], "nobody has confirmed it yet"
    row.confirmed = True
    assert [violation.kind for violation in found(specimen)] == ["lost"]


def test_a_rejected_row_is_counted_once() -> None:
    specimen = Specimen()
    for number in range(2):
        row = Row(f"SCOLARITE|2013-03|X{number}", 50 + number, f"x-{number}", "2013-03-31", expected="over_25")
        row.confirmed = True
        specimen.ledger.rows.append(row)
    specimen.put("referral", "rejection_counts", {"_id": "over_25", "rows": 2})
    assert kinds(specimen) == {"lost"}, "no list tells of them"
    counts = RowCounts(source="SCOLARITE", campaign="2013-03", rows=3, rejected={"over_25": 3})
    specimen.tell_of_list("list-x", counts)
    assert found(specimen) == []
    specimen.one("referral", "rejection_counts")["rows"] = 1
    assert kinds(specimen) == {"lost"}
    specimen.one("referral", "rejection_counts")["rows"] = 3
    assert kinds(specimen) == {"doubled"}


def test_an_event_that_one_service_has_not_heard_of_is_lost() -> None:
    for service, collection, changes in (
        ("catalogue", "placements", {"state": "accepted"}),
        ("referral", "youths", {"open_contracts": [], "ended_contracts": []}),
        ("tracking", "contracts", {"reviews": []}),
        ("referral", "youths", {"interviewed_on": None}),
        ("referral", "youths", {"attempts": []}),
    ):
        specimen = Specimen()
        specimen.one(service, collection, 1).update(changes)
        assert "lost" in kinds(specimen), (service, collection, changes)


def test_a_bad_record_that_is_no_dead_letter_is_lost_and_another_dead_letter_is_wrong() -> None:
    specimen = Specimen()
    del specimen.stores["catalogue"]["dead_letters"][0]
    assert {(violation.kind, "catalogue" in violation.text) for violation in found(specimen)} == {
        ("lost", True),
        ("doubled", True),  # it is told all the same
    }
    specimen = Specimen()
    letter = {**specimen.one("reporting", "dead_letters"), "_id": "other", "offset": 8, "code": "not_applicable"}
    specimen.put("reporting", "dead_letters", letter)
    assert kinds(specimen) == {"wrong"}


def test_a_bad_record_about_an_under_16_must_not_be_kept() -> None:
    specimen = Specimen()
    specimen.ledger.planted[0] = Planted("planted-0", PLANTED[0], "bad_json", kept=False, confirmed=True)
    assert len(found(specimen)) == 3


def test_a_list_or_a_dead_letter_that_is_not_told_or_not_kept_is_lost() -> None:
    for collection in ("taken_lists", "told_dead_letters"):
        specimen = Specimen()
        del specimen.stores["reporting"][collection][0]
        assert [violation.kind for violation in found(specimen)] == ["lost"]
    specimen = Specimen()
    letter = {**specimen.one("referral", "dead_letters"), "_id": "untold", "offset": 8}
    specimen.put("referral", "dead_letters", letter)
    assert "lost" in kinds(specimen)


# doubled


def test_rows_and_dead_letters_that_are_told_twice_are_doubled() -> None:
    specimen = Specimen()
    specimen.tell_of_list("list-x", RowCounts(source="SCOLARITE", campaign="2013-03", rows=1, accepted=1))
    assert [violation.kind for violation in found(specimen)] == ["doubled"]
    specimen = Specimen()
    told = ReferralDeadLetterKept(on=date(2013, 4, 1), dead_letter_id="letter", topic="t", code="bad_json")
    specimen.publish(told)
    assert [violation.kind for violation in found(specimen)] == ["doubled"]


def test_a_command_done_twice_is_doubled() -> None:
    specimen = Specimen()
    event = contact(date.fromisoformat(specimen.command("contact", 1).on))
    specimen.publish(event)
    specimen.one("referral", "youths", 1)["attempts"].append({"on": event.on.isoformat()})
    assert Counter(violation.kind for violation in found(specimen)) == {"doubled": 1}


def test_a_refused_command_with_an_effect_is_doubled() -> None:
    specimen = Specimen()
    command = Command("key", "contact", "referral", "/", {"outcome": "reached"}, "youth-1", "2013-06-01", attempts=1)
    command.refusals.append("unknown_youth")
    specimen.ledger.commands.append(command)
    assert found(specimen) == []
    specimen.publish(contact(date(2013, 6, 1)))
    assert "doubled" in kinds(specimen)


def test_a_command_that_nobody_answered_may_be_done_or_not_but_not_twice() -> None:
    specimen = Specimen()
    command = Command("key", "contact", "referral", "/", {"outcome": "reached"}, "youth-1", "2013-06-01")
    command.attempts = command.unanswered = 1
    command.refusals.append("unknown_youth")  # a later attempt's; the first may still be done
    specimen.ledger.commands.append(command)
    assert command.outcome == "unknown"
    assert found(specimen) == []
    specimen.publish(contact(date(2013, 6, 1)))
    specimen.put("referral", "idempotency", {"_id": "key"})
    specimen.one("referral", "youths", 1)["attempts"].append({"on": "2013-06-01"})
    assert found(specimen) == []
    specimen.publish(contact(date(2013, 6, 1)))
    assert "doubled" in kinds(specimen)


def test_an_event_that_nobody_asked_for_is_doubled() -> None:
    specimen = Specimen()
    specimen.publish(contact(date(2013, 8, 8)))
    assert "doubled" in kinds(specimen)


def test_an_event_in_no_outbox_is_doubled() -> None:
    specimen = Specimen()
    del specimen.stores["tracking"]["outbox"][0]
    assert Counter(violation.kind for violation in found(specimen)) == {"doubled": 1}


def test_one_person_as_two_youths_is_doubled() -> None:
    specimen = Specimen()
    specimen.one("referral", "youths", 1)["identity"] = specimen.one("referral", "youths", 2)["identity"]
    assert Counter(violation.kind for violation in found(specimen)) == {"doubled": 1}
    specimen = Specimen()
    specimen.ledger.rows[2].person = specimen.ledger.rows[1].person
    assert "doubled" in kinds(specimen)
    specimen = Specimen()
    specimen.put("referral", "youths", {**specimen.one("referral", "youths"), "_id": "x", "identity": "x", "ine": None})
    assert "doubled" in kinds(specimen)


def test_a_row_that_is_two_sightings_is_doubled() -> None:
    specimen = Specimen()
    sightings = specimen.one("referral", "youths", 1)["sightings"]
    sightings.append(sightings[0])
    assert Counter(violation.kind for violation in found(specimen)) == {"doubled": 1}


# the rest


def test_one_youth_too_many_in_a_session_is_oversold() -> None:
    specimen = Specimen()
    specimen.one("catalogue", "sessions")["places"] = 1
    assert [(violation.kind, violation.count) for violation in found(specimen)] == [("oversold", 1)]


def test_a_late_acceptance_without_a_seat_is_no_fault_and_a_second_expiry_is_one() -> None:
    specimen = Specimen()
    late = specimen.one("catalogue", "placements", 1)
    late.update(state="expired", conflict="signed_without_seat")
    specimen.one("catalogue", "sessions")["occupied"] -= 1
    assert kinds(specimen) == {"lost"}, "the log must tell of the expiry"
    expired = PlacementExpired(youth_id="youth-1", on=date(2013, 4, 5), placement_id="placement-1", solution_id="SOL")
    specimen.publish(expired)
    assert found(specimen) == []
    specimen.publish(expired)
    assert kinds(specimen) == {"doubled"}


def test_a_counter_that_its_placements_do_not_bear_out_is_wrong() -> None:
    specimen = Specimen()
    specimen.one("catalogue", "sessions")["occupied"] += 1
    assert kinds(specimen) == {"wrong"}


def test_a_figure_that_differs_in_one_replica_is_drift() -> None:
    specimen = Specimen()
    specimen.figures[1].rows["departement", "01"]["activity"]["interviewed"] += 1
    assert [(violation.kind, "reporting-1 departement/01" in violation.text) for violation in found(specimen)] == [
        ("drift", True)
    ]


def test_a_unit_without_its_figures_is_drift() -> None:
    specimen = Specimen()
    del specimen.figures[0].rows["network", "FOQ-01-01"]
    drift = found(specimen)
    assert {violation.kind for violation in drift} == {"drift"}
    assert len(drift) > 5


def test_figures_that_are_not_what_the_clients_were_told_are_drift() -> None:
    """Log and figures agree; that an interview was acknowledged only the ledger knows."""
    specimen = Specimen()
    command = Command("key", "interview", "referral", "/", {}, "youth-9", "2013-06-01", attempts=1)
    command.answers.append({"state": "interviewed"})
    specimen.ledger.commands.append(command)
    told = [violation for violation in found(specimen) if violation.kind == "drift"]
    assert len(told) == 2 * len(specimen.figures)  # interviewed and reached
    assert specimen.figures[0].rows["national", "FR"]["activity"]["interviewed"] == 3
    assert oracle.NOBODY["activity"]["interviewed"] == 0


def test_a_difference_that_reporting_finds_itself_is_drift() -> None:
    specimen = Specimen()
    specimen.differences.append("national FR 2013-04-02 interviewed: live 1, recomputed 2")
    assert kinds(specimen) == {"drift"}


def test_two_answers_for_one_key_are_wrong() -> None:
    specimen = Specimen()
    specimen.command("offer").answers.append({"placement_id": "another"})
    assert kinds(specimen) == {"wrong"}


# the plan of faults


def test_the_same_seed_plans_the_same_faults() -> None:
    assert plan(5, faults=60, seconds=600, replicas=2) == plan(5, faults=60, seconds=600, replicas=2)
    assert plan(5, faults=60, seconds=600, replicas=2) != plan(6, faults=60, seconds=600, replicas=2)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_has_as_many_faults_as_asked_for_of_every_kind_and_within_its_time(seed: int) -> None:
    planned = plan(seed, faults=60, seconds=600, replicas=2)
    assert len(planned) == 60
    assert {fault.what for fault in planned} == set(Fault)
    assert all(0 <= fault.at <= 600 for fault in planned)
    assert all(fault.lasts > 6 for fault in planned if fault.what is Fault.PAUSE)
    assert len({fault.at for fault in planned}) < 60, "two at once now and then"
