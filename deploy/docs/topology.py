"""Who emits which event and who reads it, taken from the services' own tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.docs.sources import Place, defined_in, used_in
from services.catalogue import app as catalogue
from services.referral import app as referral
from services.referral.directory import Directory
from services.referral.handlers import Handlers
from services.referral.intake import Intake
from services.referral.settings import ReferralSettings
from services.reporting import app as reporting
from services.reporting.handlers import FactsConsumer
from services.tracking import app as tracking
from shared.clock import random_id
from shared.events import (
    EVENTS,
    BilanPublished,
    Event,
    SolutionPublished,
    SolutionUpdated,
    SolutionWithdrawn,
)
from shared.events.dead_letters import SERVICE_OF, DeadLetterKept
from shared.reference import load

SERVICES: Final = ("referral", "catalogue", "tracking", "reporting")
UPSTREAM: Final = "upstream bases"

READ_BY_NOBODY: Final[Mapping[type[Event], str]] = {
    SolutionPublished: "For tools outside that list the offer of places.",
    SolutionUpdated: "For tools outside that list the offer of places.",
    SolutionWithdrawn: "For tools outside that list the offer of places.",
    BilanPublished: "For tools outside that fetch a bilan as soon as it is frozen or corrected.",
}
"""Events that no service reads, and what they are published for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A service reads an event; `handler` is what it does with it."""

    service: str
    event: type[Event]
    handler: Place


@dataclass(frozen=True, slots=True)
class Emitting:
    """A service emits an event; `makers` are the functions that make it, none where it comes from outside."""

    service: str
    event: type[Event]
    makers: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole of it, in the order of the registry of events and of the services."""

    readings: tuple[Reading, ...]
    emittings: tuple[Emitting, ...]

    def readers(self, event: type[Event]) -> list[Reading]:
        """Who reads the event."""
        return [reading for reading in self.readings if reading.event is event]

    def emitter(self, event: type[Event]) -> Emitting:
        """Who emits the event."""
        return next(emitting for emitting in self.emittings if emitting.event is event)


def read_topology(root: Path) -> Topology:
    """Build it from the tables of the services and from their sources under `root`."""
    tables = _tables()
    readings = [
        Reading(service, event, _place(root, service, tables[service][event]))
        for event in EVENTS
        for service in SERVICES
        if event in tables[service]
    ]
    return Topology(tuple(readings), tuple(_emitting(root, event) for event in EVENTS))


def _emitting(root: Path, event: type[Event]) -> Emitting:
    service = event.TOPIC.removesuffix(".events")
    if service not in SERVICES:
        return Emitting(UPSTREAM, event, ())
    if event in SERVICE_OF:  # what all services say in the same way
        makers = used_in(root, "shared", "KEPT" if issubclass(event, DeadLetterKept) else "SETTLED")
    else:
        makers = used_in(root, f"services/{service}", event.__name__)
    if not makers:
        raise LookupError(f"nothing in {service} makes a {event.__name__}")
    return Emitting(service, event, tuple(makers))


def _place(root: Path, service: str, handler: Callable[..., Any]) -> Place:
    module: str = handler.__module__
    if module.startswith(f"services.{service}."):
        return Place(f"{module.replace('.', '/')}.py", handler.__name__)
    # Wrapped by the shared consumer (`each`), which keeps the name only.
    return defined_in(root, f"services/{service}", handler.__name__)


def _tables() -> dict[str, Mapping[Any, Callable[..., Any]]]:
    """Service -> event -> handler."""
    return {
        "referral": _referral(),
        "catalogue": catalogue.TABLE,
        "tracking": tracking.TABLE,
        "reporting": {
            **reporting.FACTS,
            **dict.fromkeys(reporting.REGISTRATIONS, FactsConsumer),
            **reporting.NOTES,
        },
    }


def _referral() -> Mapping[Any, Callable[..., Any]]:
    settings, reference = ReferralSettings(), load()
    directory = Directory(reference, require_coverage=settings.require_coverage)
    intake = Intake(directory, random_id)
    handlers = Handlers(settings, referral.ReferenceTables(reference), directory, intake)
    return {**referral.siei_table(handlers), **referral.table(handlers)}
