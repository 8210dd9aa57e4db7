"""What becomes of one youth in a run: rows, contacts, interview, offers, contract, and now and then a mistake.

Each command about him has a day of its own, so that its effect can be told from all others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from deploy.simulate.people import People, Person, bea_ine
from deploy.simulate.places import Places
from deploy.simulate.rates import FIRST_CAMPAIGN, SECOND_CAMPAIGN, SOURCE_ORDER
from deploy.simulate.rows import Rows, spontaneous_identity, turns_26_before
from shared.reference import Reference
from tests.chaos.door import Door
from tests.chaos.feed import Feed, structured
from tests.chaos.ledger import Command, Ledger, Row
from tests.chaos.seats import Seat, Seats, terms

_FIRST_DAY: Final = date(2013, 4, 2)
_SECOND_LIST: Final = date(2013, 10, 31)
_AFTER_SECOND: Final = date(2013, 11, 4)
_FOUND_WITHIN_S: Final = 120.0
_REJECTED: Final = ("under_16", "over_25", "has_diploma", "unknown_commune", "malformed")


class Stop(Exception):
    """This youth's affairs end here: a command stayed unanswered, was refused, or the run is over."""


@dataclass
class World:
    """What all lives share."""

    reference: Reference
    ledger: Ledger
    door: Door
    feed: Feed
    seats: Seats
    rng: Random
    over: Callable[[], bool]
    people: People = field(init=False)
    rows: Rows = field(init=False)
    numbers: int = 0

    def __post_init__(self) -> None:
        places = Places(self.reference)
        self.people = People(self.rng, places)
        self.rows = Rows(self.rng, self.people, places)
        self.platforms = [platform.platform_id for platform in self.reference.platforms()]

    def number(self) -> int:
        self.numbers += 1
        return self.numbers


class Life:
    """One youth."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._number = world.number()
        self._commands = 0
        self._day = _FIRST_DAY
        self._youth = ""
        self._listed: list[Row] = []

    async def live(self) -> None:
        """From the list to the end of a contract, or as far as it goes."""
        try:
            await self._tell()
        except Stop:
            return
        self._world.ledger.lives += 1

    async def _tell(self) -> None:
        rng, person = self._rng, self._world.people.draw(FIRST_CAMPAIGN)
        person.ine = person.ine or bea_ine(person.number)
        if rng.random() < 0.15:
            await self._come(person)
        else:
            await self._be_listed(person)
        if rng.random() < 0.2:
            await self._wrong_command()
        for _ in range(rng.randint(1, 3)):
            await self._contact()
        if rng.random() < 0.15:
            await self._dismissed(person)
        if rng.random() < 0.12:
            await self._of_youth("transfer", {"platform_id": rng.choice(self._world.platforms)}, refused_is_fine=True)
        await self._of_youth("interview", {"needs": ["remobilisation"], "wishes": ["31"], "mobility_km": 20})
        for _ in range(2):
            seat, placement = await self._offered()
            if rng.random() < 0.12:
                continue  # nobody answers, and the hold expires
            if rng.random() < 0.25:
                await self._placed("refusal", placement, seat, {"reason": "too_far"})
                continue
            await self._placed("acceptance", placement, seat, {})
            if rng.random() < 0.15:
                await self._placed("acceptance", placement, seat, {}, must_refuse=True)
            await self._contract(person, seat, placement)
            return

    # how he becomes known

    async def _come(self, person: Person) -> None:
        """By himself; nobody lists him."""
        number = f"S{self._number}"
        body = {**spontaneous_identity(person), "on": self._next_day(), "ine": person.ine, "source_row": number}
        command = self._command("register", "referral", "/v1/youths", body)
        row = Row(
            f"SPONTANEOUS|{body['on'][:7]}|{number}",
            self._number,
            number,
            body["on"],
            (body["on"][:7], None, number),
            command=command,
        )
        self._world.ledger.rows.append(row)
        answer = await self._done(command)
        self._youth = answer["youth_id"]

    async def _be_listed(self, person: Person) -> None:
        """By one base or two, on the bus or over HTTP, all at once."""
        rows = [self._world.rows.plain(person, FIRST_CAMPAIGN)]
        if self._rng.random() < 0.35:
            other = self._rng.choice([source for source in SOURCE_ORDER if source != person.source])
            rows.append(self._world.rows.again(person, FIRST_CAMPAIGN, other))
        await asyncio.gather(
            *(self._list(row.cells | {"campaign": row.campaign, "source": row.source}) for row in rows)
        )
        await self._found(person.ine, len(rows))

    async def _list(self, cells: dict[str, Any], *, expected: str = "youth", reopens: bool = False) -> None:
        """Send a row, over HTTP or on the bus."""
        world, rng = self._world, self._rng
        number = f"R{world.number()}"
        cells = {**cells, "source_row": number}
        on = "2013-03-31" if cells["campaign"] == FIRST_CAMPAIGN else "2013-10-31"
        key = f"{cells['source']}|{cells['campaign']}|{number}"
        row = Row(
            key, self._number, f"row-{number}", on, (cells["campaign"], cells["source"], number), expected, reopens
        )
        world.ledger.rows.append(row)
        if expected == "youth":
            self._listed.append(row)
        if rng.random() < 0.4:
            row.command = self._command("rows", "referral", "/v1/siei/dropouts", structured(row.ce_id, cells))
            await self._done(row.command)
            return
        if expected == "malformed":
            row.expected = "dead"
        await world.feed.send(row, cells, twice=rng.random() < 0.25)
        if not row.confirmed:
            raise Stop

    async def _found(self, ine: str, sightings: int) -> None:
        """Wait until referral shows him with all his rows."""
        loop = asyncio.get_running_loop()
        give_up_at, pause = loop.time() + _FOUND_WITHIN_S, 0.2
        while loop.time() < give_up_at:
            page = await self._world.door.get("referral", "/v1/youths", ine=ine)
            if page and page["items"] and len(page["items"][0]["sightings"]) >= sightings:
                self._youth = page["items"][0]["youth_id"]
                return
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.5)
        raise Stop

    # what the platform does

    async def _contact(self) -> None:
        outcome = self._rng.choice(("reached", "reached", "no_answer", "declined", "message_left"))
        await self._of_youth("contact", {"channel": self._rng.choice(("phone", "sms", "letter")), "outcome": outcome})

    async def _dismissed(self, person: Person) -> None:
        """No follow-up needed; half of those are listed again in autumn, and their case opens anew."""
        await self._of_youth("dismissal", {"reason": "already_in_training"})
        if self._rng.random() < 0.3:
            await self._of_youth("dismissal", {"reason": "error"}, must_refuse=True)
        if self._rng.random() < 0.5 or turns_26_before(person, _SECOND_LIST):
            raise Stop
        row = self._world.rows.plain(person, SECOND_CAMPAIGN)
        before = max(1, len(self._listed))  # the row of one who came by himself is not a list's
        await self._list(row.cells | {"campaign": row.campaign, "source": row.source}, reopens=True)
        await self._found(person.ine, before + 1)
        self._day = _AFTER_SECOND
        await self._contact()

    async def _wrong_command(self) -> None:
        """What must be refused, or a row that must be rejected."""
        roll = self._rng.random()
        if roll < 0.5:
            code = self._rng.choice(_REJECTED)
            row = self._world.rows.rejected(code, FIRST_CAMPAIGN)
            await self._list(row.cells | {"campaign": row.campaign, "source": row.source}, expected=code)
        elif roll < 0.75:
            path = f"/v1/youths/nobody-{self._number}/contacts"
            body = {"on": self._next_day(), "channel": "phone", "outcome": "reached"}
            await self._refused(self._command("contact", "referral", path, body))
        else:
            await self._of_youth("contact", {"channel": "pigeon", "outcome": "reached"}, must_refuse=True)

    async def _of_youth(
        self, do: str, body: dict[str, Any], *, must_refuse: bool = False, refused_is_fine: bool = False
    ) -> None:
        path = {"contact": "contacts", "interview": "interviews"}.get(do, do)
        command = self._command(do, "referral", f"/v1/youths/{self._youth}/{path}", {"on": self._next_day(), **body})
        if must_refuse:
            await self._refused(command)
        elif refused_is_fine:
            await self._world.door.do(command)
        else:
            await self._done(command)

    # what the network and the school do

    async def _offered(self) -> tuple[Seat, str]:
        """A place in a session with few of them, where there is one; else one in a large one."""
        for seat in self._world.seats.draw(self._rng):
            body = {"youth_id": self._youth, "solution_id": seat.solution, "session_id": seat.session}
            command = self._command("offer", "catalogue", "/v1/placements", {**body, "on": self._next_day()})
            answer = await self._world.door.do(command)
            if answer:
                return seat, answer["placement_id"]
            if command.outcome == "unknown":
                break
        raise Stop

    async def _placed(
        self, do: str, placement: str, seat: Seat, body: dict[str, Any], *, must_refuse: bool = False
    ) -> None:
        path = f"/v1/placements/{placement}/{do}"
        command = self._command(do, "tracking", path, {"on": self._next_day(), **body}, seat)
        await (self._refused(command) if must_refuse else self._done(command))

    async def _contract(self, person: Person, seat: Seat, placement: str) -> None:
        rng = self._rng
        if rng.random() < 0.2:
            await self._refused(self._sign(person, seat, placement, late=True))
        signed = self._sign(person, seat, placement)
        contract = (await self._done(signed))["contract_id"]
        if rng.random() < 0.2:
            await self._refused(self._sign(person, seat, placement))
        if rng.random() < 0.2:
            await self._of_contract("review", contract, seat, {"outcome": "on_track"}, must_refuse=True)
        await self._of_contract("start", contract, seat, {})
        for _ in range(rng.randint(0, 3)):
            await self._of_contract("review", contract, seat, {"outcome": rng.choice(("on_track", "at_risk"))})
        if rng.random() < 0.2:
            await self._of_contract("start", contract, seat, {}, must_refuse=True)
        if rng.random() < 0.65:
            reason = rng.choice(("dropped_out", "lost", "employment", "reoriented"))
            await self._of_contract("end", contract, seat, {"reason": reason})

    def _sign(self, person: Person, seat: Seat, placement: str, *, late: bool = False) -> Command:
        on = self._next_day()
        body = {"placement_id": placement, **terms(seat, on, f"Mme {person.guardian.family}", late=late)}
        return self._command("contract", "tracking", "/v1/contracts", body, seat)

    async def _of_contract(
        self, do: str, contract: str, seat: Seat, body: dict[str, Any], *, must_refuse: bool = False
    ) -> None:
        path = f"/v1/contracts/{contract}/{'reviews' if do == 'review' else do}"
        command = self._command(do, "tracking", path, {"on": self._next_day(), **body}, seat)
        await (self._refused(command) if must_refuse else self._done(command))

    # every command

    def _next_day(self) -> str:
        self._day += timedelta(days=1)
        return self._day.isoformat()

    def _command(self, do: str, service: str, path: str, body: dict[str, Any], seat: Seat | None = None) -> Command:
        self._commands += 1
        kind = seat.kind if seat else ""
        key = f"chaos-{self._number}-{self._commands}"
        return Command(key, do, service, path, body, self._youth, str(body.get("on", "")), kind)

    async def _done(self, command: Command) -> Any:
        answer = await self._world.door.do(command)
        if answer is None or self._world.over():
            raise Stop
        return answer

    async def _refused(self, command: Command) -> None:
        command.must_refuse = True
        await self._world.door.do(command)
