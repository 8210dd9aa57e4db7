"""A small history in which nothing is wrong: three youths from the list to a contract, and one bad record.

Tests of the judge take it, spoil one thing, and see that the judge finds it.
"""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    Event,
    InterviewDone,
    ListTakenIn,
    PlacementAccepted,
    PlacementOffered,
    ReviewDone,
    TrainingStarted,
    YouthEvent,
)
from shared.events.dead_letters import KEPT
from shared.events.referral import RowCounts
from tests.chaos.checker import Evidence
from tests.chaos.checker_figures import happened
from tests.chaos.ledger import Command, Ledger, Planted, Row
from tests.chaos.observed import Document, Figures, Log, Logged, Place, Seen
from tests.support import oracle

_BEGAN: Final = datetime(2013, 4, 1, 9, tzinfo=UTC)
_SERVICE_OF: Final = {"referral.events": "referral", "catalogue.events": "catalogue", "tracking.events": "tracking"}
PLANTED: Final[Place] = ("tracking.events", 3, 7)


class Specimen:
    """`evidence()` gives the history as it stands; everything may be changed before."""

    def __init__(self, youths: int = 3) -> None:
        self.ledger = Ledger()
        self.log = Log()
        self.stores: dict[str, dict[str, list[Document]]] = {
            service: {} for service in ("referral", "catalogue", "tracking", "reporting")
        }
        self.put("catalogue", "sessions", {"_id": "SOL/A", "places": youths, "held": 0, "occupied": 0})
        for number in range(youths):
            self._life(number)
        self._bad_record()
        rows = oracle.indicators(happened(Evidence(self.ledger, Seen(self.log, self.stores))))
        self.figures = [
            Figures(f"reporting-{replica}", None, None, deepcopy(dict(rows.items()))) for replica in range(2)
        ]
        self.differences: list[str] = []

    def evidence(self) -> Evidence:
        return Evidence(self.ledger, Seen(self.log, self.stores, self.figures, self.differences))

    def put(self, service: str, collection: str, document: Document) -> None:
        self.stores[service].setdefault(collection, []).append(document)

    def one(self, service: str, collection: str, number: int = 0) -> Document:
        """A document, to be changed."""
        return self.stores[service][collection][number]

    def command(self, do: str, number: int = 0) -> Command:
        """The `number`th command of that kind."""
        return [command for command in self.ledger.commands if command.do == do][number]

    def event(self, type_: type[YouthEvent], number: int = 0) -> Logged:
        """The `number`th event of that type in the log."""
        return [event for event in self.log.events if event.type == type_.TYPE][number]

    def publish(self, event: Event, event_id: str | None = None) -> None:
        """Put an event into the log and into its service's outbox."""
        number = len(self.log.events)
        event_id = event_id or f"event-{number}"
        data, at = event.model_dump_json().encode(), _BEGAN + timedelta(minutes=number)
        service = _SERVICE_OF[event.TOPIC]
        self.log.events.append(Logged((event.TOPIC, 0, number), event_id, event.TYPE, f"/foquale/{service}", at, data))
        self.put(service, "outbox", {"_id": event_id, "type": event.TYPE, "data": data})

    def tell_of_list(self, event_id: str, counts: RowCounts) -> None:
        """Rows were read, and reporting has heard of it."""
        self.publish(ListTakenIn(on=date(2013, 4, 1), list_id=event_id, way="events", counts=(counts,)), event_id)
        self.put("reporting", "taken_lists", {"_id": event_id})

    def do(self, do: str, service: str, event: YouthEvent, body: Mapping[str, Any], kind: str = "") -> None:
        """A command that was acknowledged, with its event."""
        key = f"{event.youth_id}-{len(self.ledger.commands)}"
        command = Command(key, do, service, "/", dict(body), event.youth_id, event.on.isoformat(), kind, attempts=1)
        command.answers.append({"done": key})
        self.ledger.commands.append(command)
        self.put(service, "idempotency", {"_id": key})
        self.publish(event)

    def _life(self, number: int) -> None:
        youth, placement, contract = f"youth-{number}", f"placement-{number}", f"contract-{number}"
        whose, on = {"youth_id": youth}, date(2013, 3, 31)
        row = Row(
            f"SCOLARITE|2013-03|R{number}",
            number,
            f"row-{number}",
            "2013-03-31",
            ("2013-03", "SCOLARITE", f"R{number}"),
        )
        row.confirmed = True
        self.ledger.rows.append(row)
        self.put("referral", "rows", {"_id": row.key, "about": youth})
        self.publish(_detected(youth, on))
        self.tell_of_list(f"list-{number}", RowCounts(source="SCOLARITE", campaign="2013-03", rows=1, accepted=1))
        days = [on + timedelta(days=day) for day in range(1, 9)]
        contact = ContactAttempted(youth_id=youth, on=days[0], channel="phone", outcome="reached")
        self.do("contact", "referral", contact, {"outcome": "reached"})
        self.do("interview", "referral", InterviewDone(youth_id=youth, on=days[1]), {})
        offer = {"placement_id": placement, "solution_id": "SOL"}
        place = {"kind": "school", "academie": "10", "network_id": "FOQ-01-01", "held_until": _BEGAN}
        offered = PlacementOffered.model_validate({**whose, "on": days[2], **offer, **place, "starts_on": days[6]})
        self.do("offer", "catalogue", offered, {})
        self.do("acceptance", "tracking", PlacementAccepted(youth_id=youth, on=days[3], **offer), {})
        terms = {"kind": "school", "tutor_role": "cpe", "starts_on": days[5], "ends_on": date(2014, 7, 4)}
        signed = ContractSigned.model_validate({**whose, "on": days[4], "contract_id": contract, **offer, **terms})
        self.do("contract", "tracking", signed, {}, "school")
        started = TrainingStarted(youth_id=youth, on=days[5], contract_id=contract, kind="school")
        self.do("start", "tracking", started, {}, "school")
        review = ReviewDone(youth_id=youth, on=days[6], contract_id=contract, outcome="at_risk", next_on=days[7])
        self.do("review", "tracking", review, {})
        ends = number == 0
        if ends:
            ended = ContractEnded(youth_id=youth, on=days[7], contract_id=contract, reason="dropped_out")
            self.do("end", "tracking", ended, {"reason": "dropped_out"})
        self._keep(number, row, days, ended_on=days[7].isoformat() if ends else None)

    def _keep(self, number: int, row: Row, days: list[date], *, ended_on: str | None) -> None:
        """What the stores hold after a life."""
        youth, placement, contract = f"youth-{number}", f"placement-{number}", f"contract-{number}"
        state = "freed" if ended_on else "occupied"
        self.one("catalogue", "sessions")["occupied"] += state == "occupied"
        self.put("catalogue", "placements", {"_id": placement, "session": "SOL/A", "state": state})
        self.put("catalogue", "youths", {"_id": youth})
        self.put("tracking", "youths", {"_id": youth, "birth_month": "1996-05"})
        self.put("tracking", "placements", {"_id": placement, "state": "contracted"})
        reviews = [{"on": days[6].isoformat()}]
        kept = {"youth_id": youth, "started_on": days[5].isoformat(), "ended_on": ended_on, "reviews": reviews}
        self.put("tracking", "contracts", {"_id": contract, **kept})
        campaign, source, source_row = row.sighting
        self.put(
            "referral",
            "youths",
            {
                "_id": youth,
                "identity": f"name {number}",
                "ine": f"ine {number}",
                "sightings": [{"campaign": campaign, "source": source, "source_row": source_row}],
                "attempts": [] if ended_on else [{"on": days[0].isoformat()}],
                "interviewed_on": days[1].isoformat(),
                "open_contracts": [] if ended_on else [contract],
                "ended_contracts": [contract] if ended_on else [],
            },
        )

    def _bad_record(self) -> None:
        self.ledger.planted.append(Planted("planted-0", "tracking.events", "bad_json", confirmed=True))
        self.log.planted["planted-0"] = [PLANTED]
        topic, partition, offset = PLANTED
        letter = {"topic": topic, "partition": partition, "offset": offset, "code": "bad_json", "message": "no JSON"}
        for service in ("referral", "catalogue", "reporting"):
            self.put(service, "dead_letters", {"_id": "letter", **letter})
            if service in KEPT:
                told = KEPT[service](on=date(2013, 4, 1), dead_letter_id="letter", topic=topic, code="bad_json")
                self.publish(told)
                self.put("reporting", "told_dead_letters", {"_id": f"{service}|letter"})


def _detected(youth: str, on: date) -> DropoutDetected:
    return DropoutDetected(
        youth_id=youth,
        on=on,
        campaign="2013-03",
        source="SCOLARITE",
        age=17,
        sex="F",
        academie="10",
        departement="01",
        platform_id="PSAD-01-01",
        network_id="FOQ-01-01",
        birth_month="1996-05",
        origin="siei",
    )
