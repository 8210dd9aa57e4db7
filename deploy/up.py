"""Everything on this machine: mongod, a broker and the four services, as child processes that end together.

Where FOQUALE_MONGO_URL or FOQUALE_KAFKA_BOOTSTRAP point to a server that runs already, that one is used instead.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Self

import httpx
import typer

from deploy.addresses import PORTS
from deploy.cli.failures import Failure
from deploy.local import EmbeddedBroker, LocalServer, Mongod, Process
from deploy.local import broker as embedded
from deploy.local import mongod as database
from deploy.local.processes import HOST, require_free_port
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.settings import ServiceSettings

SERVICES: Final = tuple(PORTS)

_READY_S: Final = 90.0
_POLL_S: Final = 0.1
_GRACE_S: Final = 8.0
_SESSION_MS: Final = "6000"


class Stopped(KeyboardInterrupt):
    """The person, or the system, asked to stop. As a KeyboardInterrupt it gets through asyncio, wherever it rises."""


class Machine:
    """The whole system on 127.0.0.1. `start` returns when every service is ready; `stop` ends the services first."""

    def __init__(
        self, data_dir: Path, environment: Mapping[str, str] | None = None, *, reader: str | None = None
    ) -> None:
        self._reader = reader
        self._env = dict(os.environ if environment is None else environment)
        self._data = data_dir.resolve()
        self.logs = self._data / "logs"
        self._servers: list[LocalServer] = []
        self._services: dict[str, Process] = {}

    @property
    def urls(self) -> dict[str, str]:
        """Base URL of each service."""
        return {service: f"http://{HOST}:{self._port(service, PORTS[service])}" for service in SERVICES}

    def start(self, tell: Callable[[str], None]) -> None:
        """Start what is missing and wait until all of it answers; `tell` gets a line for each address."""
        for service in SERVICES:
            require_free_port(self._port(service, PORTS[service]), service, f"FOQUALE_{service.upper()}_PORT")
        mongo_url, kafka = self._mongo(), self._kafka()
        tell(f"mongod     {mongo_url}")
        tell(f"broker     {kafka}")
        environment = {
            "FOQUALE_MONGO_URL": mongo_url,
            "FOQUALE_KAFKA_BOOTSTRAP": kafka,
            "FOQUALE_HOST": HOST,
        }
        if self._reader is not None:
            environment["FOQUALE_READER"] = self._reader
        if any(isinstance(server, EmbeddedBroker) for server in self._servers):
            # Its log is gone with the last stop: every service puts its journal back in line, and consumers know
            # what they have seen. It refuses idempotent producers.
            environment |= {"FOQUALE_KAFKA_IDEMPOTENCE": "false", "FOQUALE_REPUBLISH": "true"}
            # Its groups take half a session to form; here nobody else waits for a lost member's partitions.
            environment["FOQUALE_KAFKA_SESSION_MS"] = self._env.get("FOQUALE_KAFKA_SESSION_MS") or _SESSION_MS
        for service in SERVICES:
            process = Process(
                service,
                [sys.executable, "-m", f"services.{service}"],
                log=self.logs / f"{service}.log",
                environment=environment,
            )
            self._services[service] = process
            process.start()
        self._make_topics(kafka)
        self._wait_until_ready()
        for service, url in self.urls.items():
            tell(f"{service:<10} {url}/docs")
        tell(f"pages      {self.urls['reporting']}/")
        tell(f"reader     {for_whom(self._reader or self._env.get('FOQUALE_READER'))}")
        tell(f"logs       {self.logs}")

    def check(self) -> None:
        """`Failure` when something that should run has ended."""
        for process in [*self._services.values(), *(server.process for server in self._servers)]:
            if not process.running:
                raise Failure(f"{process.name} has ended (exit code {process.returncode}). {process.log_tail()}")

    def stop(self) -> None:
        """End the services, all at once, then the broker and mongod."""
        for process in self._services.values():
            process.signal_group(signal.SIGTERM)
        until = time.monotonic() + _GRACE_S
        for process in self._services.values():
            process.stop(grace=max(0.1, until - time.monotonic()))
        self._services.clear()
        while self._servers:
            self._servers.pop().stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _mongo(self) -> str:
        if url := self._env.get("FOQUALE_MONGO_URL"):
            return url
        port = self._port("mongo", database.DEFAULT_PORT)
        mongod = Mongod(self._data / "mongod", port=port, log=self.logs / "mongod.log")
        mongod.start()
        self._servers.append(mongod)
        return mongod.url

    def _kafka(self) -> str:
        if bootstrap := self._env.get("FOQUALE_KAFKA_BOOTSTRAP"):
            return bootstrap
        broker = EmbeddedBroker(log=self.logs / "broker.log", port=self._port("kafka", embedded.DEFAULT_PORT))
        broker.start()
        self._servers.append(broker)
        return broker.bootstrap

    def _port(self, name: str, usual: int) -> int:
        variable = f"FOQUALE_{name.upper()}_PORT"
        text = self._env.get(variable) or str(usual)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise Failure(f"{variable}={text}: give a port number from 1 to 65535")
        return int(text)

    def _make_topics(self, kafka: str) -> None:
        settings = ServiceSettings(service="up", port=1, kafka_bootstrap=kafka)
        asyncio.run(ensure_topics(settings, [settings.topic(topic) for topic in TOPICS]))

    def _wait_until_ready(self) -> None:
        waiting = set(SERVICES)
        until = time.monotonic() + _READY_S
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            while waiting:
                self.check()
                waiting -= {service for service in sorted(waiting) if _is_ready(http, self.urls[service])}
                if waiting and time.monotonic() > until:
                    late = sorted(waiting)
                    tails = "\n".join(self._services[service].log_tail() for service in late)
                    raise Failure(f"not ready within {_READY_S:g} s: {', '.join(late)}. {tails}")
                if waiting:
                    time.sleep(_POLL_S)


def _is_ready(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(f"{url}/ready").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block Ctrl-C, SIGTERM and a closed terminal raise `Stopped`, the first of them only."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stay_up(machine: Machine) -> None:
    """Return never; `Failure` when a part ends."""
    while True:
        machine.check()
        time.sleep(_POLL_S * 2)


def for_whom(reader: str | None) -> str:
    """Who sees what reporting shows, in words; `reader` is its setting."""
    if reader == "public":
        return "the public: counts of 1 to 4, and whatever would give them away, are hidden"
    if reader is None or reader == "national":
        return "national staff: nothing is hidden (`foquale up --public` shows what the public sees)"
    return f"the staff of {reader}: small counts of other académies are hidden"


def run(data_dir: Path, *, public: bool = False) -> None:
    """`foquale up`: until Ctrl-C or SIGTERM. `public`: reporting shows what the public sees."""
    with stoppable():
        try:
            with Machine(data_dir, reader="public" if public else None) as machine:
                machine.start(typer.echo)
                typer.echo("ready")
                sys.stdout.flush()
                stay_up(machine)
        except Stopped:
            typer.echo("stopped")
