"""Figures out of events, pure: what is known of a youth, and in which figures that makes the youth count.

A `Fact` is an element of a join-semilattice: `join` is commutative, associative and idempotent, so events may come
in any order and any number of times and the fact is the same. Figures are sums of `contributions` of facts; when a
fact grows, `changes` says what to add to the figures, and what to take away.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce
from typing import Any, Final, NamedTuple, TypeVar, get_args

from services.reporting.indicators import (
    BREAK_REASONS,
    COHORT_STEPS,
    DETECTED_TO_VERIFIED,
    DISMISSED,
    KEPT_DELAYS,
    REACHED_OUTCOMES,
    RETURN_KINDS,
    UNVERIFIED_REASONS,
    Step,
)
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
    YouthTransferred,
)
from shared.events.base import Source

UNKNOWN_SOURCE: Final = "UNKNOWN"
SOURCES: Final[tuple[str, ...]] = (*get_args(Source), UNKNOWN_SOURCE)
"""The upstream bases, and who came by himself. Of those that list a youth first on one day, the first here counts."""


class Dismissal(NamedTuple):
    """A dismissal; the greatest is the last. `source` is the base whose row was wrong, empty where none is named."""

    on: date
    time: datetime
    event_id: str
    source: str


class Assignment(NamedTuple):
    """Who owns the youth from a day on; the greatest is the latest."""

    on: date
    time: datetime
    event_id: str
    academie: str
    departement: str
    platform_id: str
    network_id: str


class Leaf(NamedTuple):
    """The smallest units a youth counts in."""

    academie: str
    departement: str
    network_id: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one youth: the first day of each step, the last detection and dismissal, the latest owner.

    `verified` is the last day on which somebody knew how it stands with the youth, `source` where the first detection
    came from (one of `SOURCES`).
    """

    first: Mapping[Step, date] = field(default_factory=dict)
    last_detected: date | None = None
    verified: date | None = None
    source: str | None = None
    dismissal: Dismissal | None = None
    assignment: Assignment | None = None


NOTHING: Final = Fact()

ToFact = Callable[[Any, datetime, str], Fact]
"""What one event says of its youth; arguments are the event's data, its time and its identifier."""


def detected(event: DropoutDetected, time: datetime, event_id: str) -> Fact:
    """Found in a list, came by himself, or seen again: detected, and assigned."""
    owner = Assignment(event.on, time, event_id, event.academie, event.departement, event.platform_id, event.network_id)
    source = event.source or UNKNOWN_SOURCE
    return Fact({"detected": event.on}, last_detected=event.on, source=source, assignment=owner)


def dismissed(event: DropoutDismissed, time: datetime, event_id: str) -> Fact:
    """Needs no follow-up, unless detected later."""
    return Fact(dismissal=Dismissal(event.on, time, event_id, event.source or ""))


def transferred(event: YouthTransferred, time: datetime, event_id: str) -> Fact:
    """Another platform and network own the youth."""
    owner = Assignment(event.on, time, event_id, event.academie, event.departement, event.platform_id, event.network_id)
    return Fact(assignment=owner)


def attempted(event: ContactAttempted, _time: datetime, _event_id: str) -> Fact:
    """A contact was tried; reached by some outcomes, which verify how it stands."""
    if event.outcome in REACHED_OUTCOMES:
        return Fact({"attempted": event.on, "reached": event.on}, verified=event.on)
    return Fact({"attempted": event.on})


def interviewed(event: InterviewDone, _time: datetime, _event_id: str) -> Fact:
    """Interviewed, and thereby reached."""
    return Fact({"interviewed": event.on, "reached": event.on}, verified=event.on)


def offered(event: PlacementOffered, _time: datetime, _event_id: str) -> Fact:
    """A place was offered."""
    return Fact({"offered": event.on})


def contracted(event: ContractSigned, _time: datetime, _event_id: str) -> Fact:
    """A contract was signed: taken in charge."""
    return Fact({"contracted": event.on}, verified=event.on)


def started(event: TrainingStarted, _time: datetime, _event_id: str) -> Fact:
    """Returned to training, or in civic service; other kinds count in neither."""
    if event.kind in RETURN_KINDS:
        return Fact({"returned": event.on}, verified=event.on)
    return Fact({"civic_service": event.on} if event.kind == "civic_service" else {}, verified=event.on)


def ended(event: ContractEnded, _time: datetime, _event_id: str) -> Fact:
    """Broken off for some reasons; at its term or for a job it is not. A youth who is lost is not verified by that."""
    return Fact(
        {"broken": event.on} if event.reason in BREAK_REASONS else {},
        verified=None if event.reason in UNVERIFIED_REASONS else event.on,
    )


def verified(event: PlacementAccepted | PlacementDeclined | ReviewDone, _time: datetime, _event_id: str) -> Fact:
    """The youth answered, or was seen: no step, but his situation is known on that day."""
    return Fact(verified=event.on)


T = TypeVar("T", date, Dismissal, Assignment)


def _later(one: T | None, other: T | None) -> T | None:
    if one is None:
        return other
    return one if other is None else max(one, other)


def join(one: Fact, other: Fact) -> Fact:
    """All that two facts of the same youth say together."""
    first = {**one.first, **other.first}
    for step in one.first.keys() & other.first.keys():
        first[step] = min(one.first[step], other.first[step])
    return Fact(
        first,
        _later(one.last_detected, other.last_detected),
        _later(one.verified, other.verified),
        _source(one, other),
        _later(one.dismissal, other.dismissal),
        _later(one.assignment, other.assignment),
    )


def _source(one: Fact, other: Fact) -> str | None:
    told = [
        (fact.first["detected"], SOURCES.index(fact.source), fact.source)
        for fact in (one, other)
        if fact.source is not None and "detected" in fact.first
    ]
    return min(told)[2] if told else None


def join_all(facts: Iterable[Fact]) -> Fact:
    """All that the facts say together, in whatever order."""
    return reduce(join, facts, NOTHING)


def is_dismissed(fact: Fact) -> bool:
    """Whether the last dismissal holds: it is on or after the day of the last detection."""
    return fact.dismissal is not None and (fact.last_detected is None or fact.dismissal.on >= fact.last_detected)


def leaf_of(fact: Fact) -> Leaf | None:
    """Where the youth counts; None while no owner is known: then only in the national figures."""
    owner = fact.assignment
    return None if owner is None else Leaf(owner.academie, owner.departement, owner.network_id)


Contribution = tuple[date, str]
"""A youth counts one on this day, in this measure. Measures are, by the day of the event, a code of the register or
`dismissed:<source>`; by the day of first detection `cohort:<code>`, `cohort:detected:<source>` (dismissed or not),
`cohort:dismissed:<source>` (both by the first detection's source) and `delay:<name>:<days>`."""

_COHORT: Final[Mapping[Step, str]] = {step: f"cohort:{step}" for step in COHORT_STEPS}
_COHORT_DISMISSED: Final = f"cohort:{DISMISSED}"


def contributions(fact: Fact) -> set[Contribution]:
    """All that the youth counts in, one each."""
    cohort = fact.first.get("detected")
    if fact.dismissal is not None and is_dismissed(fact):
        on = fact.dismissal.on
        counted = {(on, DISMISSED), (on, f"{DISMISSED}:{fact.dismissal.source or UNKNOWN_SOURCE}")}
        if cohort is not None:
            counted.add((cohort, _COHORT_DISMISSED))
            if fact.source is not None:
                counted |= {(cohort, f"cohort:{code}:{fact.source}") for code in ("detected", DISMISSED)}
        return counted
    counted = {(day, str(step)) for step, day in fact.first.items()}
    if cohort is not None:
        counted.update((cohort, _COHORT[step]) for step in fact.first if step != "detected")
        if fact.source is not None:
            counted.add((cohort, f"cohort:detected:{fact.source}"))
        for name, (begin, end) in KEPT_DELAYS.items():
            if begin in fact.first and end in fact.first:
                counted.add((cohort, f"delay:{name}:{_days(fact.first[begin], fact.first[end])}"))
        if fact.verified is not None and "reached" in fact.first:
            counted.add((cohort, f"delay:{DETECTED_TO_VERIFIED}:{_days(cohort, fact.verified)}"))
    return counted


def _days(begin: date, end: date) -> int:
    return max(0, (end - begin).days)


Change = tuple[Leaf | None, date, str, int]
"""Add the last (1 or -1) to a measure of a day in a leaf."""


def changes(before: Fact | None, after: Fact) -> Iterator[Change]:
    """What to add to the figures when a youth's fact grows from `before` (None: not known) to `after`."""
    old = contributions(before) if before is not None else set()
    new = contributions(after)
    old_leaf = leaf_of(before) if before is not None else None
    new_leaf = leaf_of(after)
    moved = old_leaf != new_leaf
    for day, measure in old if moved else old - new:
        yield old_leaf, day, measure, -1
    for day, measure in new if moved else new - old:
        yield new_leaf, day, measure, 1
