"""What a handler gets, and the words it has for an event that it cannot apply."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.envelope import Envelope, Record
from shared.events import Event
from shared.unit_of_work import Tx

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event as a handler sees it."""

    envelope: Envelope
    data: E
    record: Record


def mark_of(event: Received[Any]) -> str:
    """What makes an event the same event: its source and its identifier (CloudEvents)."""
    return f"{event.envelope.source}|{event.envelope.id}"


Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]
Table = Mapping[type[Event], Handler]


class Unapplicable(Exception):
    """A handler's word that an event can be read but never applied: it becomes a dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SomeUnapplicable(Exception):
    """A handler's word that these of its events can never be applied, all that it knows of.

    They become dead letters, and the others come again together: quicker than one by one, where several are to be
    expected in a batch. Nothing of the transaction stays, so that a replay finds them as new as they were.
    """

    def __init__(self, reasons: Sequence[tuple[Received[Any], Unapplicable]]) -> None:
        super().__init__(f"{len(reasons)} events can never be applied")
        self.reasons = reasons


class NotYet(Exception):
    """A handler's word that something it needs has not arrived: the batch, or the request, is to come again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def each(handler: Callable[[Tx, Received[E]], Awaitable[None]]) -> Handler:
    """A handler of many events out of a handler of one."""

    async def apply(tx: Tx, events: Sequence[Received[E]]) -> None:
        for event in events:
            await handler(tx, event)

    apply.__name__ = handler.__name__
    apply.__doc__ = handler.__doc__
    return apply
