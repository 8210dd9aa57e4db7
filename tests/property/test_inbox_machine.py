"""The inbox and the dead letters under any batches, redeliveries, deaths and failing handlers."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared import dead_letters
from shared.consumer import INBOX_INDEXES, Consumer, NotYet, Received, SomeUnapplicable, Unapplicable, comes_again
from shared.crash_points import Point
from shared.envelope import Envelope, Record, to_headers
from shared.events import ContactAttempted
from shared.observability import Metrics
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.machines import Death, Fate, Stage, run_machine, store_of

KEYS = ("ada", "bob", "cem")
REPLICAS = st.sampled_from((0, 1))
LENGTHS = st.tuples(st.integers(0, 4), st.integers(0, 4))
POINTS = st.sampled_from(
    (
        Point.BATCH_RECEIVED,
        Point.BATCH_SET_ASIDE,
        Point.BATCH_MARKED,
        Point.TRANSACTION_WRITTEN,
        Point.TRANSACTION_COMMITTED,
        Point.BATCH_APPLIED,
    )
)
METRICS = Metrics("inbox-machine")

BROKEN: dict[str, tuple[bytes | None, dict[str, bytes]]] = {
    "no value": (None, {}),
    "no JSON": (b"{", {}),
    "other data": (b'{"youth_id": "ada"}', {}),
    "no time": (b"{}", {"ce_time": b"yesterday"}),
    "no text": (b"{}", {"ce_subject": b"\xff"}),
}


class Replica:
    """One process: a consumer whose handler counts, fails on whom is sick, waits with whom is held back, and says of
    those in `never` that they can never be applied.
    """

    def __init__(self, stage: Stage, sick: set[str], held_back: set[str], never: set[str]) -> None:
        self.fate = Fate()

        async def on_contacts(tx: Tx, events: Sequence[Received[ContactAttempted]]) -> None:
            refused = [(event, Unapplicable("never", "not this")) for event in events if event.envelope.id in never]
            if refused:
                raise SomeUnapplicable(refused)
            for event in events:
                await on_contact(tx, event)

        async def on_contact(tx: Tx, event: Received[ContactAttempted]) -> None:
            if event.envelope.id in held_back:
                raise NotYet("held_back", "it has not arrived")
            for collection, key in (("effects", event.envelope.id), ("figures", event.data.youth_id)):
                await tx[collection].update_one({"_id": key}, {"$inc": {"n": 1}}, upsert=True, session=tx.session)
            tx.emit(event.data)
            if event.envelope.id in sick:
                raise ValueError("the handler cannot")

        unit_of_work = UnitOfWork(stage.mongo, "inbox-machine", reach=self.fate)
        self.consumer = Consumer(unit_of_work, {ContactAttempted: on_contacts}, METRICS)


class Inbox(RuleBasedStateMachine):
    """Promised, at every moment: no event has its effect (two figures and an event of its own, in one transaction)
    twice; once a batch is done with, each of its events has its effect or lies among the dead letters, each broken
    record lies there once, and no other record does. Once all is quiet, what failed healed and was replayed: each event
    has its effect exactly once, and the dead letters that wait are exactly the broken records and those that can never
    be applied.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        stage.clear()
        self.log: tuple[list[Record], list[Record]] = ([], [])
        self.next = [0, 0]
        self.good: dict[tuple[int, int], str] = {}
        self.keys: dict[str, str] = {}
        self.broken: set[tuple[int, int]] = set()
        self.done: set[tuple[int, int]] = set()
        self.tried: set[tuple[int, int]] = set()
        self.sick: set[str] = set()
        self.was_sick: set[str] = set()
        self.held_back: set[str] = set()
        self.never: set[str] = set()
        self.replicas = [self._replica(), self._replica()]

    def _replica(self) -> Replica:
        return Replica(self.stage, self.sick, self.held_back, self.never)

    # What lies in the log: two partitions, a key always in the same.

    @initialize(keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=4), how=st.sampled_from(sorted(BROKEN)))
    def begin(self, keys: list[str], how: str) -> None:
        self.events_are_written(keys)
        self.a_broken_record_is_written(0, how)

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def events_are_written(self, keys: list[str]) -> None:
        for key in keys:
            id_ = f"e{len(self.keys)}"
            self.keys[id_] = key
            self._write(id_)

    @rule(key=st.sampled_from(KEYS))
    def an_event_that_can_never_be_applied_is_written(self, key: str) -> None:
        self.never.add(f"e{len(self.keys)}")
        self.events_are_written([key])

    @precondition(lambda self: self.keys)
    @rule(number=st.integers(0, 50))
    def an_event_is_written_again(self, number: int) -> None:
        self._write(f"e{number % len(self.keys)}")

    def _write(self, id_: str) -> None:
        key = self.keys[id_]
        event = ContactAttempted(youth_id=key, on=date(2013, 4, 2), channel="phone", outcome="reached")
        partition = KEYS.index(key) % 2
        self.good[partition, len(self.log[partition])] = id_
        self._append(partition, event.TYPE, id_, event.model_dump_json().encode(), {})

    @rule(partition=st.integers(0, 1), how=st.sampled_from(sorted(BROKEN)))
    def a_broken_record_is_written(self, partition: int, how: str) -> None:
        self.broken.add((partition, len(self.log[partition])))
        self._append(partition, ContactAttempted.TYPE, "broken", *BROKEN[how])

    @rule(partition=st.integers(0, 1))
    def an_event_of_another_type_is_written(self, partition: int) -> None:
        self._append(partition, "foquale.unheard-of", "other", b"{}", {})

    def _append(self, partition: int, type_: str, id_: str, value: bytes | None, changed: dict[str, bytes]) -> None:
        envelope = Envelope(id_, type_, "/foquale/referral", "ada", datetime(2013, 4, 2, tzinfo=UTC), b"")
        headers = {name: text.encode() for name, text in to_headers(envelope).items()} | changed
        record = Record("referral.events", partition, len(self.log[partition]), b"ada", value, list(headers.items()))
        self.log[partition].append(record)

    # What the broker delivers, and what becomes of it.

    @precondition(lambda self: self.has_more())
    @rule(which=REPLICAS, lengths=LENGTHS)
    def a_batch_comes(self, which: int, lengths: tuple[int, int]) -> None:
        self._deliver([(which, self._batch(lengths))])

    @precondition(lambda self: self.has_more())
    @rule(which=REPLICAS, lengths=LENGTHS, point=POINTS, times=st.integers(1, 2))
    def a_replica_dies_over_a_batch(self, which: int, lengths: tuple[int, int], point: Point, times: int) -> None:
        self.replicas[which].fate.dies_at(point, times)
        self._deliver([(which, self._batch(lengths))])

    @precondition(lambda self: self.has_more())
    @rule(lengths=LENGTHS, others=LENGTHS, back=st.integers(0, 2), point=st.none() | POINTS)
    def both_replicas_get_batches_that_overlap(
        self, lengths: tuple[int, int], others: tuple[int, int], back: int, point: Point | None
    ) -> None:
        one = self._batch(lengths)
        self.next = [max(0, place - back) for place in self.next]
        self.replicas[0].fate.dies_at(point)
        self._deliver([(0, one), (1, self._batch(others))])

    @rule(partition=st.integers(0, 1), to=st.integers(0, 10))
    def the_broker_goes_back(self, partition: int, to: int) -> None:
        self.next[partition] = min(self.next[partition], to)

    def has_more(self) -> bool:
        return any(place < len(records) for place, records in zip(self.next, self.log, strict=True))

    def _batch(self, lengths: tuple[int, int]) -> list[Record]:
        batch: list[Record] = []
        for partition, length in enumerate(lengths):
            batch += self.log[partition][self.next[partition] : self.next[partition] + length]
        return batch

    def _deliver(self, batches: Sequence[tuple[int, list[Record]]]) -> None:
        async def side_by_side() -> list[BaseException | None]:
            calls = [self.replicas[which].consumer.on_batch(batch) for which, batch in batches]
            return await asyncio.gather(*calls, return_exceptions=True)

        for (which, batch), outcome in zip(batches, self.stage.run(side_by_side()), strict=True):
            self.replicas[which].fate.lives()
            places = {(record.partition, record.offset) for record in batch}
            self.tried |= places
            if outcome is None:
                self.done |= places
                for partition, _ in places:  # committed: also backwards, as a late commit does
                    self.next[partition] = max(at + 1 for of, at in places if of == partition)
            elif isinstance(outcome, Death):
                self.replicas[which] = self._replica()
            else:
                assert isinstance(outcome, Exception)
                assert comes_again(outcome), outcome

    # What the handler meets.

    @precondition(lambda self: self.keys)
    @rule(number=st.integers(0, 50))
    def the_handler_fails_on_an_event(self, number: int) -> None:
        self.sick.add(f"e{number % len(self.keys)}")
        self.was_sick |= self.sick

    @precondition(lambda self: self.keys and not self.held_back)
    @rule(number=st.integers(0, 50))
    def the_handler_waits_with_an_event(self, number: int) -> None:
        self.held_back.add(f"e{number % len(self.keys)}")

    @precondition(lambda self: self.sick or self.held_back)
    @rule()
    def all_heals(self) -> None:
        self.sick.clear()
        self.held_back.clear()

    @precondition(lambda self: self.was_sick)
    @rule(which=REPLICAS, point=st.none() | POINTS)
    def dead_letters_are_replayed(self, which: int, point: Point | None) -> None:
        self.replicas[which].fate.dies_at(point)
        try:
            self.stage.run(self._replay(self.replicas[which].consumer))
        except Death:
            self.replicas[which] = self._replica()
        except NotYet:
            assert self.held_back
        self.replicas[which].fate.lives()

    async def _replay(self, consumer: Consumer) -> None:
        waiting, _ = await dead_letters.page(
            self.stage.mongo, dead_letters.Filter(state="waiting"), cursor=None, limit=1_000
        )
        for row in waiting:
            reason = await consumer.replay(dead_letters.record_of(row))
            await dead_letters.mark(UnitOfWork(self.stage.mongo, "probe"), row["_id"], reason=reason, by="person")

    # What is promised.

    @invariant()
    def no_effect_is_there_twice_and_none_is_lost(self) -> None:
        effects = self._numbers("effects")
        assert set(effects.values()) <= {1}
        figures = Counter(self.keys[id_] for id_ in effects)
        assert self._numbers("figures") == figures, "both figures change in one transaction"
        assert self.stage.run(self.stage.mongo["outbox"].count_documents({})) == len(effects)
        assert set(effects) <= {self.good[place] for place in self.tried if place in self.good}

        letters = self._letters()
        assert self.broken & self.done <= letters
        assert letters <= self.tried
        assert all(place in self.broken or self.good[place] in self.was_sick | self.never for place in letters)
        assert not set(effects) & self.never
        assert all(self.good[place] in effects or place in letters for place in self.done & self.good.keys())

    def _numbers(self, collection: str) -> dict[str, int]:
        rows = self.stage.run(self.stage.mongo[collection].find({}).to_list(None))
        return {row["_id"]: row["n"] for row in rows}

    def _letters(self, **wanted: str) -> set[tuple[int, int]]:
        rows = self.stage.run(self.stage.mongo[dead_letters.COLLECTION].find(wanted).to_list(None))
        places = [(row["partition"], row["offset"]) for row in rows]
        assert len(set(places)) == len(places)
        return set(places)

    def teardown(self) -> None:
        self.all_heals()
        self.next = [0, 0]
        while self.has_more():
            self._deliver([(0, self._batch((4, 4)))])
        self.dead_letters_are_replayed(which=0, point=None)
        self.no_effect_is_there_twice_and_none_is_lost()
        assert set(self._numbers("effects")) == set(self.keys) - self.never
        never = {place for place, id_ in self.good.items() if id_ in self.never}
        assert self._letters(state="waiting") == self.broken | never


@pytest.fixture
def stage(mongo_url: str, db_name: str) -> Iterator[Stage]:
    indexes = (*OUTBOX_INDEXES, *INBOX_INDEXES, *dead_letters.INDEXES)
    with store_of(mongo_url, db_name, ("effects", "figures"), indexes) as made:
        yield made


@pytest.mark.timeout(400)  # only a failure takes long: Hypothesis shortens it
def test_whatever_is_delivered_and_whoever_dies_each_event_has_its_effect_once_and_each_broken_record_is_kept_once(
    stage: Stage,
) -> None:
    run_machine(lambda: Inbox(stage), examples=40, steps=25)
