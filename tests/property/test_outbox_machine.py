"""The outbox, its relay and the journal under any sequence of transactions, deaths, refusals and lost logs."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from shared.crash_points import Point
from shared.events import ContactAttempted
from shared.journal import INDEXES, Journal, waiting
from shared.settings import ServiceSettings
from shared.unit_of_work import OUTBOX_INDEXES, Tx, UnitOfWork
from tests.support.honest_log import KIND, HonestLog, Mood, Replica
from tests.support.machines import Death, Fate, Stage, TestClock, run_machine, store_of

KEYS = ("ada", "bob", "cem")
HOW = st.sampled_from(
    ("well", "in vain", "slowly, while others are published", Point.TRANSACTION_WRITTEN, Point.TRANSACTION_COMMITTED)
)
REPLICAS = st.sampled_from((0, 1))
EVENTS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=5)
RELAY_POINTS = st.sampled_from((Point.RELAY_READ, Point.RELAY_PUBLISHED, Point.RELAY_MARKED))
NO = st.sampled_from(("refused", "unheard"))
MOODS = (
    st.builds(Mood, of_keys=st.dictionaries(st.sampled_from(KEYS), NO, min_size=1))
    | st.builds(Mood, of_events=st.dictionaries(st.integers(0, 2), NO, min_size=1))
    | st.builds(Mood, dies_after=st.integers(0, 3))
    | st.just(KIND)
)


@dataclass
class Committed:
    """An event that a transaction has left behind, in the order of commits."""

    id: str
    key: str
    time: datetime


class Outbox(RuleBasedStateMachine):
    """Promised: at every moment each event of a committed transaction is in the broker's log or waits to be published
    (after a lost log: or waits for the journal), and none of an aborted one is ever published. Once all is quiet, and
    the journal published again where a log was lost, each is in the log, nothing waits, and the first copies of a key's
    events lie in the order of their commits. Who publishes holds the lease.

    Not promised: order within a key of which the broker refuses one event and takes a later one of the same hand-over.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        stage.clear()
        self.clock = TestClock()
        self.log = HonestLog()
        self.fate = Fate()
        self.settings = ServiceSettings(service="machine", port=1, relay_lease_s=3_600, relay_batch=3)
        self.unit_of_work = UnitOfWork(stage.mongo, "machine", clock=self.clock, reach=self.fate)
        self.replicas = [self._replica(), self._replica()]
        self.stalled: dict[int, asyncio.Task[None]] = {}
        self.committed: list[Committed] = []
        self.aborted: set[str] = set()
        self.owed: set[str] = set()
        self.moments = [self.clock.now]
        self.full_asked = False
        self.work_to_do = False

    def _replica(self) -> Replica:
        return Replica(self.stage.mongo, self.log, self.settings, self.fate)

    # What services do.

    @initialize(keys=EVENTS, moods=st.none() | st.lists(MOODS, max_size=2), loses=st.booleans())
    def begin(self, keys: list[str], moods: list[Mood] | None, loses: bool) -> None:
        self._transaction(keys)
        if moods is not None:
            self._round(0, moods)
        if loses:
            self.the_broker_loses_its_log(is_noticed=True)

    @rule(keys=EVENTS, how=HOW, which=REPLICAS)
    def emits(self, keys: list[str], how: str, which: int) -> None:
        if how in (Point.TRANSACTION_WRITTEN, Point.TRANSACTION_COMMITTED):
            self.fate.dies_at(Point(how))
        slowly = how == "slowly, while others are published" and which not in self.stalled
        self._transaction(keys, fails=how == "in vain", meanwhile=self.replicas[which] if slowly else None)
        self.fate.lives()
        self.clock.advance(1)
        self.moments.append(self.clock.now)

    def _transaction(self, keys: list[str], *, fails: bool = False, meanwhile: Replica | None = None) -> None:
        ids: list[str] = []

        async def work(tx: Tx) -> None:
            tx.emit(*(event(key) for key in keys))
            ids[:] = [row["_id"] for row in tx.emitted]
            if meanwhile is not None:
                await meanwhile.round()
            if fails:
                raise RuntimeError

        committed = False
        try:
            self.stage.run(self.unit_of_work.run(work))
            committed = True
        except Death as death:
            committed = death.args == (Point.TRANSACTION_COMMITTED,)
        except RuntimeError:
            assert fails
        if committed:
            self.committed += [Committed(*pair, self.clock.now) for pair in zip(ids, keys, strict=True)]
        else:
            self.aborted |= set(ids)

    # What relays do, and what becomes of them.

    @precondition(lambda self: self.work_to_do)
    @rule(which=REPLICAS, moods=st.lists(MOODS, min_size=1, max_size=3))
    def comes_round(self, which: int, moods: list[Mood]) -> None:
        self._round(which, moods)

    @precondition(lambda self: self.work_to_do)
    @rule(which=REPLICAS, point=RELAY_POINTS, times=st.integers(1, 3))
    def dies_at_a_point(self, which: int, point: Point, times: int) -> None:
        self._round(which, [], point, times)

    def _round(self, which: int, moods: list[Mood], dies_at: Point | None = None, times: int = 1) -> None:
        if which in self.stalled:
            return
        self.log.moods = list(moods)
        self.fate.dies_at(dies_at, times)
        try:
            self.stage.run(self.replicas[which].round())
        except Death:
            self.replicas[which] = self._replica()
        self.log.moods = []
        self.fate.lives()

    @precondition(lambda self: self.work_to_do and not self.stalled)
    @rule(which=REPLICAS, stalls=st.sampled_from(("before", "after")), for_long=st.booleans())
    def stands_still_while_it_publishes(self, which: int, stalls: Any, for_long: bool) -> None:
        self.log.moods = [Mood(stalls=stalls)]

        async def until_it_stands() -> asyncio.Task[None]:
            self.log.at_gate.clear()
            going = asyncio.create_task(self.replicas[which].round())
            standing = asyncio.create_task(self.log.at_gate.wait())
            await asyncio.wait((going, standing), return_when=asyncio.FIRST_COMPLETED)
            standing.cancel()
            return going

        task = self.stage.run(until_it_stands())
        self.log.moods = []
        if task.done():
            task.result()
        else:
            self.stalled[which] = task
        if for_long:
            self.the_lease_runs_out()
            self._round(1 - which, [])

    @precondition(lambda self: self.stalled)
    @rule(dies=st.booleans())
    def goes_on(self, dies: bool) -> None:
        (which,) = self.stalled
        task = self.stalled.pop(which)
        gate = self.log.gates.pop()

        async def until_it_is_done() -> None:
            if dies:
                task.cancel()
            gate.set()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                error = task.exception()
                assert error is None or isinstance(error, TimeoutError), error

        self.stage.run(until_it_is_done())
        if dies:
            self.replicas[which] = self._replica()

    @rule()
    def the_lease_runs_out(self) -> None:
        for replica in self.replicas:
            replica.lease_is_over()
        past = {"$set": {"until": datetime.fromtimestamp(0, UTC)}}
        self.stage.run(self.stage.mongo["leases"].update_many({}, past))

    # What the broker does, and the answer to it.

    @precondition(lambda self: self.log.taken)
    @rule(is_noticed=st.booleans())
    def the_broker_loses_its_log(self, is_noticed: bool) -> None:
        self.owed |= set(self.log.taken)
        self.log.lose_all()
        self.full_asked = False
        if is_noticed:
            self.the_journal_is_asked_for(since=None, dies_before=None)

    @precondition(lambda self: self.committed)
    @rule(since=st.none() | st.integers(0, 5), dies_before=st.none() | st.integers(0, 3))
    def the_journal_is_asked_for(self, since: int | None, dies_before: int | None) -> None:
        moment = None if since is None else self.moments[since % len(self.moments)]
        mortal = self.stage.mortal
        mortal.accesses_left = dies_before
        try:
            self.stage.run(Journal(mortal, clock=self.clock).publish_again(moment))
            self.full_asked = moment is None
        except Death:
            pass  # nobody was told that it has begun
        mortal.accesses_left = None
        self.clock.advance(0.001)

    # What is promised.

    @invariant()
    def nothing_is_published_that_was_not_committed(self) -> None:
        known = {each.id for each in self.committed}
        published = set(self.log.taken) | self.log.earlier
        assert not published & self.aborted
        assert published <= known

    @invariant()
    def every_committed_event_waits_or_is_in_the_log(self) -> None:
        rows = self.stage.run(self.stage.mongo["outbox"].find({}, {"_id": 1}).to_list(None))
        assert {row["_id"] for row in rows} == {each.id for each in self.committed}
        left = self.stage.run(waiting(self.stage.mongo))
        publications = self.stage.run(self.stage.mongo["publications"].find({"state": "running"}).to_list(None))
        self.work_to_do = bool(left or publications)
        assert {each.id for each in self.committed} <= left | set(self.log.taken) | self.owed
        if self.full_asked and not publications:
            assert self.owed <= left | set(self.log.taken), "the whole journal was promised and is not all there"

    def teardown(self) -> None:
        if self.stalled:
            self.goes_on(dies=False)
        self.the_lease_runs_out()
        if self.owed and self.committed:
            self.the_journal_is_asked_for(since=None, dies_before=None)
        self._round(0, [])
        self.every_committed_event_waits_or_is_in_the_log()
        self.nothing_is_published_that_was_not_committed()
        state = self.stage.run(Journal(self.stage.mongo).state())
        assert (state["pending"], state["oldest_pending_at"], state["publication"]) == (0, None, None)
        assert {each.id for each in self.committed} == set(self.log.taken)
        done = self.stage.run(self.stage.mongo["publications"].find({"state": "done"}).to_list(None))
        assert all(publication["published"] >= publication["events"] for publication in done)
        self._each_key_is_in_order()

    def _each_key_is_in_order(self) -> None:
        first = {id_: place for place, id_ in reversed(list(enumerate(self.log.taken)))}
        for key in set(KEYS) - self.log.torn_keys:
            fresh = [first[each.id] for each in self.committed if each.key == key and each.id not in self.log.earlier]
            assert fresh == sorted(fresh), f"events of {key} were published out of order"


def event(key: str) -> ContactAttempted:
    return ContactAttempted(youth_id=key, on=date(2013, 4, 2), channel="phone", outcome="reached")


@pytest.fixture
def stage(mongo_url: str, db_name: str) -> Iterator[Stage]:
    collections = ("outbox", "unpublished", "leases", "publications", "signals")
    with store_of(mongo_url, db_name, collections, (*OUTBOX_INDEXES, *INDEXES)) as made:
        yield made


@pytest.mark.timeout(400)  # only a failure takes long: Hypothesis shortens it
def test_whatever_dies_each_committed_event_is_published_in_order_and_no_other(
    stage: Stage,
) -> None:
    run_machine(lambda: Outbox(stage), examples=60, steps=22)
