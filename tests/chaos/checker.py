"""The judge: what was asked and answered, held against the log and the stores. Pure.

- lost: something acknowledged has no effect;
- doubled: something has more than one effect, or an effect that nobody may have had;
- oversold: places given to more youths than there are;
- drift: figures that differ;
- wrong: anything else that must not be.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from shared.events import EVENTS, DropoutDetected, PlacementDeclined, PlacementExpired, SieiDropout, YouthEvent
from tests.chaos.ledger import Effect, Ledger, Row
from tests.chaos.observed import Document, Logged, Seen

Kind = Literal["lost", "doubled", "oversold", "drift", "wrong"]
MODELS: Final = {model.TYPE: model for model in EVENTS}
_DATA: Final = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be, in a sentence; `count` where it stands for several."""

    kind: Kind
    text: str
    count: int = 1


@dataclass
class Evidence:
    """The ledger beside what was seen, and what follows from both."""

    ledger: Ledger
    seen: Seen

    @cached_property
    def events(self) -> dict[str, Logged]:
        """The events of the services by identifier, each once however often it was published."""
        found: dict[str, Logged] = {}
        for event in self.seen.log.events:
            if event.type != SieiDropout.TYPE:
                found.setdefault(event.id, event)
        return found

    @cached_property
    def data(self) -> dict[str, dict[str, Any]]:
        """Identifier -> the event's data as it is in the log."""
        return {event.id: _DATA.validate_json(event.data) for event in self.events.values()}

    @cached_property
    def effects(self) -> Counter[Effect]:
        """How many events there are of each type about each youth on each day."""
        return Counter(
            (event.type, self.data[event.id]["youth_id"], self.data[event.id]["on"])
            for event in self.events.values()
            if issubclass(MODELS[event.type], YouthEvent)
        )

    @cached_property
    def youth_of(self) -> dict[str, str]:
        """Row -> the youth whom referral takes it to be about."""
        return {document["_id"]: document["about"] for document in self.collection("referral", "rows")}

    def collection(self, service: str, name: str) -> list[Document]:
        return self.seen.stores.get(service, {}).get(name, [])

    def by_id(self, service: str, name: str) -> dict[str, Document]:
        return {document["_id"]: document for document in self.collection(service, name)}

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        """The data of all events of a type."""
        return [self.data[event.id] for event in self.events.values() if event.type == type_]


Check = Callable[[Evidence], Iterator[Violation]]


def commands(evidence: Evidence) -> Iterator[Violation]:
    """Each acknowledged command has one effect, each refused one none, one that nobody answered at most one."""
    marks = {s: evidence.by_id(s, "idempotency") for s in ("referral", "catalogue", "tracking")}
    for command in evidence.ledger.commands:
        name = f"{command.do} {command.key} ({command.outcome})"
        if command.must_refuse and command.answers:
            yield Violation("wrong", f"{name} must be refused and was not: {command.body}")
        if any(answer != command.answers[0] for answer in command.answers[1:]):
            yield Violation("wrong", f"{name} was answered in two ways: {command.answers[:2]}")
        marked = command.key in marks[command.service]
        if command.outcome == "ok" and not marked:
            yield Violation("lost", f"{name}: its service does not know its key")
        if command.outcome == "refused" and marked:
            yield Violation("wrong", f"{name}: its service remembers it as done")
        if command.effect is None or not command.youth:
            continue
        count = evidence.effects[command.effect]
        if command.outcome == "ok" and count == 0:
            yield Violation("lost", f"{name} is not in the log: {command.effect}")
        if count > 1:
            yield Violation("doubled", f"{name} is {count} times in the log: {command.effect}", count - 1)
        if command.outcome == "refused" and count:
            yield Violation("doubled", f"{name} has an effect all the same: {command.effect}", count)
        if command.outcome == "unknown" and bool(count) != marked:
            yield Violation("wrong", f"{name}: known to its service {marked}, in the log {count}")


def asked_for(evidence: Evidence) -> Iterator[Violation]:
    """No event of a youth that nobody asked for. (Detections and expiries are judged elsewhere.)"""
    asked = {command.effect for command in evidence.ledger.commands}
    dismissed = {(effect[1], effect[2]) for effect in asked if effect and "dismissed" in effect[0]}
    for event in evidence.events.values():
        model, data = MODELS[event.type], evidence.data[event.id]
        if not issubclass(model, YouthEvent) or model in (DropoutDetected, PlacementExpired):
            continue
        if model is PlacementDeclined and data["reason"] == "youth_dismissed":
            if (data["youth_id"], data["on"]) not in dismissed:
                yield Violation("doubled", f"{event.id}: a place declined for a dismissal that is not")
        elif (event.type, data["youth_id"], data["on"]) not in asked:
            yield Violation("doubled", f"{event.id} ({event.type}) is an effect of nothing that was asked")


def people(evidence: Evidence) -> Iterator[Violation]:
    """Each person whom rows name is one youth, detected once; each row is one sighting of him."""
    youths = evidence.by_id("referral", "youths")
    owner: dict[str, int] = {}
    for person, rows in evidence.ledger.people():
        yield from _rows(evidence, rows)
        known = [row for row in rows if row.key in evidence.youth_of]
        about = {evidence.youth_of[row.key] for row in known}
        if len(about) > 1:
            yield Violation("doubled", f"person {person} is {len(about)} youths or disputes: {sorted(about)}")
        for youth_id in sorted(about):
            if owner.setdefault(youth_id, person) != person:
                yield Violation("wrong", f"youth {youth_id} is persons {owner[youth_id]} and {person}")
            if youth_id not in youths:
                yield Violation("lost", f"person {person}: {youth_id} is no youth")
                continue
            sightings = Counter((s["campaign"], s["source"], s["source_row"]) for s in youths[youth_id]["sightings"])
            given = Counter(row.sighting for row in known)
            if len(about) == 1 and sightings != given:
                more, less = sum((sightings - given).values()), sum((given - sightings).values())
                kind: Kind = "doubled" if more else "lost"
                yield Violation(kind, f"youth {youth_id}: {more} sightings too many, {less} missing", more + less)
            yield from _detections(evidence, youth_id, known)
    for youth_id in sorted(set(youths) - set(owner)):
        yield Violation("doubled", f"youth {youth_id} is nobody whom a row names")
    for name in ("identity", "ine"):
        for value, count in Counter(youth[name] for youth in youths.values() if youth[name]).items():
            if count > 1:
                yield Violation("doubled", f"{count} youths have the same {name}: {value!r}", count - 1)


def _rows(evidence: Evidence, rows: list[Row]) -> Iterator[Violation]:
    for row in rows:
        if row.outcome == "ok" and row.key not in evidence.youth_of:
            yield Violation("lost", f"row {row.key} is with nobody")
        if row.outcome == "refused" and row.key in evidence.youth_of:
            yield Violation("wrong", f"row {row.key} was refused, and is with {evidence.youth_of[row.key]}")


def _detections(evidence: Evidence, youth_id: str, known: list[Row]) -> Iterator[Violation]:
    """One detection for the first list that names him, and one for each row that opens his case again."""
    days = {row.on: row for row in known}
    for on in sorted(days):
        count = evidence.effects[DropoutDetected.TYPE, youth_id, on]
        if count != 1:
            yield Violation("lost" if count == 0 else "doubled", f"youth {youth_id}: {count} detections on {on}")
    total = sum(
        n for (type_, youth, _), n in evidence.effects.items() if (type_, youth) == (DropoutDetected.TYPE, youth_id)
    )
    if total > len(days):
        yield Violation("doubled", f"youth {youth_id}: {total} detections by {len(days)} lists")


def rejections(evidence: Evidence) -> Iterator[Violation]:
    """Rejected rows are counted once each; what nobody answered may or may not be."""
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for row in evidence.ledger.rows:
        if row.expected not in ("youth", "dead"):
            least[row.expected] += row.outcome == "ok"
            most[row.expected] += row.outcome != "refused"
    counted = {document["_id"]: document["rows"] for document in evidence.collection("referral", "rejection_counts")}
    for code in sorted({*least, *most, *counted}):
        count = counted.get(code, 0)
        if count < least[code]:
            yield Violation("lost", f"{code}: {least[code]} rows rejected, {count} counted", least[code] - count)
        if count > most[code]:
            yield Violation("doubled", f"{code}: {most[code]} rows rejected, {count} counted", count - most[code])


def outboxes(evidence: Evidence) -> Iterator[Violation]:
    """Outboxes and log hold the same events, and nothing waits."""
    written: dict[str, Document] = {}
    waiting: set[str] = set()
    for service in evidence.seen.stores:
        written |= {row["_id"]: row for row in evidence.collection(service, "outbox")}
        for note in evidence.collection(service, "unpublished"):
            waiting |= set(note["events"])
            for event_id in note["events"]:
                yield Violation("lost", f"{service}: {written[event_id]['type']} {event_id} was never published")
    logged = evidence.events
    for event_id in sorted(set(written) - set(logged)):
        if event_id not in waiting:
            yield Violation("lost", f"{written[event_id]['type']} {event_id} counts as published and is not in the log")
    for event_id in sorted(set(logged) - set(written)):
        yield Violation("doubled", f"{logged[event_id].type} {event_id} is in the log and in no outbox")
    for event_id in sorted(set(logged) & set(written)):
        if bytes(written[event_id]["data"]) != logged[event_id].data:
            yield Violation("wrong", f"{event_id} is not in the log as it was written")
    content: defaultdict[str, set[bytes]] = defaultdict(set)
    for event in evidence.seen.log.events:
        content[event.id].add(event.data)
    for event_id, values in content.items():
        if len(values) > 1:
            yield Violation("wrong", f"{event_id} is in the log with {len(values)} contents")
