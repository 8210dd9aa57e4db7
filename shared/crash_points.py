"""Named points at which a process may die without anything being lost or done twice; tests end a service exactly there.

`FOQUALE_CRASH_AT=relay.published` ends the process (SIGKILL) when it first comes to that point, `relay.published:3` the
third time. Without it, a point is a call that does nothing.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import Final


class Point(StrEnum):
    """Between which two steps a point lies."""

    TRANSACTION_WRITTEN = "transaction.written"
    """State, events and marks are written; nothing is committed."""
    TRANSACTION_COMMITTED = "transaction.committed"
    """All of it is durable; nobody knows: no answer is given, the relay is not woken, no offset is committed."""
    RELAY_READ = "relay.read"
    """Events are read from the outbox, not yet published."""
    RELAY_PUBLISHED = "relay.published"
    """The broker has the events; the outbox does not know."""
    RELAY_MARKED = "relay.marked"
    """The outbox knows that they are published."""
    BATCH_RECEIVED = "batch.received"
    """A batch of records is in hand; nothing is done."""
    BATCH_SET_ASIDE = "batch.set_aside"
    """The records that nobody can read are kept as dead letters; the good ones are not applied."""
    BATCH_MARKED = "batch.marked"
    """Within the transaction the events are marked as seen; their effects are not written."""
    BATCH_APPLIED = "batch.applied"
    """The effects are durable; the offsets are not committed."""
    BATCH_COMMITTED = "batch.committed"
    """The offsets are committed."""


Reach = Callable[[Point], None]


def pass_by(_point: Point) -> None:
    """What a point does in a service at work: nothing."""


def crash_at(setting: str) -> Reach:
    """What `FOQUALE_CRASH_AT` asks for: `POINT` or `POINT:N`, empty for none. ValueError when no point is so called."""
    if not setting:
        return pass_by
    name, _, times = setting.partition(":")
    try:
        wanted: Final = Point(name)
    except ValueError:
        raise ValueError(f"FOQUALE_CRASH_AT={setting}: the points are {', '.join(Point)}") from None
    if times and not (times.isdecimal() and int(times)):
        raise ValueError(f"FOQUALE_CRASH_AT={setting}: after the colon comes how many times, from 1")
    left = int(times or 1)

    def reach(point: Point) -> None:
        nonlocal left
        if point is wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach
