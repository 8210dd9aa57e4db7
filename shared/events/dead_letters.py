"""What a service says of its dead letters, so that reporting can count them: never what is in one.

Reporting counts its own from its store, and says nothing of them: nobody would read it. No event is about the dead
letter of such an event (`shared.dead_letters`), so two services that cannot read each other do not go on for ever.
"""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Final, Literal

from pydantic import Field

from shared.events.base import Event


class DeadLetterEvent(Event):
    """An event about one dead letter of the service that publishes it."""

    on: date = Field(description="The day it happened.")
    dead_letter_id: str = Field(min_length=1, description="The dead letter, in the service that keeps it.")
    topic: str = Field(description="The topic that the record came by, as the broker calls it.")
    code: str = Field(description="Why it is a dead letter.")

    def subject(self) -> str:
        return self.dead_letter_id


class DeadLetterKept(DeadLetterEvent):
    """A record could not be read or applied, and is kept. At most one event for each dead letter."""


class DeadLetterSettled(DeadLetterEvent):
    """A dead letter was replayed and has had its effect. At most one event for each dead letter."""

    by: Literal["person", "schedule"] = Field(description="Who replayed it.")


class ReferralDeadLetterKept(DeadLetterKept):
    """Referral keeps a record that it could not read or apply."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dead-letter-kept.v1"
    TOPIC: ClassVar[str] = "referral.events"


class ReferralDeadLetterSettled(DeadLetterSettled):
    """A dead letter of referral was replayed and has had its effect."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dead-letter-settled.v1"
    TOPIC: ClassVar[str] = "referral.events"


class CatalogueDeadLetterKept(DeadLetterKept):
    """The catalogue keeps a record that it could not read or apply."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.dead-letter-kept.v1"
    TOPIC: ClassVar[str] = "catalogue.events"


class CatalogueDeadLetterSettled(DeadLetterSettled):
    """A dead letter of the catalogue was replayed and has had its effect."""

    TYPE: ClassVar[str] = "fr.foquale.catalogue.dead-letter-settled.v1"
    TOPIC: ClassVar[str] = "catalogue.events"


class TrackingDeadLetterKept(DeadLetterKept):
    """Tracking keeps a record that it could not read or apply."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.dead-letter-kept.v1"
    TOPIC: ClassVar[str] = "tracking.events"


class TrackingDeadLetterSettled(DeadLetterSettled):
    """A dead letter of tracking was replayed and has had its effect."""

    TYPE: ClassVar[str] = "fr.foquale.tracking.dead-letter-settled.v1"
    TOPIC: ClassVar[str] = "tracking.events"


KEPT: Final[Mapping[str, type[DeadLetterKept]]] = {
    "referral": ReferralDeadLetterKept,
    "catalogue": CatalogueDeadLetterKept,
    "tracking": TrackingDeadLetterKept,
}
SETTLED: Final[Mapping[str, type[DeadLetterSettled]]] = {
    "referral": ReferralDeadLetterSettled,
    "catalogue": CatalogueDeadLetterSettled,
    "tracking": TrackingDeadLetterSettled,
}
"""Service -> what it publishes; of another service nothing is published."""

SERVICE_OF: Final[Mapping[type[Event], str]] = {
    event: service for table in (KEPT, SETTLED) for service, event in table.items()
}
"""Whose dead letters an event is about."""
