"""How far the topics are applied, and so how fresh the figures are; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Partition = tuple[str, int]
"""Topic as the broker calls it, and number."""


@dataclass(slots=True)
class Position:
    """How far a partition is applied: the offset of the next record, and the time of the last event."""

    next_offset: int
    last_event_time: datetime | None = None


def advance(positions: dict[Partition, Position], place: Partition, to: Position) -> None:
    """Note how far a partition is read; never backwards."""
    known = positions.setdefault(place, to)
    if known is not to:
        known.next_offset = max(known.next_offset, to.next_offset)
        if to.last_event_time is not None and (
            known.last_event_time is None or to.last_event_time > known.last_event_time
        ):
            known.last_event_time = to.last_event_time


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
