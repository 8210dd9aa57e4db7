"""What reporting does with what it hears: facts grow, figures change, names are noted, all in one transaction a batch.

No event is marked as seen: a fact that an event does not make grow changes nothing. The facts of the youths at hand are
kept in memory, so most batches read nothing from the store; a fact that another replica wrote meanwhile has another
version there, and then the batch is joined to what the store has. While a batch is being written, the next ones are
read and gathered, and are then written together: under load each youth is written less often.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from time import monotonic, perf_counter
from typing import Final

import structlog

from services.reporting import compact, generations, store
from services.reporting.batches import Batches, Registrations
from services.reporting.compact import Fact, Owner
from services.reporting.counting import Changes, Row, row_of
from services.reporting.freshness import Position, advance
from services.reporting.generations import Entry, Generation
from services.reporting.memory import Memory
from services.reporting.projection import Leaf, ToFact
from services.reporting.quality.notes import Notes
from services.reporting.quiet import nobody_waits
from services.reporting.reading import IGNORED, Gathered, Reading
from services.reporting.shards import shards_of
from shared.clock import random_id
from shared.consumer import BatchConsumer, Received, comes_again
from shared.crash_points import Point
from shared.dead_letters import Refused
from shared.envelope import Record
from shared.events import Event, NetworkRegistered, PlatformRegistered, YouthEvent
from shared.handling import NotYet
from shared.mongo import StoreError, was_dropped
from shared.observability import Metrics, describe
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

Facts = Mapping[type[YouthEvent], ToFact]
NO_NOTES: Final[Notes] = {}

_TRIES = 50
_YOUTHS_AT_A_TIME = 500
_YOUTHS_AT_ONCE = 2_000  # of those settled because there are too many
_YOUTHS_BETWEEN = 200  # of those settled in between, when events want to be shown soon
_FEW_RECORDS = 1_000
_SHORTEST_REST_S = 0.01
_CAREFUL_S = 60.0  # after a refusal
_NOT_KNOWN: Final = row_of(Fact(), 0)


class FactsConsumer(BatchConsumer):
    """Applies batches to the facts (`facts`: event -> what it says of its youth), to the collections of names
    (`registrations`: event -> collection) and to what is kept beside them (`notes`: event -> what is kept of it), all
    of the generation that `into` enters in the transaction.

    `on_batch` may be called again before it has returned: it reads at once, and writes in turn. `youths` bounds how
    many facts are kept in memory.

    Records are let go of as soon as they are read: kept until they are written, they would be most of the memory. Where
    the store refuses something of theirs they have to come again, and for a while from then on they are kept, so that
    what is refused can be told from the others.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        facts: Facts,
        registrations: Registrations,
        metrics: Metrics,
        into: Callable[[Tx], Awaitable[Entry]],
        *,
        youths: int,
        notes: Notes = NO_NOTES,
    ) -> None:
        super().__init__(unit_of_work, [*facts, *registrations, *notes], metrics)
        self._into = into
        self._facts = facts
        self._registrations = registrations
        self._notes = notes
        self._reading = Reading(notes)
        self._memory = Memory(youths)
        self._leaves: dict[Leaf | None, int] = {}
        self._numbers: dict[Owner | None, int] = {}
        self._writing = asyncio.Lock()
        self._gathering = Batches()
        self._busy = False
        self._careful_until = 0.0

    async def on_batch(self, records: Sequence[Record]) -> None:
        """Make the records' effects durable, together with those of batches that wait as well. See `BatchConsumer`."""
        began = perf_counter()
        self._uow.reach(Point.BATCH_RECEIVED)
        batches = self._gather(records)
        del records
        async with self._writing:
            if not batches.taken:
                batches.taken = True
                self._gathering = Batches()
                try:
                    await self._write(batches)
                except BaseException as error:
                    batches.error = error
                    self._let_come_again(error)
                    raise
        if batches.error is not None:
            raise batches.error
        self._metrics.batch_seconds.observe(perf_counter() - began)

    async def apply(self, events: Sequence[Received[Event]], records: Sequence[Record]) -> None:
        """Join what the events say to what is known, and note how far the topics are applied."""
        batches = Batches()
        self._learn(events, batches)
        for record in records:
            advance(batches.says.positions, (record.topic, record.partition), Position(record.offset + 1))
        async with self._writing:
            await self._keep(batches)
        self._tell(batches)

    def _gather(self, records: Sequence[Record]) -> Batches:
        """Add what the records say to the batches that are written next. BrokenStream when too little can be read."""
        batches = self._gathering
        try:
            refused = self._read(records, batches)
            batches.readable += self._judge(records, refused)
        except BaseException as error:
            self._let_come_again(error)
            raise
        if monotonic() < self._careful_until:
            batches.records += records
        return batches

    def _let_come_again(self, error: BaseException) -> None:
        """Whatever is gathered is not to be written: it comes again, so that no position passes what failed."""
        self._gathering.taken, self._gathering.error = True, error
        self._gathering = Batches()

    def _read(self, records: Sequence[Record], into: Batches) -> Sequence[Refused]:
        """Add what the records say; most are read at once, the others in the general way. Those that cannot be read."""
        into.count += len(records)
        left = self._reading.read(records, into.says)
        good, refused = self._decode(left) if left else ([], [])
        self._learn(good, into)
        into.refused += refused
        return refused

    def _learn(self, events: Sequence[Received[Event]], into: Batches) -> None:
        says = into.says
        for event in events:
            data, envelope, record = event.data, event.envelope, event.record
            if isinstance(data, YouthEvent):
                news = compact.of_plain(self._facts[type(data)](data, envelope.time, envelope.id))
                before = says.youths.get(data.youth_id)
                says.youths[data.youth_id] = news if before is None else compact.join(before, news)
            elif isinstance(data, NetworkRegistered | PlatformRegistered):
                into.register(self._registrations[type(data)], data)
            else:
                into.notes.append(self._notes[type(data)](data, envelope.id))
            says.counts[data.TYPE] += 1
            place = record.topic, record.partition
            if place in says.positions:
                advance(says.positions, place, Position(0, envelope.time))

    async def _write(self, batches: Batches) -> None:
        """Set the broken records aside and make what the others say durable."""
        await self._set_aside(batches.refused)
        self._uow.reach(Point.BATCH_SET_ASIDE)
        try:
            await self._keep(batches)
            self._tell(batches)
        except Exception as error:
            if comes_again(error) or not batches.says.counts:
                raise
            self._careful_until = monotonic() + _CAREFUL_S
            if len(batches.records) < batches.count:
                raise NotYet("batch_refused", f"it comes again, to be taken apart: {describe(error)}") from error
            log.warning("batch_taken_apart", records=batches.count, error=describe(error))
            await self._write_apart(batches.records)
            await self._keep(Batches(Gathered(positions=batches.says.positions)))
        self.readability.note(batches.readable)
        self._uow.reach(Point.BATCH_APPLIED)
        self._busy = self._busy or batches.count >= _FEW_RECORDS
        while self._memory.fresh() > self._memory.most_fresh and await self._settle(_YOUTHS_AT_ONCE):
            pass

    async def _write_apart(self, records: Sequence[Record]) -> None:
        """Half by half, each again by halves where it is refused: the records that are refused alone become dead
        letters, the others go on.
        """
        middle = len(records) // 2
        for half in (records[:middle], records[middle:]):
            if not half:
                continue
            batches = Batches()
            self._read(half, batches)
            try:
                await self._keep(batches)
            except Exception as error:
                if comes_again(error):
                    raise
                if len(half) == 1:
                    await self._give_up(half[0], error)
                else:
                    await self._write_apart(half)
            else:
                self._tell(batches)

    def _tell(self, batches: Batches) -> None:
        for type_, count in batches.says.counts.items():
            self._metrics.event(type_, "ignored" if type_ == IGNORED else "applied", count)

    async def _keep(self, batches: Batches) -> None:
        """Write it, in one transaction; again where another replica has written to the same youths."""
        says, memory = batches.says, self._memory
        if not (says.youths or batches.registered or batches.notes or says.positions):
            return
        if memory.generation is None:
            memory.begin(await generations.live(self._mongo))
        shards = dict(zip(says.youths, shards_of(list(says.youths)), strict=True))
        touched = set(shards.values())
        for attempt in range(_TRIES):
            await asyncio.sleep(random.uniform(0, min(0.5, 0.01 * attempt)))  # noqa: S311 jitter
            try:
                known = await self._known(shards, touched)
            except StoreError as error:
                if not was_dropped(error):
                    raise
                memory.begin(await generations.live(self._mongo))  # another is live, and this one is gone
                continue
            grown: dict[int, dict[str, Fact]] = {}
            changes = Changes()
            waiting = iter(says.youths.items())
            while some := list(islice(waiting, _YOUTHS_AT_A_TIME)):
                self._grow(some, known, shards, grown, changes)
                await asyncio.sleep(0)  # queries are answered meanwhile
            save = partial(self._save, batches=batches, grown=grown, changes=changes)
            if await self._fenced(save, touched):
                for number, facts in grown.items():
                    shard = memory.shards[number]
                    shard.writes += 1
                    shard.fresh |= facts
                    shard.new.update([youth_id for youth_id in facts if youth_id not in known])
                return
        raise NotYet("facts_moving", "other replicas write to the same youths")

    async def _fenced(self, save: Callable[[Tx], Awaitable[None]], shards: Collection[int]) -> bool:
        """Write by what is known of these shards. False when it is out of date: it is forgotten, to be read again."""
        try:
            await self._uow.run(save)
        except store.Stale:
            self._memory.forget(shards)
            return False
        except BaseException:
            self._memory.forget(shards)  # it may be done all the same
            raise
        return True

    async def _save(
        self, tx: Tx, *, batches: Batches, grown: Mapping[int, Mapping[str, Fact]], changes: Changes
    ) -> None:
        """Write what has grown, if the live generation is the one that it was compared with."""
        says = batches.says
        entry = await self._into(tx)
        of = entry.generation
        if of != self._memory.generation:
            self._memory.begin(of)
            raise store.Stale
        await store.save(tx, of, self._writes(grown), grown)
        names: dict[str, str] = {}
        for collection, newest in batches.registered.items():
            registered = await store.register(tx, of, collection, newest)
            names |= registered if collection == "networks" else {}
        await store.note(tx, of, batches.notes)
        await store.move(tx, of, says.positions)
        await store.add_changes(tx, entry, changes.figures(list(self._leaves)), says.positions, names)

    def _writes(self, shards: Collection[int]) -> dict[int, int]:
        return {shard: self._memory.shards[shard].writes for shard in shards}

    async def _known(self, shards: Mapping[str, int], touched: set[int]) -> dict[str, Fact]:
        """What is known of these youths: from memory, else from the store."""
        memory, known, missing = self._memory, dict[str, Fact](), list[str]()
        of = memory.generation or generations.FIRST
        unknown = touched - memory.shards.keys()
        if unknown:
            memory.shards |= await store.load_shards(self._mongo, of, unknown)
        for youth_id, shard in shards.items():
            fact = memory.get(shard, youth_id)
            if fact is None:
                missing.append(youth_id)
            else:
                known[youth_id] = fact
        if missing:
            found = await store.load(self._mongo, of, missing)
            for youth_id, fact in found.items():
                memory.put(shards[youth_id], {youth_id: fact})
            known |= found
        return known

    async def keep_settled(self, every_s: float) -> None:
        """For as long as the service runs, settle what is fresh whenever nothing much came in for so long and nobody
        waits. It rests as long as it works; what is not settled yet is safe as it is.
        """
        while True:
            self._busy = False
            await asyncio.sleep(every_s)
            while not self._busy:
                began = perf_counter()
                if await nobody_waits() and not await self.settle_some():
                    break
                await asyncio.sleep(max(perf_counter() - began, _SHORTEST_REST_S))

    async def settle_some(self) -> bool:
        """Write the fresh facts of some shards to their documents; False where there are none, or they are refused."""
        async with self._writing:
            return await self._settle(_YOUTHS_BETWEEN)

    async def _settle(self, most: int) -> bool:
        shards = self._memory.fullest(most)
        if not shards:
            return False
        try:
            if await self._fenced(partial(self._save_settled, shards=shards), shards):
                for shard in shards:
                    self._memory.settle(shard)
        except Exception as error:
            if comes_again(error):
                raise
            # They are safe among the growths, and events are still to be counted.
            log.error("facts_not_settled", shards=len(shards), error=describe(error))  # noqa: TRY400  a traceback may name a youth
            return False
        return True

    async def _save_settled(self, tx: Tx, *, shards: Collection[int]) -> None:
        of = self._memory.generation
        if of is None or not await self._still(tx, of):
            raise store.Stale
        chosen = [self._memory.shards[shard] for shard in shards]
        new = set[str]().union(*(shard.new for shard in chosen))
        await store.settle(tx, of, self._writes(shards), [shard.fresh for shard in chosen], new)

    async def _still(self, tx: Tx, generation: Generation) -> bool:
        """Whether this is the generation to write to."""
        return await generations.live(tx.mongo, tx.session) == generation

    def _grow(
        self,
        some: Iterable[tuple[str, Fact]],
        known: Mapping[str, Fact],
        shards: Mapping[str, int],
        grown: dict[int, dict[str, Fact]],
        changes: Changes,
    ) -> None:
        """Join the news of some youths to what is known of them; by shard what has grown, and what that changes."""
        before, after = list[Row](), list[Row]()
        for youth_id, news in some:
            fact = known.get(youth_id)
            joined = compact.grown(fact, news)
            if joined is not None:
                grown.setdefault(shards[youth_id], {})[youth_id] = joined
                before.append(_NOT_KNOWN if fact is None else row_of(fact, self._leaf(fact)))
                after.append(row_of(joined, self._leaf(joined)))
        changes.add(before, after)

    def _leaf(self, fact: Fact) -> int:
        """The number of the youth's leaf."""
        owner = fact.assignment[3] if fact.assignment is not None else None
        number = self._numbers.get(owner)
        if number is None:
            number = self._leaves.setdefault(compact.leaf_of(fact), len(self._leaves))
            self._numbers[owner] = number
        return number


def live() -> Callable[[Tx], Awaitable[Entry]]:
    """Into what is live, at a slot of this consumer's own."""
    slot = generations.slot_of(random_id())

    async def into(tx: Tx) -> Entry:
        return await generations.enter(tx, slot)

    return into
