"""Batches of records that are written together: what they say of youths, of names, and of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.reporting import compact
from services.reporting.freshness import advance
from services.reporting.quality.notes import Note
from services.reporting.reading import Gathered
from shared.dead_letters import Refused
from shared.envelope import Record
from shared.events import NetworkRegistered, PlatformRegistered

Registration = NetworkRegistered | PlatformRegistered
Registrations = Mapping[type[Registration], str]


@dataclass(slots=True)
class Batches:
    """What some batches say, and what became of them.

    `registered` is the newest registration of each subject, by collection; `records` are theirs where they were kept,
    `count` how many there are.
    """

    says: Gathered = field(default_factory=Gathered)
    registered: dict[str, dict[str, Registration]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    readable: list[bool] = field(default_factory=list)
    count: int = 0
    records: list[Record] = field(default_factory=list)
    taken: bool = False
    error: BaseException | None = None

    def add(self, mine: "Batches") -> None:
        """Write another batch with these."""
        says, more = self.says, mine.says
        if not says.youths:
            says.youths = more.youths
        else:
            for youth_id, news in more.youths.items():
                before = says.youths.get(youth_id)
                says.youths[youth_id] = news if before is None else compact.join(before, news)
        says.counts.update(more.counts)
        for place, position in more.positions.items():
            advance(says.positions, place, position)
        for collection, registrations in mine.registered.items():
            for registration in registrations.values():
                self.register(collection, registration)
        self.notes += mine.notes
        self.refused += mine.refused
        self.readable += mine.readable
        self.count += mine.count
        self.records += mine.records

    def register(self, collection: str, registration: Registration) -> None:
        """Note a registration, unless a newer one is noted."""
        newest = self.registered.setdefault(collection, {})
        before = newest.get(registration.subject())
        if before is None or before.version < registration.version:
            newest[registration.subject()] = registration
