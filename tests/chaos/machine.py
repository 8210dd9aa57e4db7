"""The processes of a run: Apache Kafka and mongod with data on disk, and each service as several real processes.

All of them end with this process. Nothing here waits for a server to be up again after a fault: the run goes on.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.local import ApacheKafka, LocalBackendError, LocalServer, Mongod, Process, free_port
from deploy.local.processes import HOST
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.settings import ServiceSettings
from tests.chaos.faults import SERVICES, SESSION_S

PREFIX: Final = "chaos_"
HOLD_S: Final = 25
_HOLDS: Final = {"FOQUALE_HOLD_DAYS": f"{HOLD_S / 86_400:.9f}", "FOQUALE_EXPIRY_GRACE_S": "10"}
"""An offer holds its seat for seconds: many expire, and some are accepted in time but heard of too late."""

_LOOK_S: Final = 0.1
_GRACE_S: Final = 20.0


class Broker(ApacheKafka):
    """Apache Kafka that, started again, is not waited for."""

    _known = False

    def _format(self, java: list[str], properties: Path) -> None:
        if not self._known:
            super()._format(java, properties)

    def _wait_until_ready(self, process: Process) -> None:
        if not self._known:
            super()._wait_until_ready(process)
            self._known = True


class Store(Mongod):
    """mongod that, started again, is not waited for."""

    _known = False

    def _wait_until_ready(self, process: Process) -> None:
        if not self._known:
            super()._wait_until_ready(process)
            self._known = True


@dataclass
class Replica:
    """One process of a service. `wanted`: it should run; `crash_at`: where it will end itself, if it gets there."""

    service: str
    number: int
    url: str
    process: Process
    wanted: bool = True
    crash_at: str = ""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number}"


class Machine:
    """Everything that a fault can hit. `tell` gets a line for what happens by itself."""

    def __init__(self, directory: Path, *, replicas: int, tell: Callable[[str], None]) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.store = Store(directory / "mongod", port=free_port(), log=self.logs / "mongod.log", cache_gb=0.5)
        self.broker = Broker(directory / "kafka", port=free_port(), log=self.logs / "kafka.log")
        self.server_busy = {"store": asyncio.Lock(), "broker": asyncio.Lock()}
        self.replicas: list[Replica] = []
        self.fired: list[str] = []
        self.ended_by_itself: list[str] = []
        self._number = replicas
        self._tell = tell

    @property
    def urls(self) -> dict[str, list[str]]:
        """Base URLs of each service's replicas."""
        return {name: [r.url for r in self.replicas if r.service == name] for name in SERVICES}

    def settings(self) -> ServiceSettings:
        """The settings that all services share."""
        return ServiceSettings(service="chaos", port=1, **self._shared())

    async def start(self) -> None:
        """Start all of it; returns when the servers answer and the services' processes are on their way."""
        self.store.start()
        self.broker.start()
        settings = self.settings()
        await ensure_topics(settings, [settings.topic(topic) for topic in TOPICS])
        for service in SERVICES:
            for number in range(self._number):
                port = free_port()
                replica = Replica(service, number, f"http://{HOST}:{port}", self._process(service, number, port, ""))
                self.replicas.append(replica)
                replica.process.start()

    def stop(self) -> None:
        """End everything, for good."""
        for replica in self.replicas:
            replica.wanted = False
            replica.process.signal_group(signal.SIGCONT)
            replica.process.signal_group(signal.SIGTERM)
        until = time.monotonic() + 8.0
        for replica in self.replicas:
            replica.process.stop(grace=max(0.1, until - time.monotonic()))
        for server in (self.broker, self.store):
            if server._process is not None:
                server.resume()
                server.stop()

    async def watch(self) -> None:
        """Start what ended itself at its crash point; note what ended for another reason, and start it too."""
        while True:
            for replica in self.replicas:
                if replica.wanted and not replica.process.running and not replica.busy.locked():
                    if replica.crash_at and replica.process.returncode == -signal.SIGKILL:
                        self.fired.append(f"{replica.name} {replica.crash_at}")
                        self._tell(f"{replica.name} ended itself at {replica.crash_at}")
                    else:
                        what = f"{replica.name} ended by itself with exit code {replica.process.returncode}"
                        self.ended_by_itself.append(what)
                        self._tell(what)
                    self.begin(replica)
            await asyncio.sleep(_LOOK_S)

    def begin(self, replica: Replica, crash_at: str = "") -> None:
        """Start a replica that does not run."""
        port = int(replica.url.rsplit(":", 1)[1])
        replica.process = self._process(replica.service, replica.number, port, crash_at)
        replica.crash_at = crash_at
        replica.wanted = True
        replica.process.start()

    def kill(self, replica: Replica) -> None:
        """SIGKILL."""
        replica.wanted = False
        replica.process.kill()

    async def terminate(self, replica: Replica) -> None:
        """SIGTERM, and wait until it has ended; by force when it does not."""
        replica.wanted = False
        replica.process.signal_group(signal.SIGTERM)
        for _ in range(int((_GRACE_S + 10.0) / _LOOK_S)):
            if not replica.process.running:
                break
            await asyncio.sleep(_LOOK_S)
        if replica.process.running:
            self._tell(f"{replica.name} did not end by SIGTERM in {_GRACE_S + 10:.0f} s and was killed")
        replica.process.kill()

    async def start_again(self, server: LocalServer) -> None:
        """Start a killed server; its port may be held for a moment."""
        until = time.monotonic() + 20.0
        while True:
            try:
                server.start()
                return
            except LocalBackendError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.3)

    def _process(self, service: str, number: int, port: int, crash_at: str) -> Process:
        environment = {f"FOQUALE_{name.upper()}": str(value) for name, value in self._shared().items()}
        environment |= {f"FOQUALE_{service.upper()}_PORT": str(port), "FOQUALE_CRASH_AT": crash_at, **_HOLDS}
        return Process(
            f"{service}-{number}",
            [sys.executable, "-m", f"services.{service}"],
            log=self.logs / f"{service}-{number}.log",
            environment=environment,
        )

    def _shared(self) -> dict[str, Any]:
        return {
            "host": HOST,
            "mongo_url": self.store.url,
            "mongo_prefix": PREFIX,
            "kafka_bootstrap": self.broker.bootstrap,
            "kafka_session_ms": int(SESSION_S * 1000),
            "kafka_partitions": 6,
            "graceful_timeout_s": _GRACE_S,
            "log_level": "INFO",
        }
