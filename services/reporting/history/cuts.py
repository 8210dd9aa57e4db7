"""Which part of the log is asked about: what was known at a moment, or what was applied up to some positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from services.reporting.freshness import Partition
from shared.envelope import Record, Undecodable, from_record

_JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of the log; an event is in it where nothing that is given excludes it.

    `positions`: only records before these next offsets; a partition that is not named has none in the cut.
    `recorded_until`: only events whose `time`, when they were recorded, is not after this moment.
    `had_at`: when the positions were read, so that a log made anew since then is noticed.
    """

    positions: Mapping[Partition, int] | None = None
    recorded_until: datetime | None = None
    had_at: datetime | None = None


class Test:
    """Whether records are in a cut."""

    __slots__ = ("_positions", "_until")

    def __init__(self, cut: Cut) -> None:
        self._positions = cut.positions
        self._until = cut.recorded_until

    def __call__(self, record: Record, time: datetime | None) -> bool:
        """`time` is `time_of(record)`; a record that is no event is in no cut by time."""
        if self._positions is not None and record.offset >= self._positions.get((record.topic, record.partition), 0):
            return False
        return self._until is None or (time is not None and time <= self._until)


def time_of(record: Record) -> datetime | None:
    """When a record's event was recorded, as every reader of the bus has it; None where it is no event."""
    headers = dict(record.headers)
    written = headers.get("ce_time")
    if written is not None and headers.get("content-type") == _JSON and _plain(tuple([n for n, _ in record.headers])):
        try:
            time = datetime.fromisoformat(written.decode())
        except ValueError:
            return None
        if time.tzinfo is not None:
            return time
    try:
        return from_record(record).time
    except Undecodable:
        return None


@lru_cache(maxsize=100)
def _plain(names: tuple[str, ...]) -> bool:
    """Whether no name of a header is there twice, in whatever letters."""
    return len({name.lower() for name in names}) == len(names)


def end_of(day: date) -> datetime:
    """The last moment of a day, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC) - timedelta(microseconds=1)
