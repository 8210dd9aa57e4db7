"""Whatever happens to placements, in any order and however often: no seat is sold twice and none is lost."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalogue.domain import Contract, Happening, State, follow, seats

HAPPENINGS: tuple[Happening, ...] = ("expired", "accepted", "declined", "signed", "left_early")
STATES: tuple[State, ...] = ("held", "expired", "accepted", "declined", "occupied", "freed")

states = st.sampled_from(STATES)
happenings = st.sampled_from(HAPPENINGS)


class Session:
    """A session's counters and its placements' states, moved by the rule alone."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.held = 0
        self.occupied = 0
        self.placements: list[State] = []

    def offer(self) -> None:
        if self.held + self.occupied < self.places:
            self.held += 1
            self.placements.append("held")

    def happen(self, number: int, happening: Happening) -> None:
        if not self.placements:
            return
        which = number % len(self.placements)
        free = self.held + self.occupied < self.places
        step = follow(self.placements[which], happening, seat_free=free)
        self.held += step.held
        self.occupied += step.occupied
        self.placements[which] = step.state


@given(
    places=st.integers(0, 4),
    moves=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 9), happenings)), max_size=60),
)
def test_counters_are_those_the_states_imply_and_never_exceed_the_places(
    places: int, moves: Sequence[tuple[int, Happening] | None]
) -> None:
    session = Session(places)
    for move in moves:
        if move is None:
            session.offer()
        else:
            session.happen(*move)
        assert session.held == sum(seats(state)[0] for state in session.placements)
        assert session.occupied == sum(seats(state)[1] for state in session.placements)
        assert session.held >= 0
        assert session.occupied >= 0
        assert session.held + session.occupied <= places


@given(happened=st.lists(happenings, max_size=5, unique=True), data=st.data())
def test_with_seats_enough_any_order_and_repetition_gives_the_same_state(
    happened: list[Happening], data: st.DataObject
) -> None:
    def fold(order: Sequence[Happening]) -> State:
        state: State = "held"
        for happening in order:
            state = follow(state, happening, seat_free=True).state
        return state

    expected = fold(happened)
    assert all(fold(order) == expected for order in permutations(happened))
    if happened:
        again = data.draw(st.lists(st.sampled_from(happened), max_size=10))
        assert fold(data.draw(st.permutations(happened + again))) == expected


@given(state=states, happening=happenings)
def test_a_step_is_taken_once(state: State, happening: Happening) -> None:
    once = follow(state, happening, seat_free=True)
    again = follow(once.state, happening, seat_free=True)
    assert (again.state, again.held, again.occupied, again.conflict) == (once.state, 0, 0, None)


@given(state=states, happening=happenings)
def test_a_full_session_changes_only_steps_that_need_a_seat(state: State, happening: Happening) -> None:
    ample, full = (follow(state, happening, seat_free=free) for free in (True, False))
    if ample.needs_seat:
        assert full.state == state
        assert (full.held, full.occupied) == (0, 0)
        assert full.conflict == ("accepted_without_seat" if happening == "accepted" else "signed_without_seat")
    else:
        assert full == ample


@pytest.mark.parametrize(
    ("state", "happening", "expected"),
    [
        ("held", "accepted", "accepted"),
        ("held", "declined", "declined"),
        ("held", "expired", "expired"),
        ("held", "signed", "occupied"),
        ("accepted", "expired", "accepted"),
        ("accepted", "declined", "declined"),
        ("accepted", "signed", "occupied"),
        ("declined", "accepted", "declined"),
        ("declined", "expired", "declined"),
        ("declined", "signed", "occupied"),
        ("expired", "accepted", "accepted"),
        ("expired", "declined", "declined"),
        ("expired", "signed", "occupied"),
        ("occupied", "accepted", "occupied"),
        ("occupied", "declined", "occupied"),
        ("occupied", "expired", "occupied"),
        ("occupied", "left_early", "freed"),
        ("freed", "signed", "freed"),
        ("freed", "accepted", "freed"),
    ],
)
def test_what_each_happening_leads_to(state: State, happening: Happening, expected: State) -> None:
    assert follow(state, happening, seat_free=True).state == expected


@given(ends_on=st.dates(date(2013, 1, 1), date(2014, 12, 31)), days=st.integers(-400, 400))
def test_only_a_contract_that_ended_before_its_last_day_gives_its_seat_back(ends_on: date, days: int) -> None:
    ended_on = ends_on + timedelta(days=days)
    contract = Contract("c", placement_id="p", ends_on=ends_on, ended_on=ended_on)
    assert contract.happening() == ("left_early" if days < 0 else "signed")
    assert Contract("c", placement_id="p", ends_on=ends_on).happening() == "signed"
    assert Contract("c", ended_on=ended_on).happening() is None
