"""One round: a service is started to die at a point, is given work that passes it, dies, and is started again.

It may be started to die again on the way back, at a point that its mending alone passes.
"""

import asyncio
import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.crash_points import Point
from shared.journal import waiting
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.crash.affairs import GOOD, Affairs, Order, differences
from tests.crash.services import ALL
from tests.crash.world import Answer, World
from tests.support.probe import eventually

SERVICES: Final = tuple(affairs.service for affairs in ALL)
CANNOT: Final[Mapping[tuple[str, Point], str]] = {
    ("reporting", Point.RELAY_READ): "it publishes nothing: its outbox stays empty",
    ("reporting", Point.RELAY_PUBLISHED): "it publishes nothing: its outbox stays empty",
    ("reporting", Point.RELAY_MARKED): "it publishes nothing: its outbox stays empty",
    ("reporting", Point.BATCH_MARKED): "it marks no events as seen: facts join, so that repetition changes nothing",
}
"""What a service never passes, and why."""

BY_BATCH: Final = frozenset(point for point in Point if point.startswith("batch."))
"""Points that only what comes by the bus passes; the others are passed by a command, where a service takes one."""


@dataclass(frozen=True)
class AtDeath:
    """What was durable when the process died. None: not told by the kind of work.

    Of a command: its effects, its events that wait in the outbox, and those in the log. Of a batch: its effects, the
    records set aside, and whether its offsets are committed.
    """

    effects: int
    waiting: int | None = None
    in_the_log: int | None = None
    set_aside: int | None = None
    committed: bool | None = None


OF_COMMAND: Final[Mapping[Point, AtDeath]] = {
    Point.TRANSACTION_WRITTEN: AtDeath(0, waiting=0, in_the_log=0),
    Point.TRANSACTION_COMMITTED: AtDeath(1, waiting=1, in_the_log=0),
    Point.RELAY_READ: AtDeath(1, waiting=1, in_the_log=0),
    Point.RELAY_PUBLISHED: AtDeath(1, waiting=1, in_the_log=1),
    Point.RELAY_MARKED: AtDeath(1, waiting=0, in_the_log=1),
}
OF_BATCH: Final[Mapping[Point, AtDeath]] = {
    Point.TRANSACTION_WRITTEN: AtDeath(0, set_aside=1, committed=False),
    Point.TRANSACTION_COMMITTED: AtDeath(GOOD, set_aside=1, committed=False),
    Point.BATCH_RECEIVED: AtDeath(0, set_aside=0, committed=False),
    Point.BATCH_SET_ASIDE: AtDeath(0, set_aside=1, committed=False),
    Point.BATCH_MARKED: AtDeath(0, set_aside=1, committed=False),
    Point.BATCH_APPLIED: AtDeath(GOOD, set_aside=1, committed=False),
    Point.BATCH_COMMITTED: AtDeath(GOOD, set_aside=1, committed=True),
}


@dataclass
class Seen:
    """What a round showed. `faults` are differences from what must be, in words; none is what is promised."""

    returncodes: list[int]
    at_death: AtDeath
    expected_at_death: AtDeath
    answers: list[Answer] = field(default_factory=list)
    """To the command that was sent, if it was answered; repeated after the restart; and repeated once more."""
    store_faults: list[str] = field(default_factory=list)
    event_faults: list[str] = field(default_factory=list)
    most_copies: int = 0
    """How often the event that lies in the log most often does."""
    book_faults: list[str] = field(default_factory=list)
    """Of the inbox, the dead letters, the outbox and the offsets."""


class Rounds:
    """Every service in a world of its own, for many rounds; those of one point at the same time."""

    def __init__(self, mongo_url: str, kafka: Kafka, directory: Path) -> None:
        self._make = functools.partial(World, mongo_url=mongo_url, kafka=kafka, directory=directory)
        self._affairs: dict[str, Affairs] = {}
        self._worlds: list[World] = []
        self._seen: dict[tuple[Point, ...], dict[str, Seen | BaseException]] = {}

    async def seen(self, service: str, *points: Point) -> Seen:
        """What the round of these points showed of the service. It is played when it is first asked for."""
        if points not in self._seen:
            able = [each for each in ALL if not any((each.service, point) in CANNOT for point in points)]
            shown = await asyncio.gather(*(self._play(each, points) for each in able), return_exceptions=True)
            self._seen[points] = dict(zip((each.service for each in able), shown, strict=True))
            for each, what in zip(able, shown, strict=True):
                if isinstance(what, BaseException) or what.store_faults or what.event_faults or what.book_faults:
                    self._affairs.pop(each.service, None)  # the next round begins in a sound world
        what = self._seen[points][service]
        if isinstance(what, BaseException):
            raise what
        return what

    async def affairs(self, kind: type[Affairs]) -> Affairs:
        """The service at work in its world, as the rounds so far have left it."""
        if kind.service not in self._affairs:
            world = self._make(kind.service)
            self._worlds.append(world)
            await world.begin()
            await world.live()
            affairs = kind(world)
            await affairs.prepare()
            self._affairs[kind.service] = affairs
        return self._affairs[kind.service]

    def end(self) -> None:
        for world in self._worlds:
            world.end()

    async def _play(self, kind: type[Affairs], points: tuple[Point, ...]) -> Seen:
        return await play(await self.affairs(kind), *points)


async def play(affairs: Affairs, point: Point, *on_the_way_back: Point) -> Seen:
    """Die at the point, start again, repeat what was not answered, go on, come to rest."""
    world, n = affairs.world, affairs.next_round()
    order = affairs.order(n)
    by_command = order is not None and point not in BY_BATCH
    await world.quiet()
    await world.stop()
    async with world.store() as store:
        await affairs.hold(store)
    await world.live(crash_at=point)

    answers: list[Answer | None] = []
    if by_command and order is not None:
        affairs.commands.append(n)
        answers.append(await send(world, order))
    else:
        await affairs.send_batch(n)
    returncodes = [await world.death()]
    at_death = await _of_command(affairs, n, order) if by_command and order else await _of_batch(affairs, n)
    for further in on_the_way_back:
        world.start(crash_at=further)
        returncodes.append(await world.death())

    async with world.store() as store:
        await affairs.let_go(store)
    await world.live()
    if by_command and order is not None:
        answers += [await send(world, order), await send(world, order)]
    await _life_goes_on(affairs, n, order)
    await world.quiet()
    seen = Seen(returncodes, at_death, (OF_COMMAND if by_command else OF_BATCH)[point])
    seen.answers = [answer for answer in answers if answer is not None]
    await look(affairs, seen)
    return seen


async def send(world: World, order: Order) -> Answer | None:
    return await world.post(order.path, key=order.key, json=order.body)


async def _life_goes_on(affairs: Affairs, n: int, order: Order | None) -> None:
    """The work of the round that did not come before the death, so that what was mended is seen to work."""
    if order is not None and n not in affairs.commands:
        answer = await send(affairs.world, order)
        assert answer is not None
        assert answer.status == 201, answer
        affairs.commands.append(n)
    if n not in affairs.batches:
        await affairs.send_batch(n)

    async def applied() -> bool:
        async with affairs.world.store() as store:
            return await affairs.batch_effects(store, n) == GOOD

    await eventually(applied, within_s=30, what=f"the effects of batch {n}")


async def _of_command(affairs: Affairs, n: int, order: Order) -> AtDeath:
    """What is durable of the command."""
    log = {envelope.id for envelope in await affairs.world.published()}
    still = in_the_log = 0
    async with affairs.world.store() as store:
        unpublished = await waiting(store)
        async for event in store["outbox"].find({"type": order.event.TYPE}):
            if await affairs.subject_as_known(store, event["subject"]) == order.subject:
                still += event["_id"] in unpublished
                in_the_log += event["_id"] in log
        return AtDeath(await affairs.command_effects(store, n), waiting=still, in_the_log=in_the_log)


async def _of_batch(affairs: Affairs, n: int) -> AtDeath:
    """What is durable of the batch; it is the last that came."""
    async with affairs.world.store() as store:
        effects = await affairs.batch_effects(store, n)
        set_aside = await store["dead_letters"].count_documents({}) - (affairs.broken - 1)
    return AtDeath(effects, set_aside=set_aside, committed=await affairs.world.lag() == 0)


async def look(affairs: Affairs, seen: Seen) -> None:
    """Hold the store, the log and the books of a service at rest against what all rounds so far must have left."""
    log = await affairs.world.published()
    once = {envelope.id: envelope for envelope in log}
    async with affairs.world.store() as store:
        seen.store_faults += await affairs.faults(store)
        told = Counter([f"{e.type} {await affairs.subject_as_known(store, e.subject)}" for e in once.values()])
        seen.event_faults += differences("events", told, affairs.meanings())
        seen.most_copies = max(Counter(envelope.id for envelope in log).values(), default=0)
        kept = {row["_id"]: 1 async for row in store["outbox"].find({}, {"_id": 1})}
        seen.event_faults += differences("log, which has all of the journal", dict.fromkeys(once, 1), kept)
        contents = {(e.id, e.type, e.source, e.subject, e.time, e.data) for e in log}
        seen.event_faults += differences(
            "contents", Counter(content[0] for content in contents), dict.fromkeys(once, 1)
        )
        seen.book_faults += await _books(affairs, store)


async def _books(affairs: Affairs, store: Mongo) -> list[str]:
    """Whether each good event is marked once, each broken record set aside once, and all is told and committed."""
    letters = Counter([f"{row['code']}, {row['state']}" async for row in store["dead_letters"].find()])
    books = {
        "marks": await store["inbox"].count_documents({}),
        "waiting to be told": len(await waiting(store)),
        "not committed": await affairs.world.lag(),
        "processes that died": 0 if affairs.world.running.running else 1,
    }
    marks = affairs.heard if affairs.marks else 0
    wanted = {"marks": marks, "waiting to be told": 0, "not committed": 0, "processes that died": 0}
    return [
        *differences("dead letters", letters, {"bad_json, waiting": affairs.broken}),
        *differences("books", books, wanted),
    ]
