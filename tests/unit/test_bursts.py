"""What a burst commits when the group deals its partitions anew while it has records in hand."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from aiokafka import ConsumerRecord, TopicPartition

from shared.bus.connection import Progress, _Burst, _Consumer, _Deals
from shared.crash_points import pass_by
from shared.envelope import Record

PARTITION = TopicPartition("topic", 0)


def records(first: int, after: int) -> list["ConsumerRecord[bytes, bytes]"]:
    return [ConsumerRecord("topic", 0, offset, 0, 0, None, b"", None, 0, 0, ()) for offset in range(first, after)]


class Scripted:
    """A consumer as a burst sees one: hands out what it was given, with each reading noting the deal of then."""

    def __init__(self, deals: _Deals, *readings: Sequence["ConsumerRecord[bytes, bytes]"]) -> None:
        self.deals = deals
        self.readings = list(readings)
        self.committed: list[int] = []
        self.dealt_anew_at: int | None = None
        self.deal: int | None = deals.held

    async def getmany(self, **_how: Any) -> dict[TopicPartition, Sequence["ConsumerRecord[bytes, bytes]"]]:
        found = {PARTITION: self.readings.pop(0)} if self.readings else {}
        self.deal = self.deals.held
        return found

    async def commit(self, ends: Mapping[TopicPartition, int]) -> None:
        if ends[PARTITION] == self.dealt_anew_at:
            deal_anew(self.deals)
        self.committed.append(ends[PARTITION])


def deal_anew(deals: _Deals) -> None:
    deals.on_partitions_revoked({PARTITION})
    deals.on_partitions_assigned({PARTITION})


async def work_off(deals: _Deals, consumer: Scripted, *, ahead: int) -> list[int]:
    """The burst of what the consumer handed out first; the offsets that were applied."""
    applied: list[int] = []

    async def apply(batch: Sequence[Record]) -> None:
        applied.extend(record.offset for record in batch)

    burst = _Burst(Progress(("topic",), "group"), deals, apply, records=10, ahead=ahead, reach=pass_by)
    first = await consumer.getmany()
    await burst.run(cast("_Consumer", consumer), first[PARTITION])
    return applied


async def test_all_that_was_read_in_one_deal_is_committed_in_order() -> None:
    deals = _Deals()
    deal_anew(deals)
    consumer = Scripted(deals, records(0, 3), records(3, 5), records(5, 9))
    assert await work_off(deals, consumer, ahead=2) == list(range(9))
    assert consumer.committed[-1] == 9
    assert consumer.committed == sorted(consumer.committed)


async def test_what_was_read_before_a_new_deal_and_begun_after_it_is_applied_and_not_committed() -> None:
    deals = _Deals()
    deal_anew(deals)
    consumer = Scripted(deals, records(0, 3), records(3, 5))
    consumer.dealt_anew_at = 3  # while the first is being committed, the second is read and not begun
    assert await work_off(deals, consumer, ahead=2) == list(range(5))
    assert consumer.committed == [3]


async def test_what_was_read_before_a_new_deal_is_not_committed_even_when_it_is_the_first_of_a_burst() -> None:
    deals = _Deals()
    deal_anew(deals)
    consumer = Scripted(deals, records(0, 3))
    first = await consumer.getmany()
    deal_anew(deals)
    burst = _Burst(Progress(("topic",), "group"), deals, _nothing, records=10, ahead=2, reach=pass_by)
    await burst.run(cast("_Consumer", consumer), first[PARTITION])
    assert consumer.committed == []


async def _nothing(_batch: Sequence[Record]) -> None:
    pass
