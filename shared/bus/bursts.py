"""Works off what a subscription has to read, some batches at once, and loses none of it.

A consumer that has handed out records goes on behind them whether or not they were applied. So all that was handed out
is in hand, from the moment it was, until it is durable; and when anything fails, all that is in hand is read again.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol, TypeAlias, cast

import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError

from shared.crash_points import Point, Reach
from shared.ending import asked_to_end
from shared.envelope import Record
from shared.observability import describe

log = structlog.get_logger(__name__)

OnBatch = Callable[[Sequence[Record]], Coroutine[Any, Any, None]]
Raw: TypeAlias = "ConsumerRecord[bytes, bytes]"

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


@dataclass
class Progress:
    """How far a subscription has come, for health and metrics."""

    topics: tuple[str, ...]
    group: str
    failures: int = 0
    in_hand_since: float | None = None
    ending: bool = False


class Deals(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Which deal of partitions a consumer holds. With each new one it reads on from the group's offsets."""

    def __init__(self) -> None:
        self._count = 0
        self.held: int | None = None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  all are dealt anew
        self.held = None

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002  likewise
        self._count += 1
        self.held = self._count

    def still(self, deal: int | None) -> bool:
        """Whether what was read in `deal` may still be committed or read again by this consumer."""
        return deal is not None and deal == self.held


class Reader(Protocol):
    """What a burst asks of a consumer. `deal` is the one in which it read what it handed out last."""

    deal: int | None

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> Mapping[TopicPartition, Sequence[Raw]]: ...

    async def commit(self, ends: Mapping[TopicPartition, int]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records in hand: how many, each partition's first offset and the one after its last, the deal they were read in,
    and the task that makes them durable. The records themselves are the task's alone, to let go of as soon as it can.
    """

    records: int
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    deal: int | None
    task: "asyncio.Task[None]"

    def is_durable(self) -> bool:
        """Whether the task has come to its end, and well."""
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


@dataclass
class Burst:
    """Works off what one subscription has to read: up to `ahead` batches at once, committed in order.

    What `on_batch` fails at comes again, with all that was read behind it.
    """

    progress: Progress
    deals: Deals
    on_batch: OnBatch
    records: int
    ahead: int
    reach: Reach

    async def run(self, consumer: Reader, raw: Sequence[Raw]) -> None:
        """Work off these records, which the consumer handed out last, and what can be read meanwhile."""
        in_hand: deque[_Batch] = deque()
        try:
            self._begin(in_hand, [list(run) for _, run in groupby(raw, attrgetter("topic", "partition"))], consumer)
            while in_hand:
                await asyncio.sleep(0)  # what was begun is read now, and others have their turn
                if len(in_hand) < self.ahead and await self._more(consumer, in_hand) and not in_hand[0].task.done():
                    continue
                await self._settle(consumer, in_hand)
                if not in_hand and self.ahead > 1:
                    await self._more(consumer, in_hand)
        except (Exception, asyncio.CancelledError) as error:
            # Whatever it is, what is in hand must come again.
            if isinstance(error, asyncio.CancelledError) and asked_to_end():
                raise
            await self._failed(consumer, in_hand, error)
        finally:
            self.progress.in_hand_since = None
            await _abandon(in_hand)

    def _begin(self, in_hand: deque[_Batch], runs: Sequence[Sequence[Raw]], consumer: Reader) -> None:
        self.progress.in_hand_since = self.progress.in_hand_since or time.monotonic()
        begins = {TopicPartition(run[0].topic, run[0].partition): run[0].offset for run in reversed(runs)}
        ends = {TopicPartition(run[-1].topic, run[-1].partition): run[-1].offset + 1 for run in runs}
        # A record as aiokafka has it is a record as we have it: no copy.
        task = asyncio.ensure_future(self.on_batch(cast("Sequence[Record]", list(chain.from_iterable(runs)))))
        in_hand.append(_Batch(sum(map(len, runs)), begins, ends, consumer.deal, task))

    async def _more(self, consumer: Reader, in_hand: deque[_Batch]) -> bool:
        """Begin what can be read without waiting; False when there is nothing."""
        if self.progress.ending:
            return False
        try:
            found = await consumer.getmany(timeout_ms=0, max_records=self.records)
        except (KafkaError, ConsumerStoppedError):
            return False  # who waits for more meets it again
        if found:
            self._begin(in_hand, list(found.values()), consumer)
        return bool(found)

    async def _settle(self, consumer: Reader, in_hand: deque[_Batch]) -> None:
        """Wait for the oldest batch, and commit it with those after it that are done as well. Raises what it raised."""
        await in_hand[0].task
        done = [in_hand.popleft()]
        while in_hand and in_hand[0].is_durable():
            done.append(in_hand.popleft())
        self.progress.failures = 0
        self.progress.in_hand_since = time.monotonic() if in_hand else None
        ends: dict[TopicPartition, int] = {}
        for batch in done:
            if self.deals.still(batch.deal):
                ends |= batch.ends
            else:
                # Another replica may have come further meanwhile: this commit, once valid again, would move it back.
                log.info("commit_left_out", topics=self.progress.topics, records=batch.records)
        if not ends:
            return
        try:
            await consumer.commit(ends)
        except KafkaError as error:
            # The partitions went to another replica meanwhile: it sees these records again, without effect.
            log.info("commit_refused", topics=self.progress.topics, error=describe(error))
        self.reach(Point.BATCH_COMMITTED)

    async def _failed(self, consumer: Reader, in_hand: deque[_Batch], error: BaseException) -> None:
        """Let go of all that is in hand, pause, and go back to the first record of each partition."""
        batches = list(in_hand)
        await _abandon(in_hand)
        self.progress.failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self.progress.failures, 10))
        log.warning(
            "batch_failed",
            topics=self.progress.topics,
            records=sum(batch.records for batch in batches),
            error=describe(error),
            pause_s=pause,
        )
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 jitter
        begins: dict[TopicPartition, int] = {}
        for batch in reversed(batches):
            # What was read in no deal may be of this one, before it was told of: to read it twice changes nothing.
            if batch.deal is None or self.deals.still(batch.deal):
                begins |= batch.begins
        for partition, offset in begins.items():
            with contextlib.suppress(IllegalStateError):  # it went to another replica just now
                consumer.seek(partition, offset)


async def _abandon(in_hand: deque[_Batch]) -> None:
    """End the tasks of these batches, and forget them."""
    for batch in in_hand:
        batch.task.cancel()
    await asyncio.gather(*(batch.task for batch in in_hand), return_exceptions=True)
    in_hand.clear()
