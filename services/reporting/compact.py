"""Facts as a few numbers: what `projection` says, in the form in which a million of them are kept and joined.

Days are ordinals (`date.toordinal`), times whole microseconds since 1970 in UTC. What is gathered of a youth from many
events is a fact as well, filled in place; a fact that is kept is never changed.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from services.reporting.indicators import COHORT_STEPS, DETECTED_TO_VERIFIED, DISMISSED, KEPT_DELAYS, STEPS
from services.reporting.measures import DAY_SHIFT, DELAY_MASK, DELAY_NAMES, DELAY_SHIFT, NUMBERS
from services.reporting.projection import SOURCES, UNKNOWN_SOURCE, Leaf
from services.reporting.projection import Fact as PlainFact
from shared.mongo import Document

NEVER: Final = 1 << 22
"""The day of what has not happened: after all days."""
NO_SOURCE: Final = len(SOURCES)
_SOURCE_NUMBERS: Final = {source: number for number, source in enumerate(SOURCES)}

Dismissed = tuple[int, int, str, str]
"""On, time, event id, source; the greatest is the last."""
Owner = tuple[str, str, str, str]
"""Académie, département, platform, network."""
Assigned = tuple[int, int, str, Owner]
"""On, time, event id, owner; the greatest is the latest."""
Days = tuple[int, int, int, int, int, int, int, int, int]


class Fact(msgspec.Struct, array_like=True, gc=False):
    """What is known of one youth: `projection.Fact`.

    `seen` is the last day of detection and `verified` that of the last verification, 0 where there is none; `source` is
    a place in `SOURCES`, `NO_SOURCE` where there was no detection.
    """

    detected: int = NEVER
    attempted: int = NEVER
    reached: int = NEVER
    interviewed: int = NEVER
    offered: int = NEVER
    contracted: int = NEVER
    returned: int = NEVER
    civic_service: int = NEVER
    broken: int = NEVER
    seen: int = 0
    verified: int = 0
    source: int = NO_SOURCE
    dismissal: Dismissed | None = None
    assignment: Assigned | None = None


pack: Final = msgspec.msgpack.Encoder().encode
"""Facts of some youths, by identifier, or a single one, as bytes (MessagePack)."""
_packed: Final = msgspec.msgpack.Decoder(dict[str, Fact])
_packed_one: Final = msgspec.msgpack.Decoder(Fact)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970 in UTC."""
    return (time - _EPOCH) // _MICROSECOND


def join(one: Fact, other: Fact) -> Fact:
    """All that two facts of the same youth say together; see `projection.join`."""
    days = map(min, days_of(one), days_of(other))
    seen, verified = max(one.seen, other.seen), max(one.verified, other.verified)
    rest = _first_source(one, other), _later_dismissal(one, other), _later_assignment(one, other)
    return Fact(*days, seen, verified, *rest)  # type: ignore[arg-type, call-arg]  # nine days


def source_number(source: str | None) -> int:
    """The place in `SOURCES` of an upstream base; None is who came by himself."""
    return _SOURCE_NUMBERS[source or UNKNOWN_SOURCE]


def _first_source(one: Fact, other: Fact) -> int:
    if one.detected != other.detected:
        return one.source if one.detected < other.detected else other.source
    return min(one.source, other.source)


def _later_dismissal(one: Fact, other: Fact) -> Dismissed | None:
    if one.dismissal is None or (other.dismissal is not None and other.dismissal > one.dismissal):
        return other.dismissal
    return one.dismissal


def _later_assignment(one: Fact, other: Fact) -> Assigned | None:
    if one.assignment is None or (other.assignment is not None and other.assignment > one.assignment):
        return other.assignment
    return one.assignment


def unpack(packed: bytes) -> dict[str, Fact]:
    """What `pack` made of facts by identifier."""
    facts = _packed.decode(packed)
    for fact in facts.values():
        _share_owner(fact)
    return facts


def unpack_one(packed: bytes) -> Fact:
    """What `pack` made of a single fact."""
    fact = _packed_one.decode(packed)
    _share_owner(fact)
    return fact


def _share_owner(fact: Fact) -> None:
    if fact.assignment is not None:
        on, time, event_id, owner = fact.assignment
        fact.assignment = on, time, event_id, shared_owner(*owner)


def leaf_of(fact: Fact) -> Leaf | None:
    """Where the youth counts; see `projection.leaf_of`."""
    owner = fact.assignment
    return None if owner is None else Leaf(owner[3][0], owner[3][1], owner[3][3])


_DISMISSED: Final = NUMBERS[DISMISSED]
_BY_SOURCE: Final = {
    name.removeprefix(f"{DISMISSED}:"): number for name, number in NUMBERS.items() if name.startswith(f"{DISMISSED}:")
}
_COHORT_DISMISSED: Final = NUMBERS[f"cohort:{DISMISSED}"]
_COHORT: Final = tuple(NUMBERS[f"cohort:{step}"] if step in COHORT_STEPS else NUMBERS[step] for step in STEPS)
_REACHED: Final = STEPS.index("reached")
_NOTHING: Final = Fact()
_DETECTED_BY: Final = tuple(NUMBERS[f"cohort:detected:{source}"] for source in SOURCES)
_DISMISSED_BY: Final = tuple(NUMBERS[f"cohort:{DISMISSED}:{source}"] for source in SOURCES)
_DELAYS: Final = tuple(
    (STEPS.index(begin), STEPS.index(end), (DELAY_NAMES.index(name) + 1) << DELAY_SHIFT)
    for name, (begin, end) in KEPT_DELAYS.items()
)
_VERIFIED: Final = (DELAY_NAMES.index(DETECTED_TO_VERIFIED) + 1) << DELAY_SHIFT


def places(fact: Fact) -> set[int]:
    """All that the youth counts in, one each: day << 20 | measure; see `projection.contributions`."""
    cohort = fact.detected
    dismissal = fact.dismissal
    if dismissal is not None and _is_dismissed(fact):
        on = dismissal[0] << DAY_SHIFT
        found = {on | _DISMISSED, on | _BY_SOURCE[dismissal[3] or UNKNOWN_SOURCE]}
        if cohort != NEVER:
            base = cohort << DAY_SHIFT
            found.add(base | _COHORT_DISMISSED)
            if fact.source != NO_SOURCE:
                found.update((base | _DETECTED_BY[fact.source], base | _DISMISSED_BY[fact.source]))
        return found
    days = days_of(fact)
    found = {day << DAY_SHIFT | step for step, day in enumerate(days) if day != NEVER}
    if cohort != NEVER:
        base = cohort << DAY_SHIFT
        found.update([base | number for number, day in zip(_COHORT, days, strict=True) if day != NEVER])
        for begin, end, delay in _DELAYS:
            if days[begin] != NEVER and days[end] != NEVER:
                found.add(base | delay | min(max(0, days[end] - days[begin]), DELAY_MASK))
        if fact.source != NO_SOURCE:
            found.add(base | _DETECTED_BY[fact.source])
        last = last_verified(days, fact.verified)
        if last is not None:
            found.add(base | _VERIFIED | last)
    return found


def _is_dismissed(fact: Fact) -> bool:
    return fact.dismissal is not None and fact.dismissal[0] >= fact.seen


def days_of(fact: Fact) -> Days:
    """The days of the steps, in the order of `indicators.STEPS`."""
    return (
        fact.detected,
        fact.attempted,
        fact.reached,
        fact.interviewed,
        fact.offered,
        fact.contracted,
        fact.returned,
        fact.civic_service,
        fact.broken,
    )


def last_verified(days: Sequence[int], verified: int) -> int | None:
    """Days from detection to the last verification, of a youth who was reached; None of any other."""
    if not verified or days[_REACHED] == NEVER:
        return None
    return min(max(0, verified - days[0]), DELAY_MASK)


def details(fact: Fact) -> int:
    """How much it says: the days of steps, an owner, a dismissal. Never less when a fact grows."""
    days = days_of(fact)
    return len(days) - days.count(NEVER) + (fact.dismissal is not None) + (fact.assignment is not None)


def grown(before: Fact | None, news: Fact) -> Fact | None:
    """The fact with the news (`before` None: nothing was known); None when they say nothing new."""
    after = news if before is None else join(before, news)
    return None if after == (before or _NOTHING) else after


@lru_cache(maxsize=10_000)
def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _text(time: int) -> str:
    return (_EPOCH + time * _MICROSECOND).isoformat(timespec="microseconds")


def document(youth_id: str, fact: Fact) -> Document:
    """The fact as people read it: `first` has the days of the steps, days and times are ISO texts."""
    first = {step: _iso(day) for step, day in zip(STEPS, days_of(fact), strict=True) if day != NEVER}
    row: Document = {"_id": youth_id, "first": first}
    if fact.seen:
        row["last_detected"] = _iso(fact.seen)
    if fact.verified:
        row["verified"] = _iso(fact.verified)
    if fact.source != NO_SOURCE:
        row["source"] = SOURCES[fact.source]
    if fact.dismissal is not None:
        row["dismissal"] = _plain_dismissal(fact.dismissal)
    if fact.assignment is not None:
        row["assignment"] = _plain_assignment(fact.assignment)
    return row


def _plain_dismissal(dismissal: Dismissed) -> Document:
    on, time, event_id, source = dismissal
    return {"on": _iso(on), "time": _text(time), "event_id": event_id, "source": source}


def _plain_assignment(assignment: Assigned) -> Document:
    on, time, event_id, (academie, departement, platform_id, network_id) = assignment
    return {
        "on": _iso(on),
        "time": _text(time),
        "event_id": event_id,
        "academie": academie,
        "departement": departement,
        "platform_id": platform_id,
        "network_id": network_id,
    }


@lru_cache(maxsize=10_000)
def shared_owner(academie: str, departement: str, platform_id: str, network_id: str) -> Owner:
    """An owner; the same object for the same, as many youths have one."""
    return academie, departement, platform_id, network_id


def of_plain(plain: PlainFact) -> Fact:
    """The same fact, as `projection` has it."""
    fact = Fact()
    for step, day in plain.first.items():
        setattr(fact, step, day.toordinal())
    if plain.last_detected is not None:
        fact.seen = plain.last_detected.toordinal()
    if plain.verified is not None:
        fact.verified = plain.verified.toordinal()
    if plain.source is not None:
        fact.source = source_number(plain.source)
    if plain.dismissal is not None:
        dismissal = plain.dismissal
        fact.dismissal = (
            dismissal.on.toordinal(),
            microseconds(dismissal.time),
            dismissal.event_id,
            dismissal.source,
        )
    if plain.assignment is not None:
        of = plain.assignment
        owner = shared_owner(of.academie, of.departement, of.platform_id, of.network_id)
        fact.assignment = of.on.toordinal(), microseconds(of.time), of.event_id, owner
    return fact
