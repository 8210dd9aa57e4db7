"""Batches of records that are written together: what they say of youths, of names, and of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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

    def register(self, collection: str, registration: Registration) -> None:
        """Note a registration, unless a newer one is noted."""
        newest = self.registered.setdefault(collection, {})
        before = newest.get(registration.subject())
        if before is None or before.version < registration.version:
            newest[registration.subject()] = registration
