"""What reporting keeps of the events that tell of quality: one document each, by what the event is about. Pure.

Each type of event sets fields of its own of a document, so that the same events in any order, and however often, leave
the same documents: there is nothing to mark as seen.

    taken_lists         `_id` is the event's: `on`, `list_id`, `way`, `counts` (by upstream base and campaign)
    disputes            `_id` is the dispute's: `opened_on`, `source`; `settled_on`, `decision`
    told_dead_letters   `_id` is service|dead letter: `kept_on`, `service`, `topic`, `code`; `settled_on`, `by`

They belong to a generation of the projection (`generations.py`): the log has all of them for ever, so a rebuild makes
them anew as it does the facts, and a verification compares them. Days are ISO texts.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from shared.events import DisputeOpened, DisputeSettled, Event, ListTakenIn
from shared.events.dead_letters import SERVICE_OF, DeadLetterKept, DeadLetterSettled

TAKEN_LISTS: Final = "taken_lists"
DISPUTES: Final = "disputes"
TOLD_DEAD_LETTERS: Final = "told_dead_letters"
COLLECTIONS: Final = (TAKEN_LISTS, DISPUTES, TOLD_DEAD_LETTERS)


class Note(NamedTuple):
    """Fields to set in a document of a collection; the document is made where it is not there yet."""

    collection: str
    id: str
    fields: dict[str, Any]


ToNote = Callable[[Any, str], Note]
"""What is kept of one event; arguments are the event's data and its identifier."""

Notes = Mapping[type[Event], ToNote]


def list_taken_in(event: ListTakenIn, event_id: str) -> Note:
    """Rows of a list were read and judged."""
    return Note(TAKEN_LISTS, event_id, event.model_dump(mode="json"))


def dispute_opened(event: DisputeOpened, _event_id: str) -> Note:
    """A row may name several youths."""
    return Note(DISPUTES, event.dispute_id, {"opened_on": event.on.isoformat(), "source": event.source})


def dispute_settled(event: DisputeSettled, _event_id: str) -> Note:
    """A person has said whom it names."""
    return Note(DISPUTES, event.dispute_id, {"settled_on": event.on.isoformat(), "decision": event.decision})


def dead_letter_kept(event: DeadLetterKept, _event_id: str) -> Note:
    """A service keeps a record that it could not apply."""
    service = SERVICE_OF[type(event)]
    fields = {"kept_on": event.on.isoformat(), "service": service, "topic": event.topic, "code": event.code}
    return Note(TOLD_DEAD_LETTERS, f"{service}|{event.dead_letter_id}", fields)


def dead_letter_settled(event: DeadLetterSettled, _event_id: str) -> Note:
    """A dead letter has had its effect."""
    service = SERVICE_OF[type(event)]
    fields = {"settled_on": event.on.isoformat(), "by": event.by}
    return Note(TOLD_DEAD_LETTERS, f"{service}|{event.dead_letter_id}", fields)
