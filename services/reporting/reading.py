"""From records to what they say of youths, in one step: the way of almost every record.

A record that our relay wrote in CloudEvents' binary mode, of a type that reporting counts, is read here: of its data
only what is counted. Any other (structured mode, strange headers, registrations, what is broken) is left to the general
way of `shared.consumer`, which is slower and says what is wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from services.reporting.compact import Fact, microseconds, shared_owner, source_number
from services.reporting.freshness import Partition, Position, advance
from services.reporting.indicators import BREAK_REASONS, REACHED_OUTCOMES, RETURN_KINDS, UNVERIFIED_REASONS
from shared.envelope import SPEC_VERSION, Record
from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    DropoutDismissed,
    Event,
    InterviewDone,
    NetworkRegistered,
    PlacementAccepted,
    PlacementDeclined,
    PlacementOffered,
    PlatformRegistered,
    ReviewDone,
    TrainingStarted,
    YouthTransferred,
)
from shared.events.base import Kind, Source
from shared.events.referral import ContactOutcome
from shared.events.tracking import EndReason

IGNORED: Final = "other"
"""What events of types that reporting does not count are counted as."""


@dataclass(slots=True)
class Gathered:
    """What records say: of each youth all together, how many events of each type, how far each partition is read."""

    youths: dict[str, Fact] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    positions: dict[Partition, Position] = field(default_factory=dict)


Fold = Callable[[Fact, Any, int, datetime, bytes], None]
"""Notes in a fact what an event says: its data, the ordinal of its day, its time and its identifier."""


class _Said(msgspec.Struct, gc=False):
    youth_id: Annotated[str, msgspec.Meta(min_length=1)]
    on: date


class _Owned(_Said, gc=False):
    academie: str
    departement: str
    platform_id: str
    network_id: str


class _Detected(_Owned, gc=False):
    source: Source | None = None


class _Attempted(_Said, gc=False):
    outcome: ContactOutcome


class _Dismissed(_Said, gc=False):
    source: Source | None = None


class _Started(_Said, gc=False):
    kind: Kind


class _Ended(_Said, gc=False):
    reason: EndReason


def _owner(fact: Fact, event: _Owned, on: int, time: datetime, event_id: bytes) -> None:
    owner = shared_owner(event.academie, event.departement, event.platform_id, event.network_id)
    assignment = on, microseconds(time), event_id.decode(), owner
    if fact.assignment is None or assignment > fact.assignment:
        fact.assignment = assignment


def _detected(fact: Fact, event: _Detected, on: int, time: datetime, event_id: bytes) -> None:
    source = source_number(event.source)
    if on < fact.detected:
        fact.detected, fact.source = on, source
    elif on == fact.detected:
        fact.source = min(fact.source, source)
    if on > fact.seen:
        fact.seen = on
    _owner(fact, event, on, time, event_id)


def _dismissed(fact: Fact, event: _Dismissed, on: int, time: datetime, event_id: bytes) -> None:
    dismissal = on, microseconds(time), event_id.decode(), event.source or ""
    if fact.dismissal is None or dismissal > fact.dismissal:
        fact.dismissal = dismissal


def _attempted(fact: Fact, event: _Attempted, on: int, _time: datetime, _event_id: bytes) -> None:
    if on < fact.attempted:
        fact.attempted = on
    if event.outcome in REACHED_OUTCOMES:
        if on < fact.reached:
            fact.reached = on
        if on > fact.verified:
            fact.verified = on


def _interviewed(fact: Fact, _event: _Said, on: int, _time: datetime, _event_id: bytes) -> None:
    if on < fact.interviewed:
        fact.interviewed = on
    if on < fact.reached:
        fact.reached = on
    if on > fact.verified:
        fact.verified = on


def _offered(fact: Fact, _event: _Said, on: int, _time: datetime, _event_id: bytes) -> None:
    if on < fact.offered:
        fact.offered = on


def _contracted(fact: Fact, _event: _Said, on: int, _time: datetime, _event_id: bytes) -> None:
    if on < fact.contracted:
        fact.contracted = on
    if on > fact.verified:
        fact.verified = on


def _started(fact: Fact, event: _Started, on: int, _time: datetime, _event_id: bytes) -> None:
    if event.kind in RETURN_KINDS:
        if on < fact.returned:
            fact.returned = on
    elif event.kind == "civic_service" and on < fact.civic_service:
        fact.civic_service = on
    if on > fact.verified:
        fact.verified = on


def _ended(fact: Fact, event: _Ended, on: int, _time: datetime, _event_id: bytes) -> None:
    if event.reason in BREAK_REASONS and on < fact.broken:
        fact.broken = on
    if event.reason not in UNVERIFIED_REASONS and on > fact.verified:
        fact.verified = on


def _verified(fact: Fact, _event: _Said, on: int, _time: datetime, _event_id: bytes) -> None:
    if on > fact.verified:
        fact.verified = on


class _Reader(NamedTuple):
    type: str
    decode: Callable[[bytes], Any]
    fold: Fold


def _readers(table: Mapping[str, tuple[type[_Said], Fold]]) -> dict[bytes, _Reader]:
    return {
        type_.encode(): _Reader(type_, msgspec.json.Decoder(data).decode, fold) for type_, (data, fold) in table.items()
    }


_READERS: Final = _readers(
    {
        DropoutDetected.TYPE: (_Detected, _detected),
        DropoutDismissed.TYPE: (_Dismissed, _dismissed),
        YouthTransferred.TYPE: (_Owned, _owner),
        ContactAttempted.TYPE: (_Attempted, _attempted),
        InterviewDone.TYPE: (_Said, _interviewed),
        PlacementOffered.TYPE: (_Said, _offered),
        ContractSigned.TYPE: (_Said, _contracted),
        TrainingStarted.TYPE: (_Started, _started),
        ContractEnded.TYPE: (_Ended, _ended),
        PlacementAccepted.TYPE: (_Said, _verified),
        PlacementDeclined.TYPE: (_Said, _verified),
        ReviewDone.TYPE: (_Said, _verified),
    }
)


_GENERAL: Final = frozenset({NetworkRegistered.TYPE.encode(), PlatformRegistered.TYPE.encode()})
"""Types that are read the general way; any other that has no reader here is not counted by reporting."""


class _Layout(NamedTuple):
    """Where in the headers which attribute is, in the order of `_NEEDED`."""

    type: int
    time: int
    version: int
    content_type: int
    id: int
    source: int


_NEEDED: Final = ("ce_type", "ce_time", "ce_specversion", "content-type", "ce_id", "ce_source")
_MOST_LAYOUTS: Final = 100
_DAYS: Final[dict[int, int]] = {}
"""The days met so far, so that a million facts share a few thousand numbers."""
_VERSION: Final = SPEC_VERSION.encode()
_JSON: Final = b"application/json"


class Reading:
    """Reads records. It remembers the orders of headers that it has met, as there are few."""

    def __init__(self, general: Iterable[type[Event]] = ()) -> None:
        """`general`: further types that are read the general way."""
        self._general = _GENERAL.union(event.TYPE.encode() for event in general)
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}
        self._names: tuple[str, ...] = ()
        self._layout: _Layout | None = None

    def read(self, records: Iterable[Record], into: Gathered) -> list[Record]:
        """Gather what the records say; those that have to go the general way come back, and are not gathered."""
        left: list[Record] = []
        types: list[str] = []
        youths = into.youths
        topic, partition, offset = "", -1, -1
        newest: datetime | None = None
        # All in one loop: a call for each record would be a tenth of its work.
        for record in records:
            if record.partition != partition or record.topic != topic:
                _note(into, topic, partition, offset, newest)
                topic, partition, newest = record.topic, record.partition, None
            offset = record.offset
            try:
                names: tuple[str, ...]
                values: tuple[bytes, ...]
                names, values = zip(*record.headers)  # noqa: B905  pairs
                if names != self._names:
                    self._learn(names)
                at_type, at_time, at_version, at_content, at_id, at_source = self._layout  # type: ignore[misc]  # None raises
                event_id = values[at_id]
                if (
                    values[at_version] != _VERSION
                    or values[at_content] != _JSON
                    or not event_id
                    or not values[at_source]
                    or not b"".join(values).isascii()  # no bytes: TypeError
                ):
                    left.append(record)  # attributes that only the general way judges
                    continue
                time = datetime.fromisoformat(values[at_time].decode())
                reader = _READERS.get(values[at_type])
                if time.tzinfo is not UTC or (reader is None and self._is_general(values[at_type], record)):
                    left.append(record)
                    continue
                if reader is None:
                    types.append(IGNORED)
                    continue
                type_, decode, fold = reader
                event = decode(record.value)  # type: ignore[arg-type]  # None raises
                fact = youths.get(event.youth_id)
                if fact is None:
                    youths[event.youth_id] = fact = Fact()
                on = event.on.toordinal()
                fold(fact, event, _DAYS.setdefault(on, on), time, event_id)
            except (ValueError, TypeError, AttributeError, msgspec.DecodeError):
                left.append(record)  # whatever is strange about it, a layout that is None included
                continue
            types.append(type_)
            if newest is None or time > newest:
                newest = time
        _note(into, topic, partition, offset, newest)
        into.counts.update(types)
        return left

    def _is_general(self, type_: bytes, record: Record) -> bool:
        """Whether a type that has no reader is to be read all the same."""
        return type_ in self._general or record.value is None

    def _learn(self, names: tuple[str, ...]) -> None:
        """Go by the layout of these names: None where it is not plain (a name missing, twice, or in capitals)."""
        if names not in self._layouts and len(self._layouts) >= _MOST_LAYOUTS:
            self._layouts.clear()
        self._layout = self._layouts.setdefault(names, _layout_of(names))
        self._names = names


def _note(into: Gathered, topic: str, partition: int, offset: int, newest: datetime | None) -> None:
    """Note how far a partition is read, if any is."""
    if partition >= 0:
        advance(into.positions, (topic, partition), Position(offset + 1, newest))


def _layout_of(names: Sequence[str]) -> _Layout | None:
    plain = len({name.lower() for name in names}) == len(names) and set(_NEEDED) <= set(names)
    return _Layout(*map(names.index, _NEEDED)) if plain else None
