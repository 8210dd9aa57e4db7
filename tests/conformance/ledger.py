"""What came of it: reads the bookkeeper's store and the group's offsets, and judges."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.envelope import Envelope
from shared.mongo import Mongo
from shared.settings import ServiceSettings
from tests.conformance.bookkeeper import DELIVERIES, EFFECTS, ORDER, TOPIC
from tests.support.probe import eventually


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events should have had an effect, and how many had none, more than one, or should have had none."""

    events: int
    lost: int
    doubled: int
    strange: int

    def __str__(self) -> str:
        return f"{self.events} events: {self.lost} lost, {self.doubled} doubled, {self.strange} strange"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch as the broker's client handed it over; `done` once its effects were durable."""

    by: str
    records: Sequence[tuple[int, int]]
    """Partition and offset."""
    done: bool

    def offsets(self) -> dict[int, list[int]]:
        """By partition, in the order of the batch."""
        return by_partition(self.records)


def by_partition(records: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The offsets of each partition, in order."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for partition, offset in records:
        offsets[partition].append(offset)
    return dict(offsets)


@dataclass
class Commits:
    """The group's committed offsets at one look after the other."""

    seen: list[dict[int, int]] = field(default_factory=list)

    def went_back(self) -> list[tuple[int, int, int]]:
        """Each time an offset moved back: partition, from, to."""
        back = []
        for before, after in zip(self.seen, self.seen[1:], strict=False):
            back += [(p, before[p], after.get(p, 0)) for p in before if after.get(p, 0) < before[p]]
        return back


class Ledger:
    """Reads what one bookkeeper (all replicas of it) has written down."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._mongo = Mongo(settings.mongo_url, settings.database)
        self._admin: AIOKafkaAdminClient | None = None
        self._asking = asyncio.Lock()

    async def aclose(self) -> None:
        """Let the connections go."""
        if self._admin is not None:
            await self._admin.close()
        await self._mongo.close()

    async def tally(self, expected: Collection[str]) -> Tally:
        """Judge the effects against the events that should have had one."""
        wanted = set(expected)
        assert len(wanted) == len(expected), "the test itself expects an event twice"
        effects = {row["_id"]: row["n"] async for row in self._mongo[EFFECTS].find()}
        return Tally(
            events=len(wanted),
            lost=len(wanted - effects.keys()),
            doubled=sum(number > 1 for number in effects.values()),
            strange=len(effects.keys() - wanted),
        )

    async def must_be_exact(self, expected: Collection[str], *, within_s: float = 30.0) -> None:
        """Wait for the last effect, then every event has exactly one, and each youth's are in order, once each."""

        async def all_there() -> bool:
            return await self._mongo[EFFECTS].count_documents({}) >= len(expected)

        try:
            await eventually(all_there, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"after {within_s:g} s {await self.tally(expected)}") from None
        await self.must_be_caught_up()
        tally = await self.tally(expected)
        assert tally == Tally(events=len(expected), lost=0, doubled=0, strange=0), str(tally)
        pushed = sum([len(seen) for seen in (await self.order()).values()])
        assert pushed == len(expected)
        print(tally)  # pytest -s shows what was counted

    async def must_be_caught_up(self, *, within_s: float = 30.0) -> None:
        """Wait until the group's offsets are at the end of what was ever handed over: nothing is in hand any more."""

        async def committed_all() -> bool:
            ends: dict[int, int] = {}
            for delivery in await self.deliveries():
                for partition, offset in delivery.records:
                    ends[partition] = max(ends.get(partition, 0), offset + 1)
            return await self.committed() == ends

        await eventually(committed_all, within_s=within_s, what="the commit of everything that was handed over")

    async def has_effects(self, number: int) -> bool:
        """Whether at least so many events had an effect."""
        return await self._mongo[EFFECTS].count_documents({}) >= number

    async def order(self) -> dict[str, list[str]]:
        """By youth, its events in the order in which they had their effect."""
        return {row["_id"]: row["seen"] async for row in self._mongo[ORDER].find()}

    async def deliveries(self, by: str | None = None) -> list[Delivery]:
        """All batches that were handed over, in their order, perhaps only those of one replica."""
        rows = self._mongo[DELIVERIES].find({} if by is None else {"by": by}).sort("at", 1)
        return [
            Delivery(row["by"], [(partition, offset) for partition, offset in row["records"]], row["done"])
            async for row in rows
        ]

    async def committed(self) -> dict[int, int]:
        """The group's committed offset of each partition that has one."""
        async with self._asking:
            if self._admin is None:
                admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
                await admin.start()
                self._admin = admin
        topic = self.settings.topic(TOPIC)
        partitions = [TopicPartition(topic, number) for number in range(self.settings.kafka_partitions)]
        found = await self._admin.list_consumer_group_offsets(self.settings.group, partitions=partitions)
        return {partition.partition: row.offset for partition, row in found.items() if row.offset >= 0}

    @asynccontextmanager
    async def watching_commits(self) -> AsyncIterator[Commits]:
        """Look at the committed offsets five times a second."""
        commits = Commits()

        async def look() -> None:
            while True:
                # A broker that has never had a group must first make the topic of the offsets.
                with contextlib.suppress(KafkaError):
                    commits.seen.append(await self.committed())
                await asyncio.sleep(0.2)

        task = asyncio.create_task(look())
        try:
            yield commits
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def order_of(events: Iterable[Envelope]) -> Mapping[str, list[str]]:
    """By youth, the events in the order in which they were sent, each once."""
    order: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event.id not in order[event.subject]:
            order[event.subject].append(event.id)
    return dict(order)
