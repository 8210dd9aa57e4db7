"""A burst loses nothing of what a consumer hands out, whatever fails, and commits nothing that is not durable."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from shared.bus import bursts
from shared.bus.bursts import Burst, Deals, Progress, Raw
from shared.crash_points import pass_by
from shared.envelope import Record

ONE, TWO = TopicPartition("topic", 0), TopicPartition("topic", 1)
Handed = Mapping[TopicPartition, Sequence[Raw]]


def records(first: int, after: int, of: TopicPartition = ONE) -> list[Raw]:
    return [
        ConsumerRecord(of.topic, of.partition, offset, 0, 0, None, b"", None, 0, 0, ())
        for offset in range(first, after)
    ]


def deal_anew(deals: Deals) -> None:
    deals.on_partitions_revoked({ONE, TWO})
    deals.on_partitions_assigned({ONE, TWO})


class Scripted:
    """A consumer as a burst sees one: hands out what it was given, with each reading noting the deal of then."""

    def __init__(self, deals: Deals, *readings: Handed) -> None:
        self.deals = deals
        self.readings = list(readings)
        self.committed: list[int] = []
        self.sought: dict[TopicPartition, int] = {}
        self.dealt_anew_at: int | None = None
        self.deal: int | None = deals.held

    async def getmany(self, *, timeout_ms: int = 0, max_records: int | None = None) -> Handed:  # noqa: ARG002  as a consumer has it
        found = self.readings.pop(0) if self.readings else {}
        self.deal = self.deals.held
        return found

    async def commit(self, ends: Mapping[TopicPartition, int]) -> None:
        if ends[ONE] == self.dealt_anew_at:
            deal_anew(self.deals)
        self.committed.append(ends[ONE])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset


async def work_off(deals: Deals, consumer: Scripted, *, ahead: int) -> list[int]:
    """The burst of what the consumer handed out first; the offsets that were applied."""
    applied: list[int] = []

    async def apply(batch: Sequence[Record]) -> None:
        applied.extend(record.offset for record in batch)

    burst = Burst(Progress(("topic",), "group"), deals, apply, records=10, ahead=ahead, reach=pass_by)
    first = await consumer.getmany()
    await burst.run(consumer, first[ONE])
    return applied


async def test_all_that_was_read_in_one_deal_is_committed_in_order() -> None:
    deals = Deals()
    deal_anew(deals)
    consumer = Scripted(deals, {ONE: records(0, 3)}, {ONE: records(3, 5)}, {ONE: records(5, 9)})
    assert await work_off(deals, consumer, ahead=2) == list(range(9))
    assert consumer.committed[-1] == 9
    assert consumer.committed == sorted(consumer.committed)


async def test_what_was_read_before_a_new_deal_is_applied_and_not_committed() -> None:
    deals = Deals()
    deal_anew(deals)
    consumer = Scripted(deals, {ONE: records(0, 3)}, {ONE: records(3, 5)})
    consumer.dealt_anew_at = 3  # while the first is being committed, the second is in hand
    assert await work_off(deals, consumer, ahead=2) == list(range(5))
    assert consumer.committed == [3]


async def test_what_was_read_before_a_new_deal_is_not_committed_even_when_it_is_the_first_of_a_burst() -> None:
    deals = Deals()
    deal_anew(deals)
    consumer = Scripted(deals, {ONE: records(0, 3)})
    first = await consumer.getmany()
    deal_anew(deals)
    burst = Burst(Progress(("topic",), "group"), deals, _nothing, records=10, ahead=2, reach=pass_by)
    await burst.run(consumer, first[ONE])
    assert consumer.committed == []


async def test_what_was_read_of_another_partition_while_a_batch_failed_comes_again_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bursts, "_FIRST_PAUSE_S", 0.0)
    deals = Deals()
    deal_anew(deals)
    consumer = Scripted(deals, {ONE: records(7, 9)}, {TWO: records(3, 5, TWO)})

    async def refuse(_batch: Sequence[Record]) -> None:
        raise ConnectionError("the store is away")

    burst = Burst(Progress(("topic",), "group"), deals, refuse, records=10, ahead=3, reach=pass_by)
    first = await consumer.getmany()
    await burst.run(consumer, first[ONE])
    assert consumer.readings == []
    assert consumer.sought == {ONE: 7, TWO: 3}
    assert consumer.committed == []


async def _nothing(_batch: Sequence[Record]) -> None:
    pass


@dataclass
class Simulated:
    """A member of a group over a log that grows: it reads on from where it is, or from the group's offsets anew.

    Now and then reading or committing fails and partitions are dealt anew, as chance has it. Committing what is not
    durable fails the test.
    """

    chance: random.Random
    deals: Deals
    ends: dict[TopicPartition, int]
    durable: dict[TopicPartition, set[int]] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    deal: int | None = None
    troubled: bool = True

    def __post_init__(self) -> None:
        self.committed = dict.fromkeys(self.ends, 0)
        self.durable = {partition: set() for partition in self.ends}
        self.positions = dict(self.committed)
        self.deal_anew()

    def deal_anew(self) -> None:
        self.deals.on_partitions_revoked({*self.ends})
        self.positions = dict(self.committed)
        self.deals.on_partitions_assigned({*self.ends})

    async def _time_goes_by(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.troubled and self.chance.random() < 0.03:
            self.deal_anew()

    async def getmany(self, *, timeout_ms: int = 0, max_records: int | None = None) -> Handed:  # noqa: ARG002  as a consumer has it
        await self._time_goes_by()
        if self.troubled and self.chance.random() < 0.02:
            raise KafkaConnectionError("away")
        left = max_records or 5
        found: dict[TopicPartition, list[Raw]] = {}
        for partition in self.chance.sample(sorted(self.ends), k=self.chance.randint(1, len(self.ends))):
            begin = self.positions[partition]
            count = min(left, self.ends[partition] - begin, self.chance.randint(0, 5))
            if count > 0:
                found[partition] = records(begin, begin + count, partition)
                self.positions[partition] += count
                left -= count
        self.deal = self.deals.held
        return found

    async def commit(self, ends: Mapping[TopicPartition, int]) -> None:
        for partition, end in ends.items():
            assert self.durable[partition] >= {*range(end)}, f"{partition} was committed up to {end}"
        held = self.deals.held
        await self._time_goes_by()
        if held != self.deals.held or (self.troubled and self.chance.random() < 0.05):
            raise KafkaConnectionError("refused")
        self.committed |= ends

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if self.troubled and self.chance.random() < 0.01:
            self.deal_anew()
            raise IllegalStateError("it went to another replica")
        self.positions[partition] = offset

    async def apply(self, batch: Sequence[Record]) -> None:
        if self.troubled and self.chance.random() < 0.05:
            raise ConnectionError("the store is away")
        await self._time_goes_by()
        if self.troubled and self.chance.random() < 0.1:
            raise ConnectionError("the store went away")
        for record in batch:
            self.durable[TopicPartition(record.topic, record.partition)].add(record.offset)


@pytest.mark.parametrize("ahead", [1, 2, 3, 8])
async def test_whatever_fails_every_record_is_applied_and_only_what_is_durable_committed(
    ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bursts, "_FIRST_PAUSE_S", 0.0)
    for seed in range(100):
        chance = random.Random(seed)
        deals = Deals()
        log = Simulated(chance, deals, {TopicPartition("topic", number): chance.randint(0, 150) for number in range(4)})
        burst = Burst(Progress(("topic",), "group"), deals, log.apply, records=8, ahead=ahead, reach=pass_by)
        for turn in range(1_000):
            log.troubled = turn < 100
            try:
                found = await log.getmany()
            except KafkaConnectionError:
                continue
            if found:
                await burst.run(log, list(chain.from_iterable(found.values())))
            elif not log.troubled and log.positions == log.ends:
                break
        assert {partition: len(offsets) for partition, offsets in log.durable.items()} == log.ends, f"seed {seed}"
        assert log.positions == log.ends, f"seed {seed}"
