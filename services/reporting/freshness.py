"""How far the topics are applied, and so how fresh the figures are; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.consumer import Received
from shared.envelope import Record
from shared.events import Event

Partition = tuple[str, int]
"""Topic as the broker calls it, and number."""


@dataclass(slots=True)
class Position:
    """How far a partition is applied: the offset of the next record, and the time of the last event."""

    next_offset: int
    last_event_time: datetime | None = None


def positions_after(events: Sequence[Received[Event]], records: Sequence[Record]) -> dict[Partition, Position]:
    """How far each partition is applied once these records are done with."""
    positions: dict[Partition, Position] = {}
    for record in records:
        position = positions.setdefault((record.topic, record.partition), Position(0))
        position.next_offset = max(position.next_offset, record.offset + 1)
    for event in events:
        found = positions.get((event.record.topic, event.record.partition))
        if found is not None:
            time = event.envelope.time
            found.last_event_time = time if found.last_event_time is None else max(found.last_event_time, time)
    return positions


def sources(
    names: Mapping[str, str], positions: Mapping[Partition, Position], ends: Mapping[Partition, int] | None
) -> list[dict[str, Any]]:
    """What an answer says of each topic; `names` are name on the broker -> name of the design.

    `lag` is the number of records in the log that are not applied yet, None when the broker does not answer (`ends`).
    A partition never read counts from 0, and so does one whose log ends before what was applied: it was made anew.
    """
    return [
        {
            "topic": name,
            "last_event_time": _last_event_time(topic, positions),
            "lag": None if ends is None else sum(_lags(topic, positions, ends)),
        }
        for topic, name in names.items()
    ]


def _last_event_time(topic: str, positions: Mapping[Partition, Position]) -> datetime | None:
    times = [p.last_event_time for (of, _), p in positions.items() if of == topic and p.last_event_time is not None]
    return max(times, default=None)


def _lags(topic: str, positions: Mapping[Partition, Position], ends: Mapping[Partition, int]) -> list[int]:
    lags = []
    for partition, end in ends.items():
        if partition[0] == topic:
            position = positions.get(partition)
            applied = 0 if position is None or position.next_offset > end else position.next_offset
            lags.append(end - applied)
    return lags


def lost(positions: Mapping[Partition, Position], ends: Mapping[Partition, int]) -> dict[Partition, Position]:
    """The partitions whose log ends before what was applied. `ends` must have been asked for after `positions`."""
    return {
        partition: position
        for partition, position in positions.items()
        if partition in ends and ends[partition] < position.next_offset
    }
