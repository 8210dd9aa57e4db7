"""Youths, seats and contracts in three services at once, whose news reach each other late, twice and out of order."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.catalogue.domain import Contract as HeardContract
from services.catalogue.domain import Happening, follow, seats
from services.catalogue.domain import Placement as Seat
from services.referral import domain as referral
from services.referral.domain import Owner
from services.tracking.domain import Contract, Dismissal, EarlyExpiry, Placement, Refused, expire, hear_of, sign
from shared.events.tracking import EndReason
from tests.support.referral import row_of
from tests.support.tracking import OFFER, TERMS

YOUTHS = st.sampled_from(("ada", "bob"))
SESSIONS = st.sampled_from(("one", "two"))
PLACES = {"one": 1, "two": 2}
OWNERS = (Owner("P1", "N1", "01", "10"), Owner("P2", "N2", "13", "02"))
DAYS = st.integers(0, 150).map(lambda number: date(2013, 3, 20) + timedelta(days=number))
WHICH = st.integers(0, 20)

News = tuple[str, str, str]
"""To which service, what happened, and to which youth, placement or contract."""


class Path(RuleBasedStateMachine):
    """Promised, at every moment: no session has more seats taken than places, and its counters are those of its
    placements; a seat is occupied only by a contract; a youth has one open contract at most, on a placement that was
    accepted, and none is over before it was signed; a youth has one owner, and is dismissed or in contract, never both
    on the worklist. Once all news have arrived, however often: no seat is leaked, each placement stands in the
    catalogue as in tracking or waits for a person (`conflict`), and referral knows exactly the contracts that run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moment = datetime(2013, 3, 20, 9, tzinfo=UTC)
        self.youths = {
            name: referral.new_youth(name, row_of(name, date(2013, 3, 1)), OWNERS[0]) for name in ("ada", "bob")
        }
        self.held: Counter[str] = Counter()
        self.occupied: Counter[str] = Counter()
        self.placed: dict[str, Seat] = {}
        self.heard: dict[str, HeardContract] = {}
        self.known: dict[str, Placement | EarlyExpiry] = {}
        self.contracts: dict[str, Contract] = {}
        self.dismissals: dict[str, Dismissal] = {}
        self.last_dismissal: dict[str, Dismissal] = {}
        self.under_way: list[News] = []
        self.sent: list[News] = []

    def _send(self, *news: News) -> None:
        self.under_way += news
        self.sent += news

    def _now(self) -> datetime:
        self.moment += timedelta(minutes=1)
        return self.moment

    # The catalogue.

    @initialize(offers=st.lists(st.tuples(YOUTHS, SESSIONS), min_size=2, max_size=4), accepted=st.booleans())
    def begin(self, offers: list[tuple[str, str]], accepted: bool) -> None:
        for youth, session in offers:
            self.a_seat_is_offered(youth, session)
        if accepted:
            self._tell(("tracking", "offered", "p0"))
            self.a_youth_answers(0, date(2013, 3, 21), accepts=True)

    @rule(youth=YOUTHS, session=SESSIONS)
    def a_seat_is_offered(self, youth: str, session: str) -> None:
        if self._free(session):
            now, name = self._now(), f"p{len(self.placed)}"
            self.placed[name] = Seat(name, youth, "solution", session, "held", now.date(), now + timedelta(days=15))
            self.held[session] += 1
            self._send(("tracking", "offered", name))

    @precondition(lambda self: self.placed)
    @rule(which=WHICH)
    def nobody_answers_in_time(self, which: int) -> None:
        name = f"p{which % len(self.placed)}"
        if self.placed[name].state == "held":
            self._advance(name, "expired")
            self._send(("tracking", "expired", name))

    def _free(self, session: str) -> bool:
        return self.held[session] + self.occupied[session] < PLACES[session]

    def _advance(self, name: str, happening: Happening, contract: str | None = None) -> None:
        before = self.placed[name]
        assert contract is None or before.contract_id in (None, contract), "two contracts on one placement"
        step = follow(before.state, happening, seat_free=self._free(before.session_id))
        self.held[before.session_id] += step.held
        self.occupied[before.session_id] += step.occupied
        conflict = step.conflict or (None if step.state != before.state else before.conflict)
        self.placed[name] = replace(
            before, state=step.state, contract_id=contract or before.contract_id, conflict=conflict
        )

    def catalogue_hears(self, what: str, name: str) -> None:
        if what in ("accepted", "declined"):
            self._advance(name, "accepted" if what == "accepted" else "declined")
            return
        told, known = self.contracts[name], self.heard.get(name, HeardContract(name))
        signed = what == "signed"
        self.heard[name] = known = HeardContract(
            name,
            placement_id=told.placement_id if signed else known.placement_id,
            ends_on=told.terms.ends_on if signed else known.ends_on,
            ended_on=known.ended_on if signed else told.ended_on,
        )
        happening = known.happening()
        if happening is not None:
            self._advance(told.placement_id, happening, name)

    # Tracking.

    @precondition(lambda self: self.known)
    @rule(which=WHICH, on=DAYS, accepts=st.booleans())
    def a_youth_answers(self, which: int, on: date, accepts: bool) -> None:
        name = list(self.known)[which % len(self.known)]
        placement = self.known[name]
        if isinstance(placement, Placement):
            after = placement.accept(on, self.moment) if accepts else placement.decline(on, "family")
            if isinstance(after, Placement):
                self.known[name] = after
                self._send(("catalogue", "accepted" if accepts else "declined", name))

    @precondition(lambda self: self.known)
    @rule(which=WHICH)
    def a_contract_is_signed(self, which: int) -> None:
        placement = list(self.known.values())[which % len(self.known)]
        if not isinstance(placement, Placement) or self._open(placement.offer.youth_id):
            return
        name = f"c{len(self.contracts)}"
        outcome = sign(name, placement, TERMS)
        if not isinstance(outcome, Refused):
            assert placement.state == "accepted"
            self.known[placement.placement_id], self.contracts[name] = outcome
            self._send(("catalogue", "signed", name), ("referral", "signed", name))

    @precondition(lambda self: self.contracts)
    @rule(which=WHICH, on=DAYS)
    def a_training_starts(self, which: int, on: date) -> None:
        name = f"c{which % len(self.contracts)}"
        after = self.contracts[name].start(on)
        if isinstance(after, Contract):
            self.contracts[name] = after

    @precondition(lambda self: self.contracts)
    @rule(which=WHICH, on=DAYS, reason=st.sampled_from(get_args(EndReason)))
    def a_contract_ends(self, which: int, on: date, reason: EndReason) -> None:
        name = f"c{which % len(self.contracts)}"
        after = self.contracts[name].end(on, reason)
        if isinstance(after, Contract):
            self.contracts[name] = after
            self._send(("catalogue", "ended", name), ("referral", "ended", name))

    def _open(self, youth: str) -> set[str]:
        return {name for name, each in self.contracts.items() if each.youth_id == youth and each.state != "ended"}

    def tracking_hears(self, what: str, name: str) -> None:
        if what == "offered":
            seat = self.placed[name]
            recorded_at = seat.held_until - timedelta(days=15)
            offer = replace(
                OFFER, youth_id=seat.youth_id, on=seat.on, held_until=seat.held_until, recorded_at=recorded_at
            )
            self.known[name] = hear_of(self.known.get(name), name, offer)
            self._close(name, self.last_dismissal.get(seat.youth_id))
        elif what == "expired":
            self.known[name] = expire(self.known.get(name), name, self.placed[name].held_until.date())
        else:
            dismissal = self.dismissals[name]
            youth = name.partition("/")[0]
            self.last_dismissal[youth] = max(dismissal, self.last_dismissal.get(youth, dismissal))
            for placement in list(self.known):
                if self.placed[placement].youth_id == youth:
                    self._close(placement, self.last_dismissal[youth])

    def _close(self, name: str, dismissal: Dismissal | None) -> None:
        before = self.known[name]
        if dismissal is not None and isinstance(before, Placement):
            self.known[name] = before.dismiss(dismissal)
            if self.known[name] != before:
                self._send(("catalogue", "declined", name))

    # Referral.

    @rule(youth=YOUTHS, on=DAYS)
    def a_youth_is_dismissed(self, youth: str, on: date) -> None:
        if self.youths[youth].closed != "dismissed":
            self.youths[youth], _ = referral.dismiss(self.youths[youth], on, "error")
            name = f"{youth}/{len(self.dismissals)}"
            self.dismissals[name] = Dismissal(on, self._now())
            self._send(("tracking", "dismissed", name))

    @rule(youth=YOUTHS, on=DAYS, owner=st.sampled_from(OWNERS))
    def a_youth_is_seen_again(self, youth: str, on: date, owner: Owner) -> None:
        self.youths[youth], _ = referral.see_again(self.youths[youth], row_of(youth, on), owner)

    @rule(youth=YOUTHS, on=DAYS, owner=st.sampled_from(OWNERS))
    def a_youth_moves(self, youth: str, on: date, owner: Owner) -> None:
        self.youths[youth], _ = referral.transfer(self.youths[youth], on, owner)

    def referral_hears(self, what: str, name: str) -> None:
        youth = self.contracts[name].youth_id
        change = referral.contract_signed if what == "signed" else referral.contract_ended
        self.youths[youth] = change(self.youths[youth], name)

    # The bus: any news next, kept to come again or not.

    @precondition(lambda self: self.under_way)
    @rule(which=WHICH, comes_again=st.booleans())
    def news_arrive(self, which: int, comes_again: bool) -> None:
        number = -1 - which % len(self.under_way)  # what is small is drawn more often: the news overtake each other
        self._tell(self.under_way[number] if comes_again else self.under_way.pop(number))

    def _tell(self, news: News) -> None:
        service, what, name = news
        {"catalogue": self.catalogue_hears, "tracking": self.tracking_hears, "referral": self.referral_hears}[service](
            what, name
        )

    # What must never be.

    @invariant()
    def no_seat_is_sold_twice_or_lost(self) -> None:
        for session, places in PLACES.items():
            implied = [seats(seat.state) for seat in self.placed.values() if seat.session_id == session]
            assert (self.held[session], self.occupied[session]) == (
                sum(h for h, _ in implied),
                sum(o for _, o in implied),
            )
            assert 0 <= self.held[session] + self.occupied[session] <= places

    @invariant()
    def a_seat_is_occupied_only_by_a_contract(self) -> None:
        for seat in self.placed.values():
            if seat.state in ("occupied", "freed"):
                assert seat.contract_id is not None
                assert self.contracts[seat.contract_id].placement_id == seat.placement_id

    @invariant()
    def a_youth_has_one_open_contract_at_most_and_it_was_signed_on_an_accepted_place(self) -> None:
        assert all(len(self._open(youth)) <= 1 for youth in self.youths)
        for name, contract in self.contracts.items():
            placement = self.known[contract.placement_id]
            assert isinstance(placement, Placement)
            assert (placement.state, placement.contract_id) == ("contracted", name)
            assert contract.ended_on is None or contract.ended_on >= contract.terms.on

    @invariant()
    def a_youth_has_one_owner_and_one_place_on_the_worklist(self) -> None:
        for name, youth in self.youths.items():
            assert youth.owner in OWNERS
            assert youth.open_contracts.isdisjoint(youth.ended_contracts)
            runs = bool(youth.open_contracts)
            expected = "dismissed" if youth.closed == "dismissed" else "in_contract" if runs else youth.stage
            assert youth.stored_state == expected
            assert not (runs and youth.closed == "contract_ended"), "over and running"
            signed = {key for key, contract in self.contracts.items() if contract.youth_id == name}
            assert youth.open_contracts | youth.ended_contracts <= signed

    def teardown(self) -> None:
        while self.under_way:
            self._tell(self.under_way.pop(0))
        self._all_agree()
        for news in list(self.sent):
            self._tell(news)
        assert not self.under_way, "what was heard before is no news"
        self._all_agree()

    def _all_agree(self) -> None:
        for name, seat in self.placed.items():
            placement = self.known[name]
            assert isinstance(placement, Placement)
            assert seat.conflict or seat.state == self._state_of_seat(placement)
        for name, youth in self.youths.items():
            assert youth.open_contracts == self._open(name)

    def _state_of_seat(self, placement: Placement) -> str:
        if placement.contract_id is None:
            return "held" if placement.state == "offered" else placement.state
        contract = self.contracts[placement.contract_id]
        return "freed" if contract.ended_on is not None and contract.ended_on < contract.terms.ends_on else "occupied"


TestPath = Path.TestCase
TestPath.settings = settings(max_examples=250, stateful_step_count=40)
