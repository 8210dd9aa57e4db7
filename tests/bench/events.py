"""The load: lives of youths as records, as our relay writes them, each with what must be counted of it in the end.

A life is told in order, and what it must come to is noted as it is made. Only then the records are sent twice here and
there, and out of order within a window, which must change nothing.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from shared.reference import load

TOPICS: Final = ("referral.events", "catalogue.events", "tracking.events")
STEPS: Final = (
    "detected",
    "attempted",
    "reached",
    "interviewed",
    "offered",
    "contracted",
    "returned",
    "civic_service",
    "broken",
)
SOURCES: Final = ("SCOLARITE", "AGRICULTURE", "APPRENTISSAGE", "MISSION_LOCALE", "ETABLISSEMENT", "UNKNOWN")

_DETECTED, _ATTEMPTED, _REACHED, _INTERVIEWED, _OFFERED, _CONTRACTED, _RETURNED, _CIVIC, _BROKEN = range(len(STEPS))
_BEGIN: Final = date(2013, 1, 1).toordinal()
_DAYS: Final = 330
_NETWORKS_EACH: Final = 4
_DUPLICATES: Final = 0.05
_WINDOW: Final = 200
_KINDS: Final = ("school", "innovative_structure", "apprenticeship", "civic_service", "other")


class Owner(NamedTuple):
    """Who answers for a youth."""

    academie: str
    departement: str
    platform_id: str
    network_id: str


class Event(NamedTuple):
    """One record: the number of its topic in `TOPICS`, its key, value and headers."""

    topic: int
    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


@lru_cache(maxsize=1)
def owners() -> tuple[Owner, ...]:
    """Some four hundred networks: four in each département of France."""
    reference = load()
    on = date(2013, 9, 1)
    return tuple(
        Owner(academie, code, f"PSAD-{code}-{number:02}", f"FOQ-{code}-{number:02}")
        for code in sorted(reference.departements())
        if (academie := reference.academie_of(code, on)) is not None
        for number in range(1, _NETWORKS_EACH + 1)
    )


@dataclass(frozen=True)
class Truth:
    """What must be counted, a row a youth. Days are ordinals, 0 where there is none.

    `first` is [youths, 9], in the order of `STEPS`; `dismissed` the day of the dismissal that holds, `source` an index
    into `SOURCES` (where dismissed), `owner` one into `owners()`.
    """

    first: NDArray[np.int32]
    dismissed: NDArray[np.int32]
    source: NDArray[np.int8]
    owner: NDArray[np.int16]

    @classmethod
    def of(cls, youths: int) -> Self:
        """Nothing known of so many."""
        return cls(
            np.zeros((youths, len(STEPS)), np.int32),
            np.zeros(youths, np.int32),
            np.zeros(youths, np.int8),
            np.zeros(youths, np.int16),
        )

    def save(self, path: Path) -> None:
        """Write it to a file."""
        np.savez(path, first=self.first, dismissed=self.dismissed, source=self.source, owner=self.owner)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """Read what `save` wrote, one after the other."""
        parts = []
        for path in paths:
            with np.load(path) as arrays:
                parts.append([arrays[each.name] for each in fields(cls)])
        return cls(*(np.concatenate(same) for same in zip(*parts, strict=True)))


class Lives:
    """So many lives, the same for the same seed. `long`: some 8 events each, else 4 to 5."""

    def __init__(self, youths: int, *, seed: int, long: bool = True) -> None:
        self.truth = Truth.of(youths)
        self._youths = youths
        self._random = random.Random(seed)
        self._long = long

    def in_order_of_lives(self) -> Iterator[Event]:
        """Youth by youth: a full log, caught up with."""
        return self._disordered(event for number in range(self._youths) for _, event in self._life(number))

    def in_order_of_time(self) -> Iterator[Event]:
        """Day by day: all youths side by side, as events come in. Holds all of them in memory."""
        events = [each for number in range(self._youths) for each in self._life(number)]
        events.sort(key=lambda each: each[0])
        return self._disordered(event for _, event in events)

    def _disordered(self, events: Iterable[Event]) -> Iterator[Event]:
        chance = self._random.random
        waiting: list[Event] = []
        for event in events:
            for _ in range(2 if chance() < _DUPLICATES else 1):
                if len(waiting) < _WINDOW:
                    waiting.append(event)
                else:
                    place = int(chance() * _WINDOW)
                    yield waiting[place]
                    waiting[place] = event
        self._random.shuffle(waiting)
        yield from waiting

    def _life(self, number: int) -> list[tuple[int, Event]]:
        chance = self._random.random
        told = _Told(_uuid(self._random.getrandbits(128)), self._random)
        first = [0] * len(STEPS)
        at = int(chance() * len(owners()))
        owner = owners()[at]
        day = _BEGIN + int(chance() * _DAYS)
        length = 10 if self._long else 3 + int(chance() * 3.7)

        source = SOURCES[int(chance() * 5)]
        first[_DETECTED] = day
        told.detected(day, owner, source)
        day += int(chance() * 25)
        first[_ATTEMPTED] = day
        told.attempted(day, "no_answer")
        day += int(chance() * 10)
        first[_REACHED] = day
        told.attempted(day, "reached" if chance() < 0.9 else "declined")
        if chance() < 0.08:
            day += int(chance() * 20)
            by = int(chance() * len(SOURCES))
            told.dismissed(day, SOURCES[by])
            again = chance() < 0.2
            if again:
                told.detected(day + 1 + int(chance() * 40), owner, source)
            else:
                self.truth.dismissed[number] = day
                self.truth.source[number] = by
        else:
            if length > 3:
                day += int(chance() * 30)
                first[_INTERVIEWED] = day
                told.interviewed(day)
            if length > 4:
                day += int(chance() * 20)
                first[_OFFERED] = day
                told.offered(day, owner)
                if chance() < 0.9:
                    told.accepted(day)
            if length > 6:
                day = self._placed(told, first, day)
            if chance() < 0.06:
                at = int(chance() * len(owners()))
                told.transferred(day + int(chance() * 30), owner, owners()[at])
        self.truth.first[number] = first
        self.truth.owner[number] = at
        return told.events

    def _placed(self, told: "_Told", first: list[int], day: int) -> int:
        """Contract and training, and sometimes their end; the day of the last of them."""
        chance = self._random.random
        day += int(chance() * 15)
        first[_CONTRACTED] = day
        told.contracted(day)
        day += int(chance() * 10)
        kind = _KINDS[int(chance() * len(_KINDS))]
        if kind != "other":
            first[_CIVIC if kind == "civic_service" else _RETURNED] = day
        told.started(day, kind)
        if chance() < 0.2:
            day += int(chance() * 60)
            first[_BROKEN] = day if chance() < 0.7 else 0
            told.ended(day, "dropped_out" if first[_BROKEN] else "employment")
        return day


def detections(*, seed: int) -> Iterator[Event]:
    """Youths without end, each detected and no more."""
    rng = random.Random(seed)
    while True:
        told = _Told(_uuid(rng.getrandbits(128)), rng)
        told.detected(_BEGIN + int(rng.random() * _DAYS), rng.choice(owners()), SOURCES[0])
        yield told.events[0][1]


class _Told:
    """A youth's events, one after the other: the later of two on a day has the later time."""

    def __init__(self, youth: str, rng: random.Random) -> None:
        self.events: list[tuple[int, Event]] = []
        self._youth = youth
        self._bits = rng.getrandbits
        self._subject = youth.encode()
        self._placement = _uuid(rng.getrandbits(128))

    def detected(self, day: int, owner: Owner, source: str) -> None:
        academie, departement, platform, network = owner
        self._tell(
            0,
            b"fr.foquale.referral.dropout-detected.v1",
            day,
            f'"campaign":"{_iso(day)[:7]}","source":"{source}","left_on":"2012-12-01","age":17,"sex":"F",'
            f'"academie":"{academie}","departement":"{departement}","platform_id":"{platform}","network_id":"{network}",'
            '"birth_month":"1996-05","last_school":"0750001A","last_level":"2NDE PRO",'
            '"followed_by_mission_locale":false,"origin":"siei"',
        )

    def dismissed(self, day: int, source: str) -> None:
        named = "null" if source == "UNKNOWN" else f'"{source}"'
        what = f'"reason":"error","source":{named}'
        self._tell(0, b"fr.foquale.referral.dropout-dismissed.v1", day, what)

    def attempted(self, day: int, outcome: str) -> None:
        what = f'"channel":"phone","outcome":"{outcome}"'
        self._tell(0, b"fr.foquale.referral.contact-attempted.v1", day, what)

    def interviewed(self, day: int) -> None:
        what = '"needs":["orientation"],"level":"3","wishes":["220"],"mobility_km":20'
        self._tell(0, b"fr.foquale.referral.interview-done.v1", day, what)

    def transferred(self, day: int, before: Owner, owner: Owner) -> None:
        academie, departement, platform, network = owner
        self._tell(
            0,
            b"fr.foquale.referral.youth-transferred.v1",
            day,
            f'"from_platform_id":"{before.platform_id}","platform_id":"{platform}","network_id":"{network}",'
            f'"departement":"{departement}","academie":"{academie}"',
        )

    def offered(self, day: int, owner: Owner) -> None:
        self._tell(
            1,
            b"fr.foquale.catalogue.placement-offered.v1",
            day,
            f'"placement_id":"{self._placement}","solution_id":"SOL-75-001","kind":"school","track":"professional",'
            f'"academie":"{owner.academie}","network_id":"{owner.network_id}","starts_on":"2014-01-06",'
            '"held_until":"2014-01-31T00:00:00Z"',
        )

    def accepted(self, day: int) -> None:
        what = f'"placement_id":"{self._placement}","solution_id":"SOL-75-001"'
        self._tell(2, b"fr.foquale.tracking.placement-accepted.v1", day, what)

    def contracted(self, day: int) -> None:
        self._tell(
            2,
            b"fr.foquale.tracking.contract-signed.v1",
            day,
            f'"contract_id":"C-{self._placement}","placement_id":"{self._placement}","solution_id":"SOL-75-001",'
            '"kind":"school","track":"professional","tutor_role":"teacher","starts_on":"2014-01-06","ends_on":"2014-06-30"',
        )

    def started(self, day: int, kind: str) -> None:
        what = f'"contract_id":"C-{self._placement}","kind":"{kind}"'
        self._tell(2, b"fr.foquale.tracking.training-started.v1", day, what)

    def ended(self, day: int, reason: str) -> None:
        what = f'"contract_id":"C-{self._placement}","reason":"{reason}"'
        self._tell(2, b"fr.foquale.tracking.contract-ended.v1", day, what)

    def _tell(self, topic: int, type_: bytes, day: int, what: str) -> None:
        on = _iso(day)
        bits = self._bits(128)
        event_id = _uuid(bits).encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id),
            ("ce_type", type_),
            ("ce_source", _SOURCES_OF[topic]),
            ("ce_time", f"{on}T08:{len(self.events):02}:17.{bits % 1_000_000:06}Z".encode()),
            ("ce_subject", self._subject),
            ("content-type", b"application/json"),
            ("traceparent", b"00-%032x-00f067aa0ba902b7-01" % bits),
            ("correlation_id", event_id),
        ]
        value = f'{{"youth_id":"{self._youth}","on":"{on}",{what}}}'.encode()
        self.events.append((day, Event(topic, self._youth, value, headers)))


_SOURCES_OF: Final = tuple(f"/foquale/{topic.partition('.')[0]}".encode() for topic in TOPICS)


@lru_cache(maxsize=2_000)
def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _uuid(bits: int) -> str:
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
