"""The indicators counted anew, straight from a list of events by the text of their definitions: no facts, no sums kept,
nothing of the reporting service. Slow and plain on purpose; every other count must agree with it to the unit.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.envelope import Envelope
from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    PlacementAccepted,
    PlacementDeclined,
    PlacementOffered,
    ReviewDone,
    TrainingStarted,
    YouthEvent,
    YouthTransferred,
)

RETURNS = ("school", "innovative_structure", "apprenticeship", "trainee")
SOURCES = ("SCOLARITE", "AGRICULTURE", "APPRENTISSAGE", "MISSION_LOCALE", "ETABLISSEMENT")


@dataclass(frozen=True)
class Happened:
    """An event, the moment it was recorded, and its identifier."""

    id: str
    time: datetime
    event: YouthEvent

    @property
    def order(self) -> tuple[date, datetime, str]:
        return self.event.on, self.time, self.id

    def envelope(self) -> Envelope:
        """The event as it goes over the bus."""
        return Envelope(
            id=self.id,
            type=self.event.TYPE,
            source=f"/foquale/{self.event.TOPIC.partition('.')[0]}",
            subject=self.event.youth_id,
            time=self.time,
            data=self.event.model_dump_json().encode(),
        )


COUNTS_WHEN: dict[str, Callable[[YouthEvent], bool]] = {
    "detected": lambda e: isinstance(e, DropoutDetected),
    "attempted": lambda e: isinstance(e, ContactAttempted),
    "reached": lambda e: (
        (isinstance(e, ContactAttempted) and e.outcome in ("reached", "declined")) or isinstance(e, InterviewDone)
    ),
    "interviewed": lambda e: isinstance(e, InterviewDone),
    "offered": lambda e: isinstance(e, PlacementOffered),
    "contracted": lambda e: isinstance(e, ContractSigned),
    "returned": lambda e: isinstance(e, TrainingStarted) and e.kind in RETURNS,
    "civic_service": lambda e: isinstance(e, TrainingStarted) and e.kind == "civic_service",
    "broken": lambda e: isinstance(e, ContractEnded) and e.reason in ("dropped_out", "lost"),
}


def verifies(e: YouthEvent) -> bool:
    """Whether somebody knew on that day how it stands with the youth."""
    if isinstance(e, ContactAttempted):
        return e.outcome in ("reached", "declined")
    if isinstance(e, ContractEnded):
        return e.reason != "lost"
    return isinstance(
        e, InterviewDone | PlacementAccepted | PlacementDeclined | ContractSigned | TrainingStarted | ReviewDone
    )


DELAYS = (
    ("detected", "attempted"),
    ("detected", "interviewed"),
    ("interviewed", "offered"),
    ("offered", "contracted"),
)


class Youth:
    """One youth's events, in whatever order."""

    def __init__(self, events: Sequence[Happened]) -> None:
        self.events = events
        dismissals = sorted((h for h in events if isinstance(h.event, DropoutDismissed)), key=lambda h: h.order)
        detections = [h.event.on for h in events if isinstance(h.event, DropoutDetected)]
        self.dismissal = None
        if dismissals and all(day <= dismissals[-1].event.on for day in detections):
            self.dismissal = dismissals[-1].event
        assignments = [h for h in events if isinstance(h.event, DropoutDetected | YouthTransferred)]
        self.owner = max(assignments, key=lambda h: h.order).event if assignments else None

    def day(self, code: str) -> date | None:
        return min((h.event.on for h in self.events if COUNTS_WHEN[code](h.event)), default=None)

    def has_lapsed(self, before: date) -> bool:
        """Whether the youth was reached once, and his situation last verified before a day, or before his detection."""
        verified = [h.event.on for h in self.events if verifies(h.event)]
        detected = self.day("detected")
        return detected is not None and self.day("reached") is not None and max(*verified, detected) < before

    def source(self) -> str:
        """Where the first detection came from; of several on a day, the first in the order of the bases."""
        first = self.day("detected")
        told = {h.event.source for h in self.events if isinstance(h.event, DropoutDetected) and h.event.on == first}
        return next((source for source in SOURCES if source in told), "UNKNOWN")

    def units(self) -> list[tuple[str, str]]:
        units = [("national", "FR")]
        if isinstance(self.owner, DropoutDetected | YouthTransferred):
            units += [
                ("academie", self.owner.academie),
                ("departement", self.owner.departement),
                ("network", self.owner.network_id),
            ]
        return units


def indicators(
    events: Iterable[Happened], first: date | None = None, last: date | None = None, lapsed_before: date = date.min
) -> dict[tuple[str, str], dict[str, Any]]:
    """The figures of every unit that has a youth, by (level, code), in the shape of the answer's rows.

    A situation last verified before `lapsed_before` has lapsed.
    """
    by_id = {happened.id: happened for happened in events}
    lives: dict[str, list[Happened]] = {}
    for happened in by_id.values():
        lives.setdefault(happened.event.youth_id, []).append(happened)
    members: dict[tuple[str, str], list[Youth]] = {}
    for life in lives.values():
        youth = Youth(life)
        for unit in youth.units():
            members.setdefault(unit, []).append(youth)
    return {unit: row(youths, first, last, lapsed_before) for unit, youths in members.items()}


def row(
    youths: Sequence[Youth], first: date | None, last: date | None, lapsed_before: date = date.min
) -> dict[str, Any]:
    """The figures of some youths over a period, both ends included; no youths: all zeros."""

    def within(day: date | None) -> bool:
        return day is not None and (first is None or day >= first) and (last is None or day <= last)

    standing = [youth for youth in youths if youth.dismissal is None]
    dismissed = [youth for youth in youths if youth.dismissal is not None]
    activity = {code: sum(within(youth.day(code)) for youth in standing) for code in COUNTS_WHEN}
    by_source = dict.fromkeys((*SOURCES, "UNKNOWN"), 0)
    for youth in dismissed:
        if youth.dismissal is not None and within(youth.dismissal.on):
            by_source[getattr(youth.dismissal, "source", None) or "UNKNOWN"] += 1

    cohort = [youth for youth in standing if within(youth.day("detected"))]
    size = len(cohort)
    steps = {code: sum(youth.day(code) is not None for youth in cohort) for code in COUNTS_WHEN if code != "detected"}
    not_known = sum(youth.day("reached") is None for youth in cohort)
    lapsed = sum(youth.has_lapsed(lapsed_before) for youth in cohort)
    parts = {**steps, "not_known": not_known, "lapsed": lapsed, "unknown": not_known + lapsed}
    listed = [(youth.source(), youth.dismissal is not None) for youth in youths if within(youth.day("detected"))]
    return {
        "activity": {**activity, "dismissed": sum(by_source.values())},
        "dismissed_by_source": by_source,
        "cohort": {
            "size": size,
            "detected": size,
            **parts,
            "dismissed": sum(within(youth.day("detected")) for youth in dismissed),
            "shares": {code: round(count / size, 4) if size else None for code, count in parts.items()},
            "delays": {f"{begin}_to_{end}": delays(cohort, begin, end) for begin, end in DELAYS},
            "false_positives": {
                source: false_positives([dismissed for of, dismissed in listed if of == source])
                for source in (*SOURCES, "UNKNOWN")
            },
        },
    }


def false_positives(dismissed: Sequence[bool]) -> dict[str, Any]:
    """Of so many youths whom a base was the first to list, how many are dismissed."""
    n, wrong = len(dismissed), sum(dismissed)
    return {"detected": n, "dismissed": wrong, "rate": round(wrong / n, 4) if n else None}


def delays(cohort: Sequence[Youth], begin: str, end: str) -> dict[str, Any]:
    """Number, median and 90th percentile (nearest rank) of the days between two steps."""
    days = []
    for youth in cohort:
        one, other = youth.day(begin), youth.day(end)
        if one is not None and other is not None:
            days.append(max(0, other.toordinal() - one.toordinal()))
    days.sort()
    if not days:
        return {"n": 0, "median": None, "p90": None}
    return {"n": len(days), "median": statistics.median(days), "p90": days[math.ceil(9 * len(days) / 10) - 1]}


NOBODY = row([], None, None)
