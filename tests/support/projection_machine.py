"""The rules of the projection's machines: what is emitted, delivered, folded, rebuilt, and what must then be so."""

import json
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.reporting.app import FACTS, TOPICS
from services.reporting.figures import LEVELS, Level, Period, Tally, Unit, figures, has_figures
from services.reporting.projection import NOTHING, Fact, join
from shared.crash_points import Point
from shared.envelope import Envelope, Record, to_headers
from shared.events import YouthEvent
from tests.support import oracle
from tests.support.lives import any_event, detected, dismissed, transferred
from tests.support.oracle import Happened

BEGAN: Final = datetime(2013, 2, 1, tzinfo=UTC)
FIRST_DAY: Final = date(2013, 1, 28)
YOUTHS: Final = ("ada", "bob", "cem")
REPLICAS = st.sampled_from((0, 1))
DAYS = st.integers(0, 12).map(lambda number: FIRST_DAY + timedelta(days=number))
HOURS = st.integers(0, 2)
PARTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=3)
"""A batch: how many of the next records of which topic."""
BEFORE_COMMIT = (Point.BATCH_RECEIVED, Point.BATCH_SET_ASIDE, Point.TRANSACTION_WRITTEN)
AFTER_COMMIT = (Point.TRANSACTION_COMMITTED, Point.BATCH_APPLIED)
POINTS = st.none() | st.sampled_from((*BEFORE_COMMIT, *AFTER_COMMIT))
ESSENTIAL: Final = ("youth_id", "on")

Place = tuple[int, int]
"""Number of the topic, and offset."""


@dataclass
class GrowingLog:
    """The log while a build reads it: `shown` records of each topic, and all of them once somebody who has read these
    has asked for the end so many times.
    """

    records: Sequence[Sequence[Record]]
    shown: list[int]
    grows_at: int


class World(ABC):
    """Where a machine's projection lies."""

    @abstractmethod
    def apply(self, batches: Sequence[tuple[int, Sequence[Record]]], dies_at: Point | None) -> list[bool]:
        """Let replicas apply these batches at the same time, the first of which dies; whether each has come to be."""

    @abstractmethod
    def fold(self, dies_at: Point | None) -> None:
        """Fold some changes."""

    @abstractmethod
    def rebuild(
        self, log: "GrowingLog", meanwhile: Sequence[Record], dies_after: int | None
    ) -> tuple[bool, list[int] | None]:
        """Build the projection anew from the log, and let a batch come when the log grows: whether that was applied,
        and how far each topic is in what was switched to, None where nothing was.
        """

    @abstractmethod
    def facts(self) -> Mapping[str, Fact]: ...

    @abstractmethod
    def tallies(self, period: Period) -> Mapping[Unit, Tally]: ...


def fact_of(happened: Happened) -> Fact:
    return FACTS[type(happened.event)](happened.event, happened.time, happened.id)


class Projection(RuleBasedStateMachine):
    """Promised: after each step a youth's fact is the join of the set of his events that were delivered, whatever their
    order, copies and batches; the figures of France and of every académie, département and network are those of a plain
    count of the same set, over any period; none is negative, and the levels add up to each other. Once everything is
    delivered, delivering everything once more changes nothing.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.log: tuple[list[Record], ...] = ([], [], [])
        self.next = [0, 0, 0]
        self.reached = [0, 0, 0]
        self.happened: dict[Place, Happened] = {}
        self.delivered: set[Place] = set()
        self.rebuilds = 0

    # What is emitted.

    @initialize(
        youth=st.sampled_from(YOUTHS),
        days=st.lists(DAYS, min_size=2, max_size=4),
        hour=HOURS,
        choices=st.lists(st.integers(0, 719), min_size=4, max_size=4),
        owner=st.integers(0, 5),
    )
    def begin(self, youth: str, days: list[date], hour: int, choices: list[int], owner: int) -> None:
        self._write(detected(youth, days[0], owner), hour)
        self.events_happen(youth, days, hour, choices)

    @rule(
        youth=st.sampled_from(YOUTHS),
        days=st.lists(DAYS, min_size=1, max_size=4),
        hour=HOURS,
        choices=st.lists(st.integers(0, 719), min_size=4, max_size=4),
    )
    def events_happen(self, youth: str, days: list[date], hour: int, choices: list[int]) -> None:
        for number, day in enumerate(days):
            following = iter(choices[number:] + choices[:number])
            self._write(any_event(youth, day, partial(_next_below, following)), hour)

    @rule(youth=st.sampled_from(YOUTHS), day=DAYS, owners=st.lists(st.integers(0, 5), min_size=2, max_size=3))
    def a_youth_moves_to_and_fro(self, youth: str, day: date, owners: list[int]) -> None:
        for hour, owner in enumerate(owners):
            self._write(transferred(youth, day, owner), hour % 2)

    @rule(youth=st.sampled_from(YOUTHS), day=DAYS, again=DAYS, hour=HOURS, owner=st.integers(0, 5))
    def a_youth_is_dismissed_and_seen_again(self, youth: str, day: date, again: date, hour: int, owner: int) -> None:
        self._write(dismissed(youth, day), hour)
        self._write(detected(youth, again, owner), hour)

    @precondition(lambda self: self.happened)
    @rule(number=st.integers(0, 50))
    def an_event_is_written_again(self, number: int) -> None:
        happened = self._some(number)
        self._append(happened, happened.envelope().data)

    @precondition(lambda self: self.happened)
    @rule(number=st.integers(0, 50), day=DAYS)
    def an_event_of_an_older_and_of_a_newer_shape_is_written(self, number: int, day: date) -> None:
        event = self._some(number).event.model_copy(update={"on": day})
        for shaped in (_older(event), {**event.model_dump(mode="json"), "not_yet_known": 1}):
            read = type(event).model_validate(shaped)
            self._append(self._new(read, 0), json.dumps(shaped).encode())

    @rule(topic=st.integers(0, 2), unheard_of=st.booleans())
    def what_nobody_reads_is_written(self, topic: int, unheard_of: bool) -> None:
        envelope = Envelope("odd", "foquale.unheard-of" if unheard_of else "dropout.detected", "/x", "ada", BEGAN, b"")
        self._put(topic, envelope, b"{}" if unheard_of else b"{")

    def _some(self, number: int) -> Happened:
        return list(self.happened.values())[number % len(self.happened)]

    def _new(self, event: YouthEvent, hour: int) -> Happened:
        return Happened(f"e{len(self.happened)}", BEGAN + timedelta(hours=hour), event)

    def _write(self, event: YouthEvent, hour: int) -> None:
        happened = self._new(event, hour)
        self._append(happened, happened.envelope().data)

    def _append(self, happened: Happened, data: bytes) -> None:
        topic = TOPICS.index(happened.event.TOPIC)
        self.happened[topic, len(self.log[topic])] = happened
        self._put(topic, happened.envelope(), data)

    def _put(self, topic: int, envelope: Envelope, data: bytes) -> None:
        headers = [(name, text.encode()) for name, text in to_headers(envelope).items()]
        key = envelope.subject.encode()
        self.log[topic].append(Record(TOPICS[topic], 0, len(self.log[topic]), key, data, headers))

    # What is delivered, and what becomes of it.

    @precondition(lambda self: self.has_more())
    @rule(which=REPLICAS, parts=PARTS, dies_at=POINTS)
    def a_batch_comes(self, which: int, parts: list[tuple[int, int]], dies_at: Point | None) -> None:
        self._deliver([(which, self._batch(parts))], dies_at)

    @precondition(lambda self: self.has_more())
    @rule(parts=PARTS, others=PARTS, back=st.integers(0, 2), dies_at=POINTS)
    def both_replicas_get_batches_that_overlap(
        self, parts: list[tuple[int, int]], others: list[tuple[int, int]], back: int, dies_at: Point | None
    ) -> None:
        one = self._batch(parts)
        self.next = [max(0, place - back) for place in self.next]
        self._deliver([(0, one), (1, self._batch(others))], dies_at)

    @precondition(lambda self: self.delivered)
    @rule(topic=st.integers(0, 2), to=st.integers(0, 10))
    def the_broker_goes_back(self, topic: int, to: int) -> None:
        self.next[topic] = min(self.next[topic], to)

    @precondition(lambda self: self.delivered)
    @rule(dies_at=st.none() | st.sampled_from((Point.TRANSACTION_WRITTEN, Point.TRANSACTION_COMMITTED)))
    def changes_are_folded(self, dies_at: Point | None) -> None:
        self.world.fold(dies_at)

    @precondition(lambda self: self.delivered and self.rebuilds < 2 and self.has_more())
    @rule(
        parts=PARTS,
        late=st.integers(1, 4),
        grows_at=st.integers(1, 4),
        dies_after=st.sampled_from((None, None, None, 1, 2, 3)),
    )
    def all_is_built_anew(self, parts: list[tuple[int, int]], late: int, grows_at: int, dies_after: int | None) -> None:
        self.rebuilds += 1
        meanwhile = self._batch(parts)
        shown = [max(reached, len(log) - late) for reached, log in zip(self.reached, self.log, strict=True)]
        applied, switched = self.world.rebuild(GrowingLog(self.log, shown, grows_at), meanwhile, dies_after)
        if applied:
            self._are_done(meanwhile)
        if switched is not None:
            assert all(new >= live for new, live in zip(switched, self.reached, strict=True)), "what was live is gone"
            self.reached = switched
            self.delivered = {place for place in self.happened if place[1] < switched[place[0]]}

    def has_more(self) -> bool:
        return any(place < len(records) for place, records in zip(self.next, self.log, strict=True))

    def _batch(self, parts: Sequence[tuple[int, int]]) -> list[Record]:
        lengths: Counter[int] = Counter()
        for topic, length in parts:
            lengths[topic] += length
        batch: list[Record] = []
        for topic, length in lengths.items():
            batch += self.log[topic][self.next[topic] : self.next[topic] + length]
        return batch

    def _deliver(self, batches: Sequence[tuple[int, Sequence[Record]]], dies_at: Point | None) -> None:
        kept = self.world.apply(batches, dies_at)
        for number, ((_, batch), done) in enumerate(zip(batches, kept, strict=True)):
            if done:
                before = list(self.next)
                self._are_done(batch)
                if number == 0 and dies_at:
                    self.next = before  # nobody was left to commit the offsets

    def _are_done(self, batch: Sequence[Record]) -> None:
        places = {(TOPICS.index(record.topic), record.offset) for record in batch}
        self.delivered |= places & self.happened.keys()
        for topic in {topic for topic, _ in places}:
            self.next[topic] = max(offset + 1 for of, offset in places if of == topic)
            self.reached[topic] = max(self.reached[topic], self.next[topic])

    # What is promised.

    @invariant()
    def facts_are_the_join_of_the_set_of_events(self) -> None:
        expected: dict[str, Fact] = {}
        for happened in {self.happened[place].id: self.happened[place] for place in self.delivered}.values():
            fact = fact_of(happened)
            if fact != NOTHING:
                youth = happened.event.youth_id
                expected[youth] = join(expected.get(youth, NOTHING), fact)
        assert self.world.facts() == expected

    @precondition(lambda self: self.delivered)
    @rule(first=st.none() | DAYS, days=st.none() | st.integers(0, 12))
    def somebody_asks_for_a_period(self, first: date | None, days: int | None) -> None:
        last = None if days is None else (first or FIRST_DAY) + timedelta(days=days)
        self.check_figures(first, last)

    def check_figures(self, first: date | None = None, last: date | None = None) -> None:
        tallies = self.world.tallies(Period(first, last))
        assert all(count >= 0 for tally in tallies.values() for count in tally.values())
        by_level: dict[Level, Counter[str]] = defaultdict(Counter)
        for (level, _), tally in tallies.items():
            by_level[level].update(tally)
        national, academies, *finer = (+by_level[level] for level in LEVELS)
        assert academies <= national
        assert all(level == academies for level in finer)
        shown = {unit: figures(tally, ("activity", "cohort")) for unit, tally in tallies.items() if has_figures(tally)}
        counted = oracle.indicators([self.happened[place] for place in self.delivered], first, last)
        assert shown == {unit: row for unit, row in counted.items() if row != oracle.NOBODY}

    def teardown(self) -> None:
        for _ in range(2):  # the second time nothing changes: facts and figures are of the set
            self.next = [0, 0, 0]
            while self.has_more():
                self._deliver([(0, self._batch([(0, 4), (1, 4), (2, 4)]))], None)
            assert self.delivered == set(self.happened)
            self.facts_are_the_join_of_the_set_of_events()
            self.check_figures()
        self.world.fold(None)
        self.check_figures()
        self.check_figures(FIRST_DAY + timedelta(days=2), FIRST_DAY + timedelta(days=7))


def _next_below(following: Iterator[int], below: int) -> int:
    return next(following) % below


def _older(event: YouthEvent) -> dict[str, Any]:
    """The event as an older writer would have written it: with nothing that a reader can do without."""
    fields = type(event).model_fields
    return {name: value for name, value in event.model_dump(mode="json").items() if fields[name].is_required()}
