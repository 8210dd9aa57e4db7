"""One service's connection to the broker: its subscriptions, and its producer."""

import asyncio
import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.bus.bursts import Burst, Deals, OnBatch, Progress, Raw
from shared.bus.in_step import InStepConsumer
from shared.bus.log import Log
from shared.bus.places import go_back, places
from shared.crash_points import Reach, pass_by
from shared.envelope import Envelope, to_headers
from shared.observability import describe
from shared.settings import ServiceSettings
from shared.watch import Look

log = structlog.get_logger(__name__)

BusError = KafkaError

_NAMED: Final = re.compile(r"topic='([^']+)', partition=(\d+)")
_ASIDE_S: Final = 10.0


class _Consumer(InStepConsumer):
    """Joins its group once it has started: aiokafka's own waits for that, which a dead member can hold up a session.

    `deal` is the one in which it read what it handed out last. Until that is begun there may be another.
    """

    deal: int | None = None

    def subscribe(self, *, listener: Deals, **subscription: Any) -> None:
        self._aside: dict[TopicPartition, float] = {}
        self._deals = listener
        self._join = partial(super().subscribe, listener=listener, **subscription)

    async def start(self) -> None:
        await super().start()
        self._join()

    async def getmany(self, *partitions: TopicPartition, **how: Any) -> dict[TopicPartition, list[Raw]]:
        self._take_up_again()
        while True:
            deal, before = self._deals.held, places(self)
            try:
                found = await super().getmany(*partitions, **how)
            except CorruptRecordException as error:
                # A disk has lost a bit. What aiokafka had taken of other partitions is gone with the error.
                log.error("record_damaged", where=str(error))  # noqa: TRY400  the traceback tells no more
                if self._deals.still(deal):
                    go_back(self, before)
                if not self._set_aside(error):
                    raise
            else:
                self.deal = self._deals.held
                return found

    def _set_aside(self, error: CorruptRecordException) -> bool:
        """Leave the damaged partition alone for a while, or it keeps all others from being read; False if unknown."""
        named = _NAMED.search(str(error))  # aiokafka tells in words only
        partition = TopicPartition(named[1], int(named[2])) if named else None
        if partition not in self.assignment() - self.paused():
            return False
        self.pause(partition)
        self._aside[partition] = time.monotonic() + _ASIDE_S
        return True

    def _take_up_again(self) -> None:
        """Read on in partitions that were left alone: what was damaged may have been let go of."""
        for partition in [each for each, until in self._aside.items() if until <= time.monotonic()]:
            del self._aside[partition]
            with contextlib.suppress(IllegalStateError):  # it went to another replica meanwhile
                self.resume(partition)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event and the topic it goes to."""

    topic: str
    envelope: Envelope


class Bus:
    """One service's connection to the broker: its subscriptions and its producer."""

    def __init__(self, settings: ServiceSettings, *, reach: Reach = pass_by) -> None:
        self._settings = settings
        self._reach = reach
        self._broker = KafkaBroker(
            settings.kafka_bootstrap,
            acks="all",
            enable_idempotence=settings.kafka_idempotence,
            linger_ms=2,
            max_batch_size=256 * 1024,
            max_request_size=4 * 1024 * 1024,
            allow_auto_create_topics=False,
            graceful_timeout=settings.graceful_timeout_s,
            apply_types=False,
            logger=None,
            client_id=f"foquale-{settings.service}",
        )
        self.log = Log(settings)
        self.subscriptions: list[Progress] = []

    def subscribe(self, topics: Sequence[str], group: str, on_batch: OnBatch, *, ahead: int = 1) -> None:
        """Hand the topics' records to `on_batch`, in order per partition, until it has returned without an error.

        `on_batch` must have made its effects durable when it returns. When it raises, the batch comes again after a
        pause that grows to five seconds; nothing is committed before. While there is more to read, up to `ahead`
        batches are handed over before the first has returned, so that one is read while another is being written;
        they are committed in their order, and when one fails those after it come again too.
        """
        progress = Progress(tuple(topics), group)
        self.subscriptions.append(progress)
        deals = Deals()
        subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            max_records=self._settings.batch_records,
            batch_timeout_ms=self._settings.batch_timeout_ms,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=self._settings.kafka_session_ms,
            heartbeat_interval_ms=min(3_000, self._settings.kafka_session_ms // 5),
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=768 * 1024,  # of 36 partitions together: less than what `shared.heap` keeps
            listener=deals,
            parser=_raw_parser,
            decoder=_raw_decoder,
        )
        burst = Burst(progress, deals, on_batch, self._settings.batch_records, ahead, self._reach)

        async def consume(message: KafkaMessage) -> None:
            await burst.run(cast("_Consumer", message.consumer), message.raw_message)

        subscriber(consume)

    async def start(self) -> None:
        """Connect, and start to consume; the groups are joined meanwhile. BusError when no broker answers."""
        await self.log.topics()  # or FastStream would leave the producer behind that it could not connect
        try:
            builder = cast("partial[AIOKafkaConsumer]", await self._broker.connect())
            self._broker.config.broker_config.builder = partial(_Consumer, **builder.keywords)
            for subscriber in self._broker.subscribers:
                await subscriber.start()
        except BaseException:
            await self._broker.stop()  # so that a start may be tried again
            raise

    async def stop_consuming(self) -> None:
        """Finish the batches in hand, commit them and leave the groups; publishing still works."""
        for progress in self.subscriptions:
            progress.ending = True
        for subscriber in self._broker.subscribers:
            await subscriber.stop()

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()
        await self.log.close()

    def stopped_loops(self) -> list[str]:
        """Subscriptions whose loop has ended although it should run."""
        return [
            f"the loop that reads {', '.join(progress.topics)} has ended"
            for number, progress in enumerate(self.subscriptions)
            if self._ended(number)
        ]

    def _ended(self, number: int) -> bool:
        # FastStream's base type does not tell of its tasks; one that failed stays beside the one that took over.
        tasks: list[asyncio.Task[Any]] = getattr(self._broker.subscribers[number], "tasks", [])
        return all(task.done() for task in tasks)

    async def look(self, number: int) -> Look:
        """What subscription `number` shows of its progress. BusError or OSError when the broker does not answer."""
        progress = self.subscriptions[number]
        consumer: AIOKafkaConsumer | None = getattr(self._broker.subscribers[number], "consumer", None)
        assigned = consumer.assignment() if consumer else frozenset()
        ends = await self.log.end_offsets(progress.topics)
        begins = await self.log.begin_offsets(progress.topics)
        committed = await self.log.committed(progress.group, progress.topics)
        now = time.monotonic()
        return Look(
            at=now,
            begins=begins,
            ends=ends,
            committed=committed,
            assigned=frozenset((partition.topic, partition.partition) for partition in assigned),
            in_hand_s=0.0 if progress.in_hand_since is None else now - progress.in_hand_since,
            failing=progress.failures > 0,
            ended=self._ended(number),
        )

    async def start_anew(self, number: int) -> None:
        """Stop subscription `number`, by force where it does not end, and start it with a connection of its own."""
        subscriber, progress = self._broker.subscribers[number], self.subscriptions[number]
        progress.ending = True
        await subscriber.stop()
        progress.ending, progress.in_hand_since = False, None
        await subscriber.start()

    def assignment(self) -> dict[str, int]:
        """How many partitions of each topic this process holds."""
        count: dict[str, int] = {}
        for subscriber in self._broker.subscribers:
            consumer: AIOKafkaConsumer | None = getattr(subscriber, "consumer", None)
            for partition in consumer.assignment() if consumer else ():
                count[partition.topic] = count.get(partition.topic, 0) + 1
        return count

    async def publish(self, events: Sequence[Outgoing]) -> list[bool]:
        """Send the events and wait for the broker's word on each: whether it is in the log (all replicas)."""
        futures = [await self._send(event) for event in events]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        return [not isinstance(answer, BaseException) for answer in answers]

    async def _send(self, event: Outgoing) -> "asyncio.Future[Any]":
        try:
            return await self._broker.publish(
                event.envelope.data,
                topic=event.topic,
                key=event.envelope.subject.encode(),
                headers=to_headers(event.envelope),
                no_confirm=True,
                correlation_id=event.envelope.id,
            )
        except KafkaError as error:
            # One that the client refuses by itself (too large, say) must not hold up all others.
            told = describe(error)
            log.error("not_publishable", topic=event.topic, id=event.envelope.id, error=told)  # noqa: TRY400  a traceback may name a youth
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused


async def _raw_parser(message: Any, original: Any) -> Any:
    """A message that holds the raw records; FastStream's parser would raise on a header that is not UTF-8."""
    parser = original.__self__
    return parser.msg_class(
        body=b"",
        headers={},
        batch_headers=[],
        reply_to="",
        content_type=None,
        message_id=f"{message[0].offset}-{message[-1].offset}",
        correlation_id="",
        raw_message=message,
        consumer=parser._consumer,  # noqa: SLF001  what FastStream's own parser passes on
    )


async def _raw_decoder(message: KafkaMessage, _original: Any) -> Any:
    return message
