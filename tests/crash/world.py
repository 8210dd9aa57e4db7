"""One service in a world of its own: a process that can be made to die at a point, its store, its topics.

Nothing here holds on to an event loop, so that a world outlives the test that made it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from deploy.docs.pages import ROOT
from deploy.local import free_port
from deploy.local.processes import Process, answers
from shared.bus import Log, ensure_topics
from shared.envelope import Envelope, from_record, to_headers
from shared.events import TOPICS
from shared.journal import waiting
from shared.mongo import Mongo
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.probe import eventually

READS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "referral": {"": ("catalogue.events", "tracking.events"), ".siei": ("siei.dropouts",)},
    "catalogue": {"": ("referral.events", "tracking.events")},
    "tracking": {"": ("referral.events", "catalogue.events")},
    "reporting": {"": ("referral.events", "catalogue.events", "tracking.events")},
}
"""Service -> what its groups end with -> the topics that each reads."""

BROKEN = b'{"this is cut off'
_PATIENCE_S = 45.0


@dataclass
class Answer:
    """What a client was told."""

    status: int
    body: Any


@dataclass
class World:
    """A service that is alone in its topics: whatever it hears, a test has said.

    `name` tells it from all other worlds; `changes` are settings of all its lives.
    """

    service: str
    mongo_url: str
    kafka: Kafka
    directory: Path
    changes: Mapping[str, object] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"c{uuid4().hex[:12]}")
    port: int = 0
    process: Process | None = None

    @property
    def settings(self) -> ServiceSettings:
        return ServiceSettings(
            service=self.service,
            port=0,
            mongo_url=self.mongo_url,
            mongo_prefix=f"test_{self.name}_",
            kafka_bootstrap=self.kafka.bootstrap,
            kafka_idempotence=self.kafka.supports_idempotence,
            kafka_partitions=1,
            kafka_session_ms=1_500,
            topic_prefix=f"{self.name}.",
            # A relay that died is followed by the next in a second; what a handler failed at waits for a person.
            relay_lease_s=1,
            retry_most=0,
            graceful_timeout_s=5,
        )

    async def begin(self) -> None:
        """Make the topics."""
        await ensure_topics(self.settings, [self.settings.topic(topic) for topic in TOPICS])

    async def live(self, crash_at: str = "", **changes: object) -> None:
        """Start the service, and wait until it answers; with `crash_at` it ends itself there."""
        self.start(crash_at, **changes)
        await self.until_it_answers()

    def start(self, crash_at: str = "", **changes: object) -> None:
        self.port = free_port()
        values = {
            "seed": False,
            "require_coverage": False,
            "fold_every_s": 0.2,
            "settle_every_s": 0.2,
            **self.changes,
            **changes,
        }
        values |= {**self.settings.model_dump(exclude={"service", "port"}), "crash_at": crash_at}
        environment = {f"FOQUALE_{name.upper()}": str(value) for name, value in values.items()}
        self.process = Process(
            f"{self.service} ({crash_at or 'no crash'})",
            [sys.executable, "-m", f"services.{self.service}"],
            log=self.directory / f"{self.name}-{self.service}.log",
            directory=ROOT,
            environment={**environment, f"FOQUALE_{self.service.upper()}_PORT": str(self.port)},
        )
        self.process.start()

    async def until_it_answers(self) -> None:
        process = self.running

        async def up() -> bool:
            assert process.running, f"{process.name} ended with {process.returncode}. {process.log_tail()}"
            return await asyncio.to_thread(answers, self.port)

        await eventually(up, within_s=_PATIENCE_S, what=f"the start of {process.name}")

    @property
    def running(self) -> Process:
        assert self.process is not None, f"{self.service} was never started"
        return self.process

    async def death(self) -> int:
        """Wait until the process has died; its return code."""
        process = self.running

        async def dead() -> bool:
            return not process.running

        await eventually(dead, within_s=_PATIENCE_S, what=f"the death of {process.name}")
        code = process.returncode
        assert code is not None
        return code

    async def stop(self) -> None:
        """End the service as an operator does (SIGTERM); it must end well."""
        process = self.running
        assert process.running, f"{process.name} ended with {process.returncode}. {process.log_tail()}"
        await asyncio.to_thread(process.stop)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.kill()
        client: MongoClient[dict[str, object]]
        with MongoClient(self.mongo_url) as client:
            client.drop_database(self.settings.database)

    # What clients and other services do

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as client:
            yield client

    async def post(self, path: str, *, key: str | None = None, **request: Any) -> Answer | None:
        """A command; None when it stays unanswered."""
        headers = {**request.pop("headers", {}), **({"Idempotency-Key": key} if key else {})}
        async with self.client() as client:
            try:
                answer = await client.post(path, headers=headers, **request)
            except httpx.TransportError:
                return None
        return Answer(answer.status_code, answer.json())

    async def produce(self, topic: str, *records: Envelope | bytes) -> None:
        """Put the records into the topic as one piece, so that they come as one batch."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        await producer.start()
        try:
            batch = producer.create_batch()
            for record in records:
                if isinstance(record, bytes):
                    key, value, headers = b"broken", record, []
                else:
                    key, value = record.subject.encode(), record.data
                    headers = [(name, text.encode()) for name, text in to_headers(record).items()]
                assert batch.append(key=key, value=value, timestamp=None, headers=headers)
            await (await producer.send_batch(batch, self.settings.topic(topic), partition=0))
        finally:
            await producer.stop()

    # What there is to be seen

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Mongo]:
        """The service's own store."""
        mongo = Mongo(self.mongo_url, self.settings.database)
        try:
            yield mongo
        finally:
            await mongo.close()

    async def published(self) -> list[Envelope]:
        """All that lies in the topic that the service publishes to, in order."""
        topic = self.settings.topic(f"{self.service}.events")
        log = Log(self.settings)
        found: list[Envelope] = []
        try:
            ends = await log.end_offsets([topic])
            async with log.read([topic]) as reader:
                while (await reader.positions()).items() != ends.items():
                    found += [from_record(record) for record in await reader.read(500, 0.2)]
        finally:
            await log.close()
        return found

    async def lag(self) -> int:
        """How many records of its topics the service's groups have not committed."""
        log = Log(self.settings)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        await admin.start()
        lag = 0
        try:
            for suffix, topics in READS[self.service].items():
                ends = await log.end_offsets([self.settings.topic(topic) for topic in topics])
                asked = [TopicPartition(*partition) for partition in ends]
                group = f"{self.settings.group}{suffix}"
                committed = await admin.list_consumer_group_offsets(group, partitions=asked)
                lag += sum(
                    end - max(0, committed[TopicPartition(*partition)].offset) for partition, end in ends.items()
                )
        finally:
            await admin.close()
            await log.close()
        return lag

    async def pending(self) -> int:
        async with self.store() as mongo:
            return len(await waiting(mongo))

    async def quiet(self) -> None:
        """Wait until everything is heard and everything is told."""

        async def at_rest() -> bool:
            return await self.pending() == 0 and await self.lag() == 0

        await eventually(at_rest, within_s=_PATIENCE_S, what=f"{self.service}'s coming to rest")

    async def contents(self, *, without: Sequence[str] = ("leases", "signals", "slots")) -> dict[str, list[Any]]:
        """All documents of the store by collection, but those that say who is at work and how often."""
        async with self.store() as mongo:
            names = sorted(set(await mongo.db.list_collection_names()) - set(without))
            return {name: await mongo[name].find().sort("_id", 1).to_list(None) for name in names}
