"""Placements and contracts under any sequence of what may happen, and the contract's rules against other reckonings."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.tracking.documents import of_contract, of_placement, to_contract, to_known
from services.tracking.domain import (
    Contract,
    Dismissal,
    EarlyExpiry,
    Placement,
    Refused,
    Signatures,
    Terms,
    contract_failures,
    expire,
    hear_of,
    sign,
)
from services.tracking.domain.contract import ContractState
from services.tracking.domain.placement import PlacementState
from shared.events.tracking import EndReason, ReviewOutcome
from tests.support.tracking import HELD_UNTIL, NOW, OFFER, TERMS

DAYS = st.dates(date(2013, 1, 1), date(2014, 12, 31))
MOMENTS = st.datetimes(datetime(2013, 3, 1), datetime(2013, 5, 1), timezones=st.just(UTC))  # noqa: DTZ001 given a zone
REASONS = st.sampled_from(["too_far", "family"])

# What a placement may become next, itself included: written down apart from the code that decides.
NEXT: dict[PlacementState, set[PlacementState]] = {
    "offered": {"offered", "accepted", "declined", "expired"},
    "accepted": {"accepted", "declined", "contracted"},
    "declined": {"declined"},
    "expired": {"expired"},
    "contracted": {"contracted"},
}
CONTRACT_NEXT: dict[ContractState, set[ContractState]] = {
    "signed": {"signed", "running", "ended"},
    "running": {"running", "ended"},
    "ended": {"ended"},
}


class OneOffer(RuleBasedStateMachine):
    """One placement and its contract: no command and no event leads to a forbidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.known: Placement | EarlyExpiry | None = None
        self.contract: Contract | None = None
        self.contracts_made = 0

    def become(self, after: Placement | EarlyExpiry | Refused) -> None:
        if isinstance(after, Refused):
            return
        if isinstance(self.known, Placement):
            assert isinstance(after, Placement), "an offer once known is never forgotten"
            assert after.state in NEXT[self.known.state]
            assert after.offer == self.known.offer
        elif isinstance(self.known, EarlyExpiry) and isinstance(after, Placement):
            assert after.state == "expired"
        self.known = after

    def contract_becomes(self, after: object) -> None:
        if isinstance(after, Contract):
            assert self.contract is not None
            assert after.state in CONTRACT_NEXT[self.contract.state]
            assert after.terms == self.contract.terms
            assert after.reviews[: len(self.contract.reviews)] == self.contract.reviews
            self.contract = after

    @rule()
    def is_offered(self) -> None:
        self.become(hear_of(self.known, "placement", OFFER))

    @rule(on=DAYS)
    def expires(self, on: date) -> None:
        self.become(expire(self.known, "placement", on))

    @precondition(lambda self: isinstance(self.known, Placement))
    @rule(on=DAYS, now=MOMENTS)
    def is_accepted(self, on: date, now: datetime) -> None:
        assert isinstance(self.known, Placement)
        after = self.known.accept(on, now)
        if now > HELD_UNTIL:
            assert isinstance(after, Refused)
        self.become(after)

    @precondition(lambda self: isinstance(self.known, Placement))
    @rule(on=DAYS, reason=REASONS)
    def is_declined(self, on: date, reason: str) -> None:
        assert isinstance(self.known, Placement)
        self.become(self.known.decline(on, reason))

    @precondition(lambda self: isinstance(self.known, Placement))
    @rule(on=DAYS, recorded_at=MOMENTS)
    def youth_is_dismissed(self, on: date, recorded_at: datetime) -> None:
        assert isinstance(self.known, Placement)
        after = self.known.dismiss(Dismissal(on, recorded_at))
        if on < OFFER.on:
            assert after == self.known, "an offer made after the dismissal stands"
        self.become(after)

    @precondition(lambda self: isinstance(self.known, Placement))
    @rule()
    def is_signed(self) -> None:
        assert isinstance(self.known, Placement)
        before = self.known
        outcome = sign(f"contract-{self.contracts_made}", before, TERMS)
        if isinstance(outcome, tuple):
            assert before.state == "accepted"
            self.contracts_made += 1
            self.become(outcome[0])
            self.contract = outcome[1]

    @precondition(lambda self: self.contract is not None)
    @rule(on=DAYS)
    def starts(self, on: date) -> None:
        assert self.contract is not None
        self.contract_becomes(self.contract.start(on))

    @precondition(lambda self: self.contract is not None)
    @rule(on=DAYS, outcome=st.sampled_from(get_args(ReviewOutcome)), next_on=st.none() | DAYS)
    def is_reviewed(self, on: date, outcome: Any, next_on: date | None) -> None:
        assert self.contract is not None
        self.contract_becomes(self.contract.review(on, outcome, next_on))

    @precondition(lambda self: self.contract is not None)
    @rule(on=DAYS, reason=st.sampled_from(get_args(EndReason)))
    def ends(self, on: date, reason: Any) -> None:
        assert self.contract is not None
        self.contract_becomes(self.contract.end(on, reason))

    @invariant()
    def has_one_contract_and_only_when_it_says_so(self) -> None:
        assert self.contracts_made <= 1
        contracted = isinstance(self.known, Placement) and self.known.state == "contracted"
        assert contracted == (self.contract is not None)

    @invariant()
    def contract_is_consistent(self) -> None:
        contract = self.contract
        if contract is None:
            return
        assert (contract.ended_on is None) == (contract.end_reason is None) == (contract.next_review_on is not None)
        assert not contract.reviews or contract.started_on is not None
        assert contract.ended_on is None or contract.ended_on >= contract.terms.on
        assert all(review.next_on > review.on for review in contract.reviews)
        if contract.reviews and contract.next_review_on is not None:
            assert contract.next_review_on > max(review.on for review in contract.reviews)

    @invariant()
    def lies_in_the_store_as_it_is(self) -> None:
        if self.known is not None:
            assert to_known(of_placement(self.known)) == self.known
        if self.contract is not None:
            document = of_contract(self.contract)
            assert to_contract(document) == self.contract
            assert ("open" in document) == (self.contract.state != "ended")


TestOneOffer = OneOffer.TestCase


Fact = tuple[str, Any]


@st.composite
def heard(draw: st.DrawFn) -> list[Fact]:
    """What the bus may say about one placement, each any number of times, in any order."""
    dismissals = draw(st.lists(st.builds(Dismissal, DAYS, MOMENTS), max_size=2))
    facts: list[Fact] = [("offered", None), *(("dismissed", dismissal) for dismissal in dismissals)]
    return draw(st.permutations(draw(st.lists(st.sampled_from(facts), max_size=4)) + facts))


@given(heard().flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))))
def test_offers_and_dismissals_give_the_same_in_any_order(orders: tuple[list[Fact], list[Fact]]) -> None:
    facts, shuffled = orders

    def settle(order: list[Fact]) -> str:
        known: Placement | EarlyExpiry | None = None
        last: Dismissal | None = None
        for what, dismissal in order:
            if what == "offered":
                known = hear_of(known, "placement", OFFER)
            else:
                last = max(last or dismissal, dismissal)
            if isinstance(known, Placement) and last is not None:
                known = known.dismiss(last)
        assert isinstance(known, Placement)
        return known.state

    closed = any(
        what == "dismissed" and (OFFER.on, OFFER.recorded_at) <= (fact.on, fact.recorded_at) for what, fact in facts
    )
    assert settle(facts) == settle(shuffled) == ("declined" if closed else "offered")


@given(
    born=st.dates(date(1990, 1, 1), date(2000, 12, 31)),
    on=st.dates(date(2012, 1, 1), date(2016, 12, 31)),
    guardian=st.booleans(),
)
def test_a_guardian_signs_for_whoever_is_under_eighteen_that_day(born: date, on: date, guardian: bool) -> None:
    """The oracle knows the whole birth date; the rule only its month, and what the request says within it."""
    of_age = on >= _birthday(born, 18)
    within = (on.year, on.month) == (born.year + 18, born.month)
    terms = Terms(
        on=on,
        starts_on=on,
        ends_on=on + timedelta(days=90),
        tutor=TERMS.tutor,
        signatures=Signatures(on, on, on if guardian else None),
        adult=of_age if within else None,
    )
    found = [failure.code for failure in contract_failures(terms, "school", f"{born:%Y-%m}")]
    assert found == ([] if of_age or guardian else ["guardian_signature_needed"])


@given(
    born=st.dates(date(1995, 1, 1), date(1996, 12, 31)),
    on=st.dates(date(2013, 1, 1), date(2014, 12, 31)),
    adult=st.none() | st.booleans(),
)
def test_the_request_says_adult_exactly_where_the_month_of_birth_cannot(
    born: date, on: date, adult: bool | None
) -> None:
    unsettled = f"{on:%Y-%m}" == f"{born.year + 18}-{born:%m}"
    terms = Terms(
        on=on,
        starts_on=on,
        ends_on=on + timedelta(days=90),
        tutor=TERMS.tutor,
        signatures=Signatures(on, on, on),
        adult=adult,
    )
    found = [failure.code for failure in contract_failures(terms, "school", f"{born:%Y-%m}")]
    assert found == (["adult_needed"] if unsettled and adult is None else [])


@given(starts_on=st.dates(date(2010, 1, 1), date(2030, 12, 31)), days=st.integers(1, 500))
def test_a_civic_service_is_too_short_or_too_long_by_a_walk_through_the_calendar(starts_on: date, days: int) -> None:
    ends_on = starts_on + timedelta(days=days)
    terms = Terms(
        on=starts_on,
        starts_on=starts_on,
        ends_on=ends_on,
        tutor=TERMS.tutor,
        signatures=Signatures(starts_on, starts_on),
        hours_per_week=30,
        formula="full",
    )
    found = [failure.code for failure in contract_failures(terms, "civic_service", "1980-01")]
    # Six months are over on the last day of service at the latest; twelve months not before the day it ends.
    long_enough = _walk(starts_on, 6) <= ends_on + timedelta(days=1)
    short_enough = ends_on <= _walk(starts_on, 12)
    assert found == ([] if long_enough and short_enough else ["civic_service_duration"])


def _birthday(born: date, years: int) -> date:
    try:
        return born.replace(year=born.year + years)
    except ValueError:  # 29 February: of age on 1 March where there is none
        return date(born.year + years, 3, 1)


def _walk(day: date, months: int) -> date:
    """Month by month: count month changes, then stop at the same day or the month's end."""
    walked = day
    while months:
        walked += timedelta(days=1)
        if walked.day == 1:
            months -= 1
    last = monthrange(walked.year, walked.month)[1]
    return walked + timedelta(days=min(day.day, last) - 1)


def test_the_moments_drawn_lie_on_both_sides_of_the_hold() -> None:
    assert datetime(2013, 3, 1, tzinfo=UTC) < NOW < HELD_UNTIL < datetime(2013, 5, 1, tzinfo=UTC)
