"""What differs between two cuts, as plain data: figures of units then and now, and the events that made it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.reporting.figures import Tally, Unit, figures
from services.reporting.history.decoding import Trace
from services.reporting.history.differences import lines
from services.reporting.history.jobs import Difference
from services.reporting.indicators import LAPSED, UNKNOWN, View


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why figures differ between two cuts; everything in it is plain data.

    `rows`: {by, code, changes: [{view, indicator, old, new, difference, by_time}]}, of units where something differs;
    `by_time`: it may differ without any event, as situations lapse by the calendar. `counts`: {type, reason, late,
    events}, most first. `events`: {id, type, youth_id, on, time, reason, topic, partition, offset}, the first in the
    order of recording; `total` of them made the difference, of `youths` youths.
    """

    rows: list[dict[str, Any]]
    counts: list[dict[str, Any]]
    events: list[dict[str, Any]]
    total: int
    youths: int


def rows_of(found: Difference, views: tuple[View, ...]) -> list[dict[str, Any]]:
    """The units where something differs, by level and code."""
    before, after = _tallies(found.before), _tallies(found.after)
    rows: list[dict[str, Any]] = []
    for unit in sorted(before.keys() | after.keys()):
        old, new = (figures(side.get(unit, Counter()), views) for side in (before, after))
        changes = [_change(*line) for line in lines(old, new)]
        if changes:
            rows.append({"by": unit[0], "code": unit[1], "changes": changes})
    return rows


def counts_of(found: Difference) -> list[dict[str, Any]]:
    """How many events of each kind made the difference, most first."""
    return [
        {"type": type_, "reason": reason or None, "late": late, "events": count}
        for type_, reason, late, count in sorted(found.kinds, key=lambda kind: (-kind[3], kind[:3]))
    ]


def events_of(traces: Sequence[Trace], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Events as an answer tells them."""
    return [trace.plain(names) for trace in traces]


def _tallies(told: Sequence[tuple[Unit, Mapping[str, int]]]) -> dict[Unit, Tally]:
    return {unit: Counter(tally) for unit, tally in told}


def _change(path: str, old: Any, new: Any) -> dict[str, Any]:
    view, _, indicator = path.partition(".")
    return {
        "view": "activity" if view == "dismissed_by_source" else view,
        "indicator": f"{view}.{indicator}" if view == "dismissed_by_source" else indicator,
        "old": old,
        "new": new,
        "difference": None if old is None or new is None else round(new - old, 4),
        "by_time": indicator in (LAPSED, UNKNOWN),
    }
