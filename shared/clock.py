"""The clock and the identifiers, handed to whoever needs them, so that pure code never asks for them."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import uuid_utils

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def event_id() -> str:
    """A UUIDv7: unique for ever, and in order of time within a process."""
    return str(uuid_utils.uuid7())


def random_id() -> str:
    """A UUIDv4: says nothing about whom or when (youths, placements, contracts)."""
    return str(uuid4())
