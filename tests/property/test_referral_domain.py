"""A youth's case under any sequence of what may happen to it never reaches a state it must not have."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.referral import domain
from services.referral.domain import Attempt, Owner, Platform, UnreachableRule, assign, directory_of
from services.referral.eligibility import Row
from shared.events import DropoutDetected, InterviewDone
from shared.events.referral import Channel, ContactOutcome

DAYS = st.dates(min_value=date(2013, 1, 1), max_value=date(2014, 12, 31))
CONTRACTS = st.sampled_from(["c1", "c2", "c3"])
RULE = UnreachableRule()
HERE = Owner("P1", "N1", "01", "10")
THERE = Owner("P2", "N2", "13", "02")


def seen_on(day: date, number: int) -> Row:
    """A row that names the youth."""
    return Row(
        campaign=f"{day:%Y-%m}",
        on=day,
        source="SCOLARITE",
        source_row=str(number),
        family_name="MARTIN",
        given_names="Zoé",
        birth_date=date(1996, 1, 1),
        identity="martin zoe 1996-01-01",
        sex="F",
        commune="01004",
        departement="01",
        last_school=None,
        left_on=None,
    )


class Case(RuleBasedStateMachine):
    """Sightings, contacts, interviews, dismissals, transfers and contracts in any order."""

    @initialize(day=DAYS)
    def detect(self, day: date) -> None:
        self.rows = 0
        self.youth = domain.new_youth("y", seen_on(day, 0), HERE)
        self.latest = f"{day:%Y-%m}"
        self.signed: set[str] = set()
        self.ended: set[str] = set()
        self.owners = {self.youth.owner}

    @rule(day=DAYS, owner=st.sampled_from([HERE, THERE]))
    def see_again(self, day: date, owner: Owner) -> None:
        closed = self.youth.closed
        self.rows += 1
        self.latest = max(self.latest, f"{day:%Y-%m}")
        self.youth, event = domain.see_again(self.youth, seen_on(day, self.rows), owner)
        assert (event is not None) == (closed is not None)
        if isinstance(event, DropoutDetected):
            assert (event.on, event.platform_id) == (day, owner.platform_id)
            assert self.youth.state(self.latest) in ("to_contact", "in_contract")

    @rule(
        day=DAYS,
        channel=st.sampled_from(["phone", "sms", "letter"]),
        outcome=st.sampled_from(["reached", "no_answer", "message_left", "wrong_details", "declined"]),
    )
    def contact(self, day: date, channel: Channel, outcome: ContactOutcome) -> None:
        attempt = Attempt(day, channel, outcome)
        self.youth, event = domain.attempt_contact(self.youth, attempt, self.latest, RULE)
        assert (event.on, event.channel, event.outcome) == (day, channel, outcome)
        if outcome in ("reached", "declined"):
            assert self.youth.stage in ("reached", "interviewed")

    @rule(day=DAYS)
    def interview(self, day: date) -> None:
        self.youth = domain.interview(self.youth, InterviewDone(youth_id="y", on=day))
        assert self.youth.interviewed_on is not None
        assert self.youth.interviewed_on <= day

    @rule(day=DAYS)
    def dismiss(self, day: date) -> None:
        self.youth, event = domain.dismiss(self.youth, day, "error")
        assert self.youth.state(self.latest) == "dismissed"
        assert event.source == "SCOLARITE"

    @rule(later=st.integers(0, 90), owner=st.sampled_from([HERE, THERE]))
    def transfer(self, later: int, owner: Owner) -> None:
        day = self.youth.assigned_on + timedelta(days=later)
        before = self.youth.owner
        self.youth, event = domain.transfer(self.youth, day, owner)
        assert (event.from_platform_id, event.platform_id) == (before.platform_id, owner.platform_id)

    @rule(contract=CONTRACTS)
    def sign(self, contract: str) -> None:
        self.youth = domain.contract_signed(self.youth, contract)
        self.signed.add(contract)

    @rule(contract=CONTRACTS)
    def end(self, contract: str) -> None:
        self.youth = domain.contract_ended(self.youth, contract)
        self.ended.add(contract)

    @invariant()
    def is_in_contract_exactly_while_one_runs(self) -> None:
        assert self.youth.open_contracts == self.signed - self.ended
        if self.youth.closed != "dismissed":
            assert (self.youth.state(self.latest) == "in_contract") == bool(self.signed - self.ended)

    @invariant()
    def an_unreachable_youth_comes_back_at_the_next_campaign(self) -> None:
        if self.youth.stored_state == "unreachable":
            assert self.youth.state("2099-01") == "to_contact"

    @invariant()
    def every_sighting_is_kept(self) -> None:
        assert len(self.youth.sightings) == self.rows + 1


TestCase = Case.TestCase


def test_a_youth_has_one_owner_the_newest_claim_on_his_commune_failing_that_his_departement() -> None:
    def platform(name: str, departement: str, *communes: str, day: int = 1) -> Platform:
        return Platform(name, departement, "10", f"N-{name}", frozenset(communes), datetime(2013, 1, day, tzinfo=UTC))

    places = directory_of(
        [
            platform("B", "01", "01004"),
            platform("A", "01", "01004"),
            platform("C", "01", "01034", day=2),
            platform("D", "01", "01034"),
            platform("E", "13"),
            platform("F", "75", "75056"),
            platform("G", "69", "69381"),
        ]
    )

    def owner(commune: str, departement: str) -> str | None:
        found = assign(commune, departement, places)
        return found.platform_id if found else None

    assert owner("01004", "01") == "A"
    assert owner("01034", "01") == "C"
    assert owner("01999", "01") == "C"
    assert owner("13055", "13") == "E"
    assert owner("75111", "75") == "F"
    assert owner("69381", "69") == "G"
    assert owner("2A004", "2A") is None
