"""What the platforms, the schools and the youth do after a list: one youth's work, step by step, in order of day."""

from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Final, Literal, NamedTuple

from deploy.simulate.contracts import contract_terms
from deploy.simulate.drawing import Day, Weighted
from deploy.simulate.people import Person
from deploy.simulate.places import Places
from deploy.simulate.rates import (
    ACCEPTED,
    BEGINS_AGAIN,
    BROKEN,
    DECLINES_CONTACT,
    DISMISSAL_REASONS,
    DISMISSED,
    DISMISSED_AFTER_CONTACT,
    INTERVIEWED,
    LAST_DAY,
    NOT_ATTEMPTED,
    OFFERED,
    OTHERWISE_ENDED,
    REFUSED,
    SECOND_OFFER,
    SIGNED,
    STARTED,
    TRANSFERRED,
    UNREACHABLE,
    WALKS_IN,
)
from deploy.simulate.seats import Seat, Seats

Do = Literal[
    "register",
    "contact",
    "interview",
    "dismissal",
    "transfer",
    "offer",
    "acceptance",
    "refusal",
    "contract",
    "start",
    "review",
    "end",
]
State = Literal["untouched", "unreached", "reached", "in_contract", "broken", "ended", "dismissed"]

_END: Final = LAST_DAY.toordinal()
_CHANNELS: Final = Weighted((("phone", 60), ("sms", 15), ("email", 8), ("letter", 12), ("visit", 5)))
_IN_VAIN: Final = Weighted((("no_answer", 60), ("message_left", 40)))
_NEEDS: Final = (
    "orientation",
    "remise_a_niveau",
    "qualification",
    "rythme_adapte",
    "internat",
    "mobilite",
    "projet_professionnel",
    "experience_pratique",
)
_REFUSALS: Final = Weighted(
    (("not_interested", 35), ("too_far", 25), ("other_solution", 25), ("family", 10), ("other", 5))
)
_REASONS: Final = Weighted(DISMISSAL_REASONS)
_OTHER_ENDS: Final = Weighted((("employment", 45), ("reoriented", 40), ("moved", 15)))


class Step(NamedTuple):
    """Something done on a day. `offer` numbers the youth's offers, and says which one a step is about (0: none)."""

    on: Day
    do: Do
    body: dict[str, Any]
    offer: int = 0
    kind: str = ""


@dataclass(slots=True)
class Journey:
    """One youth's work so far. `platform_id` and `academie` change with a transfer."""

    person: Person
    academie: str
    platform_id: str | None
    steps: list[Step] = field(default_factory=list)
    state: State = "untouched"
    sessions: set[str] = field(default_factory=set)

    def add(self, on: Day, do: Do, body: dict[str, Any], offer: int = 0, kind: str = "") -> bool:
        """Note a step, unless it lies after the last day told."""
        if on > _END:
            return False
        self.steps.append(Step(on, do, body, offer, kind))
        return True

    @property
    def last_day(self) -> Day:
        return self.steps[-1].on if self.steps else 0

    @property
    def transferred(self) -> bool:
        return self.platform_id != self.person.home.platform_id


class Platforms:
    """Makes up what happens to youths, at the published rates."""

    def __init__(self, rng: Random, places: Places, seats: Seats, sectors: tuple[str, ...]) -> None:
        self._rng = rng
        self._places = places
        self._seats = seats
        self._sectors = sectors

    def after_list(self, journey: Journey, reference_date: Day) -> None:
        """A list named the youth for the first time, or again after he had been dismissed."""
        rng = self._rng
        if rng.random() < DISMISSED:
            self._dismissal(journey, reference_date)
            return
        roll = rng.random()
        if roll < NOT_ATTEMPTED:
            return
        walked_in = self._contacts(journey, reference_date, reached=roll >= NOT_ATTEMPTED + UNREACHABLE)
        if journey.state == "reached" and not walked_in:
            self._after_contact(journey)

    def seen_again(self, journey: Journey, reference_date: Day) -> None:
        """The next list names the youth again; unreachable was not the end."""
        rng = self._rng
        if journey.state == "dismissed":
            journey.state = "untouched"
            self.after_list(journey, reference_date)
        elif journey.state in ("untouched", "unreached"):
            self.after_list(journey, reference_date)
        elif journey.state in ("reached", "broken"):
            walked_in = self._contacts(journey, reference_date, reached=True)
            if not walked_in and rng.random() < 0.4:
                self._interview(journey, journey.last_day + rng.randrange(3, 15), OFFERED)

    def walks_in(self, journey: Journey, day: Day) -> None:
        """A youth nobody had listed came by himself and is interviewed at once or soon."""
        self._interview(journey, day + self._rng.randrange(8), OFFERED)

    def _dismissal(self, journey: Journey, reference_date: Day) -> None:
        """In training already, or out of scope in another way: the list was wrong, or late."""
        rng = self._rng
        day = reference_date + 2 + int(rng.random() ** 2 * 30)
        if rng.random() < DISMISSED_AFTER_CONTACT:
            journey.add(day, "contact", {"channel": _CHANNELS.draw(rng), "outcome": "reached"})
            day += rng.randrange(5)
        journey.add(day, "dismissal", {"reason": _REASONS.draw(rng)})
        journey.state = "dismissed"

    def _contacts(self, journey: Journey, reference_date: Day, *, reached: bool) -> bool:
        """Attempts until one succeeds, or until two to four have failed. True where the youth came by himself instead,
        and all that follows from it is told.
        """
        rng = self._rng
        day = reference_date + 2 + int(min(rng.expovariate(1 / 9), 45))
        if reached and rng.random() < WALKS_IN:
            journey.state = "reached"
            self._interview(journey, day, OFFERED)
            return True
        in_vain = min(int(rng.expovariate(1 / 0.8)), 3) if reached else rng.randrange(2, 5)
        for number in range(in_vain):
            channel = "phone" if number == 0 else _CHANNELS.draw(rng)
            wrong = channel in ("phone", "sms") and not journey.person.reachable_by_phone
            outcome = "wrong_details" if wrong else _IN_VAIN.draw(rng)
            journey.add(day, "contact", {"channel": channel, "outcome": outcome})
            day += rng.randrange(2, 12)
        journey.state = "unreached" if journey.state == "untouched" else journey.state
        if reached:
            declines = rng.random() < DECLINES_CONTACT
            channel = _CHANNELS.draw(rng) if journey.person.reachable_by_phone else rng.choice(("letter", "visit"))
            journey.add(day, "contact", {"channel": channel, "outcome": "declined" if declines else "reached"})
            journey.state = "reached"
        return False

    def _after_contact(self, journey: Journey) -> None:
        rng = self._rng
        day = journey.last_day
        if rng.random() < TRANSFERRED:
            platform_id = self._places.other_platform(rng, journey.person.home) if journey.platform_id else None
            if platform_id and journey.add(day + rng.randrange(1, 4), "transfer", {"platform_id": platform_id}):
                journey.platform_id = platform_id
                journey.academie = self._places.academie_of_platform[platform_id]
        interviewed = any(step.do == "interview" for step in journey.steps)
        declined = journey.steps[-1].body.get("outcome") == "declined"
        if not interviewed and not declined and rng.random() < INTERVIEWED / (1 - DECLINES_CONTACT):
            self._interview(journey, journey.last_day + rng.randrange(2, 22), OFFERED)

    def _interview(self, journey: Journey, day: Day, offered: float) -> None:
        rng = self._rng
        done = journey.add(
            day,
            "interview",
            {
                "needs": sorted(rng.sample(_NEEDS, rng.randrange(1, 4))),
                "level": journey.person.level,
                "wishes": sorted(rng.sample(self._sectors, rng.randrange(1, 4))),
                "mobility_km": rng.choice((5, 10, 15, 20, 30, 50)),
            },
        )
        if done and rng.random() < offered:
            self._offer(journey, day + rng.randrange(16), tries=2)

    def _offer(self, journey: Journey, day: Day, *, tries: int) -> None:
        """A place is offered; it is taken, refused, or nobody answers."""
        rng = self._rng
        if day > _END:
            return
        seat = self._seats.take(rng, journey.academie, journey.platform_id, day, excluding=journey.sessions)
        if seat is None:
            return
        journey.sessions.add(seat.session_id)
        number = len(journey.sessions)
        journey.add(day, "offer", {"solution_id": seat.solution_id, "session_id": seat.session_id}, number, seat.kind)
        roll = rng.random()
        answered = day + rng.randrange(8)
        if roll < ACCEPTED:
            if journey.add(answered, "acceptance", {}, number, seat.kind) and rng.random() < SIGNED:
                self._contract(journey, answered + rng.randrange(1, 10), number, seat)
        elif roll < ACCEPTED + REFUSED:
            refused = journey.add(answered, "refusal", {"reason": _REFUSALS.draw(rng)}, number, seat.kind)
            if refused and tries > 1 and rng.random() < SECOND_OFFER:
                self._offer(journey, answered + rng.randrange(1, 12), tries=tries - 1)

    def _contract(self, journey: Journey, day: Day, offer: int, seat: Seat) -> None:
        rng = self._rng
        starts_on = max(seat.starts_on, day + rng.randrange(1, 12))
        terms = contract_terms(rng, journey.person, seat, day, starts_on)
        if not journey.add(day, "contract", terms, offer, seat.kind):
            return
        journey.state = "in_contract"
        ends_on = date.fromisoformat(terms["ends_on"]).toordinal()
        if rng.random() >= STARTED:
            if rng.random() < 0.5 and journey.add(starts_on + rng.randrange(5, 30), "end", {"reason": "lost"}, offer):
                journey.state = "broken"
            return
        first_day = starts_on + rng.choice((0, 0, 0, 1, 2))
        if journey.add(first_day, "start", {}, offer, seat.kind):
            self._training(journey, offer, first_day, ends_on)

    def _training(self, journey: Journey, offer: int, first_day: Day, ends_on: Day) -> None:
        """Reviews every two months, until the term or an earlier end."""
        rng = self._rng
        roll = rng.random()
        over, reason = ends_on, rng.choice(("completed", "completed", "diploma"))
        if roll < BROKEN:
            over, reason = first_day + rng.randrange(8, 120), rng.choice(("dropped_out", "dropped_out", "lost"))
        elif roll < BROKEN + OTHERWISE_ENDED:
            over, reason = first_day + rng.randrange(20, 150), _OTHER_ENDS.draw(rng)
        over = min(over, ends_on)
        day = first_day + rng.randrange(50, 66)
        while day < over and rng.random() < 0.8:
            outcome = (
                "at_risk" if roll < BROKEN and rng.random() < 0.6 else rng.choice(("on_track", "on_track", "adjusted"))
            )
            if not journey.add(day, "review", {"outcome": outcome}, offer):
                break
            day += rng.randrange(55, 66)
        if journey.add(over, "end", {"reason": reason}, offer):
            journey.state = "broken" if reason in ("dropped_out", "lost") else "ended"
            if journey.state == "broken" and rng.random() < BEGINS_AGAIN:
                journey.add(over + 10, "contact", {"channel": "phone", "outcome": "reached"})
                self._offer(journey, over + rng.randrange(12, 30), tries=1)
