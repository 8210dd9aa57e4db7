"""The projection, in memory and in the real store, under any deliveries, deaths, folds and rebuilds."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date

import pytest

from services.reporting import board, cells, compact, generations, store
from services.reporting.app import FACTS, REGISTRATIONS, TOPICS
from services.reporting.builds import Builds
from services.reporting.figures import LEVELS, Period, Tally, Unit, units_of
from services.reporting.generations import Entry, Generation
from services.reporting.handlers import FactsConsumer, live
from services.reporting.projection import NOTHING, Change, Fact, changes, join
from services.reporting.rebuild import BuildConsumer
from shared import dead_letters
from shared.bus import Log, LogReader
from shared.consumer import comes_again
from shared.crash_points import Point
from shared.envelope import Record, Undecodable, from_record
from shared.observability import Metrics
from shared.settings import ServiceSettings
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.machines import Death, Fate, Stage, TestClock, run_machine, store_of
from tests.support.probe import eventually
from tests.support.projection_machine import AFTER_COMMIT, GrowingLog, Projection, World
from tests.support.reporting import plain_fact

METRICS = Metrics("projection-machine")
MODELS = {model.TYPE: model for model in FACTS}


class InMemory(World):
    """The pure functions over a store as simple as can be: what two write at the same time, one writes again."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}
        self._changes: list[list[Change]] = []
        self._cells: Counter[tuple[Unit, date, str]] = Counter()

    def apply(self, batches: Sequence[tuple[int, Sequence[Record]]], dies_at: Point | None) -> list[bool]:
        begun = [(learned(batch), dict(self._facts)) for _, batch in batches]
        kept = [dies_at is None or dies_at in AFTER_COMMIT, *(True for _ in batches[1:])]
        written: set[str] = set()
        for (news, snapshot), done in zip(begun, kept, strict=True):
            if done:
                known = self._facts if written & news.keys() else snapshot
                self._write(known, news)
                written |= news.keys()
        return kept

    def _write(self, known: Mapping[str, Fact], news: Mapping[str, Fact]) -> None:
        changed: list[Change] = []
        for youth, fact in news.items():
            before = known.get(youth)
            after = fact if before is None else join(before, fact)
            changed += changes(before, after)
            self._facts[youth] = after
        self._changes.append(changed)

    def fold(self, dies_at: Point | None) -> None:
        if dies_at is not Point.TRANSACTION_WRITTEN:
            for changed in self._changes[:2]:
                for leaf, day, measure, count in changed:
                    for unit in units_of(leaf):
                        self._cells[unit, day, measure] += count
            self._changes = self._changes[2:]

    def rebuild(
        self, log: GrowingLog, meanwhile: Sequence[Record], dies_after: int | None
    ) -> tuple[bool, list[int] | None]:
        self.apply([(0, meanwhile)], None)
        if dies_after is not None:
            return True, None
        anew = InMemory()
        for records in log.records:
            anew.apply([(0, records)], None)
            anew.fold(None)
        self._facts, self._changes, self._cells = anew._facts, anew._changes, anew._cells
        return True, [len(records) for records in log.records]

    def facts(self) -> Mapping[str, Fact]:
        return self._facts

    def tallies(self, period: Period) -> Mapping[Unit, Tally]:
        found: dict[Unit, Tally] = defaultdict(Counter)
        for (unit, day, measure), count in self._cells.items():
            if day in period:
                found[unit][measure] += count
        for changed in self._changes:
            for leaf, day, measure, count in changed:
                for unit in units_of(leaf) if day in period else ():
                    found[unit][measure] += count
        return found


def learned(records: Sequence[Record]) -> dict[str, Fact]:
    """What the records say together of each youth."""
    news: dict[str, Fact] = {}
    for record in records:
        try:
            envelope = from_record(record)
            data = MODELS[envelope.type].model_validate_json(envelope.data)
        except (Undecodable, ValueError, KeyError):
            continue
        fact = FACTS[type(data)](data, envelope.time, envelope.id)
        if fact != NOTHING:
            news[data.youth_id] = join(news.get(data.youth_id, NOTHING), fact)
    return news


class MachinesLog(Log):
    """The machine's log, for a build to read. When it grows, `meanwhile` is called."""

    def __init__(self) -> None:
        super().__init__(ServiceSettings(service="reporting", port=1))

    def holds(self, growing: GrowingLog, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.growing = growing
        self.reader = _Reader(growing)
        self._asked = 0
        self._meanwhile = meanwhile

    @asynccontextmanager
    async def read(
        self,
        topics: Sequence[str],  # noqa: ARG002  it has no others
        begins: Mapping[tuple[str, int], int] | None = None,  # noqa: ARG002  nobody here asks for a part
    ) -> AsyncIterator[LogReader]:
        yield self.reader

    async def end_offsets(self, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        self._asked += self.reader.is_at_the_end()
        if self._asked == self.growing.grows_at:
            self._asked += 1
            self.growing.shown = [len(records) for records in self.growing.records]
            await self._meanwhile()
        return {(topic, 0): shown for topic, shown in zip(topics, self.growing.shown, strict=True)}


class _Reader(LogReader):
    """Hands out at most three records at a time, topic by topic."""

    def __init__(self, growing: GrowingLog) -> None:
        self._growing = growing
        self._next = [0] * len(TOPICS)

    def is_at_the_end(self) -> bool:
        return self._next == self._growing.shown

    async def positions(self) -> dict[tuple[str, int], int]:
        return {(topic, 0): place for topic, place in zip(TOPICS, self._next, strict=True)}

    async def read(self, most: int, wait_s: float) -> list[Record]:  # noqa: ARG002  all is there already
        for number, shown in enumerate(self._growing.shown):
            begin = self._next[number]
            found = list(self._growing.records[number][begin : min(shown, begin + 3, begin + most)])
            self._next[number] += len(found)
            if found:
                return found
        return []


class InTheStore(World):
    """The service's own consumers, folds and builds on a real replica set."""

    def __init__(self, stage: Stage, bus: MachinesLog) -> None:
        self._stage = stage
        self._bus = bus
        self._clock = TestClock()
        stage.clear(keep=generations.SLOTS)
        stage.run(generations.release(stage.mongo))
        self._replicas: list[tuple[Fate, FactsConsumer]] = [self._begun(), self._begun()]

    def _unit_of_work(self, fate: Fate) -> UnitOfWork:
        return UnitOfWork(self._stage.mongo, "reporting", clock=self._clock, reach=fate)

    def _begun(self) -> tuple[Fate, FactsConsumer]:
        """A replica just begun: it knows nothing, and has room for few."""
        fate = Fate()
        return fate, FactsConsumer(self._unit_of_work(fate), FACTS, REGISTRATIONS, METRICS, live(), youths=240)

    def apply(self, batches: Sequence[tuple[int, Sequence[Record]]], dies_at: Point | None) -> list[bool]:
        """Each batch goes to another replica, the first to the one that did not get it the last time."""
        self._replicas.reverse()
        self._replicas += [self._begun() for _ in batches[len(self._replicas) :]]
        self._replicas[0][0].dies_at(dies_at)

        async def side_by_side() -> list[BaseException | None]:
            replicas = self._replicas[: len(batches)]
            calls = [consumer.on_batch(batch) for (_, consumer), (_, batch) in zip(replicas, batches, strict=True)]
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = self._stage.run(side_by_side())
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Death):
                self._replicas[number] = self._begun()
        self._replicas[0][0].lives()
        return [_kept(outcome) for outcome in outcomes]

    def fold(self, dies_at: Point | None) -> None:
        """Fold, and let one replica settle what it holds."""
        fate = Fate()
        fate.dies_at(dies_at)
        of, consumer = self._replicas[0]
        try:
            self._stage.run(cells.fold(self._unit_of_work(fate)))
            of.dies_at(dies_at)
            self._stage.run(consumer.settle_some())
        except Death:
            assert dies_at is not None
            self._replicas[0] = self._begun()
        of.lives()

    def rebuild(
        self, log: GrowingLog, meanwhile: Sequence[Record], dies_after: int | None
    ) -> tuple[bool, list[int] | None]:
        fate = Fate()
        fate.dies_at(None if dies_after is None else Point.TRANSACTION_WRITTEN, dies_after or 1)

        applied = False

        async def live_goes_on() -> None:
            nonlocal applied
            _, consumer = self._replicas[0]
            (outcome,) = await asyncio.gather(consumer.on_batch(meanwhile), return_exceptions=True)
            applied = _kept(outcome)

        self._bus.holds(log, live_goes_on)
        before = self._stage.run(generations.live(self._stage.mongo))
        self._stage.run(self._build(fate))
        self._clock.advance(60)  # whoever comes later waits for nobody who has died
        after = self._stage.run(generations.live(self._stage.mongo))
        assert after != before or dies_after is not None
        positions = self._stage.run(store.positions(self._stage.mongo, after))
        reached = [positions[topic, 0].next_offset if (topic, 0) in positions else 0 for topic in TOPICS]
        return applied, reached if after != before else None

    async def _build(self, fate: Fate) -> None:
        unit_of_work = self._unit_of_work(fate)

        def consumer_of(generation: Generation) -> BuildConsumer:
            async def into(_tx: Tx) -> Entry:
                return Entry(generation, slot=-1, number=0)

            return BuildConsumer(unit_of_work, FACTS, REGISTRATIONS, METRICS, into, youths=240)

        builds = Builds(unit_of_work, self._bus, TOPICS, consumer_of)
        build = await builds.ask("rebuild")
        running = asyncio.create_task(builds.run())

        async def over() -> bool:
            found = await builds.find(build["_id"], "rebuild") or {}
            assert found["state"] in ("running", "done"), found["reason"]
            return running.done() or found["state"] == "done"

        await eventually(over, within_s=60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def facts(self) -> Mapping[str, Fact]:
        async def read() -> dict[str, Fact]:
            of = await generations.live(self._stage.mongo)
            return {
                youth_id: plain_fact(compact.document(youth_id, fact))
                async for youth_id, fact in store.facts(self._stage.mongo, of)
            }

        return self._stage.run(read())

    def tallies(self, period: Period) -> Mapping[Unit, Tally]:
        return self._stage.run(board.load(self._stage.mongo)).snapshot(LEVELS, period).tallies


def _kept(outcome: BaseException | None) -> bool:
    if isinstance(outcome, Death):
        return outcome.args[0] in AFTER_COMMIT
    assert outcome is None or (isinstance(outcome, Exception) and comes_again(outcome)), outcome
    return outcome is None


@pytest.mark.timeout(400)  # only a failure takes long: Hypothesis shortens it
def test_whatever_comes_in_whatever_order_facts_and_figures_are_those_of_the_set_of_events() -> None:
    run_machine(lambda: Projection(InMemory()), examples=80, steps=30)


@pytest.fixture
def stage(mongo_url: str, db_name: str) -> Iterator[Stage]:
    collections = (*store.COLLECTIONS, "leases")
    indexes = (*OUTBOX_INDEXES, *dead_letters.INDEXES, *store.INDEXES)
    with store_of(mongo_url, db_name, collections, indexes) as made:
        made.run(generations.prepare(made.mongo))
        yield made


@pytest.mark.timeout(400)  # as above
def test_in_the_real_store_too_and_while_it_is_built_anew(stage: Stage) -> None:
    bus = MachinesLog()
    run_machine(lambda: Projection(InTheStore(stage, bus)), examples=35, steps=22)
