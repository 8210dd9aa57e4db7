"""What is measured: services as real processes, on Apache Kafka and a mongod that the whole run shares.

Each measurement has a world of its own: its services' databases and topics begin with a prefix that no other has.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import harmonic_mean
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from pymongo import MongoClient

from deploy.local import Process, free_port
from deploy.local.processes import HOST
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.settings import ServiceSettings

ROOT: Final = Path(__file__).resolve().parents[2]
PARTITIONS: Final = 12

_POLL_S: Final = 0.005
_READY_S: Final = 60.0
_SHARED: Final = {"FOQUALE_LOG_LEVEL": "WARNING", "FOQUALE_HOST": HOST}


@dataclass
class Running:
    """One service's process."""

    url: str
    process: Process
    started_at: float
    ready_after_s: float = 0.0
    """From exec to the first 200 of /ready."""

    @property
    def pid(self) -> int:
        pid = self.process.pid
        assert pid is not None, f"{self.process.name} does not run"
        return pid

    def cpu_s(self) -> float:
        """The processor time that it has used so far, its own and the kernel's for it: proc(5), utime and stime."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def peak_rss_mb(self) -> float:
        """The most memory that the process has held so far, in MB of 10^6 bytes."""
        return peak_rss_mb(self.pid)

    def stop(self) -> None:
        """End it by SIGTERM."""
        self.process.stop()


@dataclass
class Machine:
    """The servers' addresses, a directory for data and logs, and the prefix of this world."""

    kafka_bootstrap: str
    mongo_url: str
    directory: Path
    prefix: str = "bench"
    partitions: int = PARTITIONS
    """Of each topic of this world."""
    _running: list[Process] = field(default_factory=list)
    _topics: set[str] = field(default_factory=set)
    loads: dict[object, Any] = field(default_factory=dict)
    """What is on the log of all worlds; see `load.put`."""

    def fresh(self, name: str, partitions: int = PARTITIONS) -> "Machine":
        """The same servers, another world."""
        return replace(self, prefix=name, partitions=partitions)

    def start(self, service: str, **env: object) -> Running:
        """Start a service as a process of its own, and wait until it is ready. Its topics are made where missing.

        `env` are settings: `batch_records=100` or `FOQUALE_BATCH_RECORDS="100"`.
        """
        running = self.launch(service, **env)
        with httpx.Client(base_url=running.url, timeout=5.0, trust_env=False) as http:
            running.process.wait_until(lambda: _is_ready(http), deadline=_READY_S)
        running.ready_after_s = time.perf_counter() - running.started_at
        return running

    def launch(self, service: str, **env: object) -> Running:
        """The same without waiting."""
        environment = self._environment(env)
        self.topics_ready(environment["FOQUALE_TOPIC_PREFIX"])
        port = free_port()
        process = Process(
            service,
            [sys.executable, "-m", f"services.{service}"],
            log=self.directory / "logs" / f"{environment['FOQUALE_MONGO_PREFIX']}{service}.log",
            directory=ROOT,
            environment=environment | {f"FOQUALE_{service.upper()}_PORT": str(port)},
        )
        running = Running(f"http://{HOST}:{port}", process, time.perf_counter())
        process.start()
        self._running.append(process)
        return running

    def run(self, name: str, *commands: list[str], within_s: float, **env: str) -> None:
        """Run programs of the bench, side by side, to their end. RuntimeError, with its last lines, when one fails or
        takes too long.
        """
        log = self.directory / "logs" / f"{name}.log"
        processes = [Process(name, command, log=log, directory=ROOT, environment=dict(env)) for command in commands]
        for process in processes:
            process.start()
            self._running.append(process)
        until = time.monotonic() + within_s
        while any(process.running for process in processes) and time.monotonic() < until:
            time.sleep(0.02)
        codes = [process.returncode for process in processes]
        for process in processes:
            process.kill()
        for process, code in zip(processes, codes, strict=True):
            if code != 0:
                how = f"did not end within {within_s:.0f} s" if code is None else f"ended with {code}"
                raise RuntimeError(f"{name} {how}. {process.log_tail()}")

    def topics_ready(self, prefix: str | None = None) -> None:
        """Make the topics of this world (or of another prefix), where they are missing."""
        chosen = f"{self.prefix}." if prefix is None else prefix
        if chosen not in self._topics:
            settings = ServiceSettings(service="bench", port=1, kafka_bootstrap=self.kafka_bootstrap)
            settings = settings.model_copy(update={"topic_prefix": chosen, "kafka_partitions": self.partitions})
            asyncio.run(ensure_topics(settings, [settings.topic(topic) for topic in TOPICS]))
            self._topics.add(chosen)

    def forget_group(self, service: str) -> None:
        """Put the group of a service that does not run back to the beginning of the log."""

        async def work() -> None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.kafka_bootstrap,
                group_id=f"{self.prefix}.foquale.{service}",
                enable_auto_commit=False,
            )
            await consumer.start()
            try:
                names = [f"{self.prefix}.{topic}" for topic in TOPICS]
                partitions = [TopicPartition(name, number) for name in names for number in range(self.partitions)]
                consumer.assign(partitions)
                await consumer.commit(dict.fromkeys(partitions, 0))
            finally:
                await consumer.stop()

        asyncio.run(work())

    def wait_until_dealt(self, service: str, until: float) -> None:
        """Wait until the partitions of this world are dealt to a service, or `until` (time.monotonic) has come."""
        group = f"{self.prefix}.foquale.{service}"

        async def work() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka_bootstrap)
            await admin.start()
            try:
                state = ""
                while state != "Stable" and time.monotonic() < until:
                    with suppress(GroupCoordinatorNotAvailableError):  # nobody has asked this broker for a group yet
                        (answer,) = await admin.describe_consumer_groups([group])
                        _error, _group, state, *_rest = answer.groups[0]
                    await asyncio.sleep(_POLL_S)
            finally:
                await admin.close()

        asyncio.run(work())

    def drop_stores(self) -> None:
        """Drop the databases of this world."""
        with MongoClient[dict[str, Any]](self.mongo_url) as client:
            for name in client.list_database_names():
                if name.startswith(f"{self.prefix}_"):
                    client.drop_database(name)

    def stop_all(self) -> None:
        """End whatever still runs, of all worlds."""
        while self._running:
            self._running.pop().stop(grace=5.0)

    def _environment(self, env: Mapping[str, object]) -> dict[str, str]:
        given = {name if name.startswith("FOQUALE_") else f"FOQUALE_{name.upper()}": str(v) for name, v in env.items()}
        return {
            **_SHARED,
            "FOQUALE_MONGO_URL": self.mongo_url,
            "FOQUALE_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "FOQUALE_MONGO_PREFIX": f"{self.prefix}_",
            "FOQUALE_TOPIC_PREFIX": f"{self.prefix}.",
            "FOQUALE_KAFKA_PARTITIONS": str(self.partitions),
            **given,
        }


def _is_ready(http: httpx.Client) -> bool:
    time.sleep(_POLL_S)
    try:
        return http.get("/ready").status_code == 200
    except httpx.HTTPError:
        return False


def peak_rss_mb(pid: int) -> float:
    """The peak of a running process' resident memory (VmHWM), in MB of 10^6 bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"the kernel tells no peak of process {pid}"
    return int(found[1]) * 1024 / 1e6


def in_turn(
    one: Callable[[], float], other: Callable[[], float], rounds: int
) -> tuple[list[float], list[float], float]:
    """The rates of one and of the other, and what the one's is to the other's by the time that both took in all.

    Machines change their speed within a run: they are measured right after one another, the one first and last. A mean
    of rates, or of ratios, would say too much, as what is slow weighs little in it.
    """
    ones, others = [one()], []
    for _ in range(rounds):
        others.append(other())
        ones.append(one())
    return ones, others, harmonic_mean(ones) / harmonic_mean(others)


def median(values: Iterable[float]) -> float:
    """The middle value; of an even number, the lower of the middle two."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]
