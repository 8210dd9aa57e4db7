"""One service process: its store, its bus, its relay and its HTTP side, started and stopped in the right order."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from socket import socket
from time import monotonic
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from shared import commands, dead_letters, dead_letters_api, heap, http, journal, journal_api
from shared.at_once import AtHand, AtOnceProtocol, Ready
from shared.bus import Bus, BusError, OnBatch
from shared.clock import Clock, utc_now
from shared.consumer import INBOX_INDEXES, BatchConsumer, Consumer, Received, Table, mark_of
from shared.crash_points import crash_at
from shared.dead_letter_retries import DeadLetterRetries
from shared.ending import asked_to_end
from shared.envelope import Record
from shared.journal import Journal
from shared.mongo import Index, Mongo, StoreError
from shared.observability import Metrics, configure_logging, describe
from shared.outbox import Relay
from shared.readability import Readability
from shared.settings import ServiceSettings
from shared.timing import Timed
from shared.unit_of_work import OUTBOX_INDEXES, UNPUBLISHED, UnitOfWork
from shared.vigil import Vigil

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[str | None]]
Step = Callable[[], Awaitable[None]]

_COLLECTIONS = (
    "outbox",
    UNPUBLISHED,
    "inbox",
    "idempotency",
    "dead_letters",
    "leases",
    "signals",
    journal.PUBLICATIONS,
)
_INDEXES = (*OUTBOX_INDEXES, *INBOX_INDEXES, *commands.INDEXES, *dead_letters.INDEXES, *journal.INDEXES)
_START_PATIENCE_S = 60.0
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
"""Traces, metrics and logs are our own (`observability`); looking for FastAPI's costs each request some 20 µs."""
_NOT_STARTED: Final = 3


class Service:
    """Holds what a service is made of; `app` gives the ASGI application that starts and stops it."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        collections: Sequence[str] = (),
        indexes: Sequence[Index] = (),
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.mongo = Mongo(settings.mongo_url, settings.database)
        self.metrics = Metrics(settings.service)
        reach = crash_at(settings.crash_at)
        self.bus = Bus(settings, reach=reach)
        self.unit_of_work = UnitOfWork(self.mongo, settings.service, clock=clock, reach=reach)
        self.relay = Relay(self.mongo, self.bus, settings, self.metrics, reach=reach)
        self.unit_of_work.on_events(self.relay.wake)
        self.journal = Journal(self.mongo, self.relay.wake, clock=clock)
        self.vigil = Vigil(self.bus, self.metrics, every_s=settings.watch_every_s, stall_s=settings.stall_after_s)
        self.ending = asyncio.Event()
        """Set as soon as the process is told to end: what answers for as long as somebody listens ends then."""
        self._collections = (*_COLLECTIONS, *collections)
        self._indexes = (*_INDEXES, *indexes)
        self._topics: set[str] = set()
        self._consumers: dict[str, BatchConsumer] = {}
        self._checks: list[tuple[str, Check]] = []
        self._before: list[Step] = []
        self._background: list[Step] = []
        self.at_hand: list[AtHand] = []

    def consume(
        self,
        topics: Sequence[str],
        table: Table,
        *,
        mark: Callable[[Received[Any]], str] = mark_of,
        may_keep: Callable[[Record], bool] = lambda _: True,
        group_suffix: str = "",
    ) -> Consumer:
        """Read the topics (names of the design) and apply their events by the table."""
        consumer = Consumer(self.unit_of_work, table, self.metrics, mark=mark, may_keep=may_keep)
        self.attach(topics, consumer, group_suffix=group_suffix)
        return consumer

    def attach(self, topics: Sequence[str], consumer: BatchConsumer, *, group_suffix: str = "", ahead: int = 1) -> None:
        """Let `consumer` read the topics, `ahead` batches at once, and replay what it could not."""
        self.read(topics, consumer.on_batch, group_suffix=group_suffix, ahead=ahead)
        consumer.readability = Readability(self.settings.undecodable_share, self.settings.undecodable_least)
        consumer.first_retry_s = self.settings.retry_first_s if self.settings.retry_most else None
        self.add_check("stream", consumer.why_stopped)
        for topic in topics:
            self._consumers[self.settings.topic(topic)] = consumer

    def read(self, topics: Sequence[str], on_batch: OnBatch, *, group_suffix: str = "", ahead: int = 1) -> None:
        """Read the topics with a batch function of the service's own."""
        names = [self.settings.topic(topic) for topic in topics]
        self._topics |= set(names)
        self.bus.subscribe(names, f"{self.settings.group}{group_suffix}", on_batch, ahead=ahead)

    def add_check(self, name: str, check: Check) -> None:
        """Ready only when `check` returns None; else it returns what is missing."""
        self._checks.append((name, check))

    def before_start(self, step: Step) -> None:
        """Run once the store and the topics are there and before anything is consumed."""
        self._before.append(step)

    def in_background(self, step: Step) -> None:
        """Run for as long as the service does; begun again should it fail."""
        self._background.append(step)

    def answer_at_once(self, at_hand: AtHand) -> None:
        """Look there before the application is asked."""
        self.at_hand.append(at_hand)

    def app(self, title: str, routers: Sequence[APIRouter]) -> FastAPI:
        """The ASGI application."""
        app = FastAPI(
            title=f"FOQUALE {title}",
            version="1",
            lifespan=self._lifespan,
            responses=http.PROBLEMS,
            telemetry=_NO_TELEMETRY,
        )
        app.state.service = self
        app.state.unit_of_work = self.unit_of_work
        app.state.commands = commands.Commands(self.unit_of_work)
        http.install(app)
        for router in routers:
            app.include_router(router)
        app.include_router(dead_letters_api.router(self.unit_of_work, self._consumers))
        app.include_router(journal_api.router(self.journal))
        app.include_router(http.health_router(self._live, self._ready))
        app.include_router(http.metrics_router(self.metrics.registry, self._refresh_metrics))
        return app

    async def prepare_store(self) -> None:
        """Create the collections and indexes that are missing; a start does it too."""
        await self._patiently("store", self.mongo.ping)
        await self.mongo.ensure(self._collections, self._indexes)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await self.prepare_store()
        if self.settings.republish:
            publication = await self.journal.publish_again()
            log.info("journal_published_again", events=publication["events"])
        await self._patiently("topics", self._topics_exist)
        for step in self._before:
            await self._patiently("first steps", step)
        await self._patiently("bus", self.bus.start)
        await self.relay.start()
        retries = DeadLetterRetries(self.unit_of_work, self._consumers, self.settings)
        steps: list[Step] = [self.vigil.run, retries.run, heap.tidy, *self._background]
        background = [asyncio.create_task(self._keep_going(step)) for step in steps]
        log.info("started", service=self.settings.service, port=self.settings.port)
        try:
            yield
        finally:
            self.ending.set()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self.bus.stop_consuming()
            await self.relay.stop()
            await self.bus.stop()
            await self.mongo.close()
            log.info("stopped", service=self.settings.service)

    async def _patiently(self, what: str, step: Step) -> None:
        """Do `step`, waiting for what it needs to come up."""
        give_up_at = monotonic() + _START_PATIENCE_S
        while True:
            try:
                await step()
                return
            except (StoreError, BusError, OSError) as error:
                if monotonic() >= give_up_at:
                    raise
                log.info("waiting", service=self.settings.service, what=what, error=describe(error))
                await asyncio.sleep(0.5)

    async def _topics_exist(self) -> None:
        missing = self._topics - await self.bus.log.topics()
        if missing:
            raise OSError(f"topics not there yet (`foquale init` creates them): {', '.join(sorted(missing))}")

    async def _keep_going(self, step: Step) -> None:
        while True:
            try:
                await step()
            except (Exception, asyncio.CancelledError) as error:
                # A background step begins again, whatever ended it.
                if asked_to_end():
                    raise
                log.warning("background_failed", step=step.__name__, error=describe(error))
            await asyncio.sleep(1)

    async def _live(self) -> list[tuple[str, str]]:
        """What only a new process mends: a consumer that would not start anew, a relay that has ended or hangs."""
        failures = [("consumer", reason) for reason in self.vigil.stuck()]
        relay = self.relay.stuck()
        return failures if relay is None else [*failures, ("relay", relay)]

    async def _ready(self) -> list[tuple[str, str]]:
        failures = await self._live()
        failures += [("consumer", reason) for reason in (*self.bus.stopped_loops(), *self.vigil.failing())]
        try:
            # All of it: a store that is frozen answers nothing, and keeps a caller for a quarter of a minute.
            async with asyncio.timeout(5):
                await self.mongo.ping()
                behind = await self.relay.behind(self.settings.relay_behind_s)
                if behind:
                    failures.append(("relay", behind))
                await self.bus.log.end_offsets(sorted(self._topics))
                for name, check in self._checks:
                    reason = await check()
                    if reason:
                        failures.append((name, reason))
        except (StoreError, BusError, OSError, TimeoutError) as error:
            failures.append(("backend", type(error).__name__))
        return failures

    async def _refresh_metrics(self) -> None:
        waiting = await dead_letters.waiting(self.mongo)
        self.metrics.dead_letters({code: count for code, (count, _) in waiting.items()})
        kept_at = min((since for _, since in waiting.values()), default=None)
        self.metrics.dead_letter_age_seconds.set((self.clock() - kept_at).total_seconds() if kept_at else 0.0)
        self.metrics.alarm("undecodable", on=any(consumer.alarm for consumer in self._consumers.values()))
        state = await self.journal.state()
        oldest = state["oldest_pending_at"]
        self.metrics.outbox_pending.set(state["pending"])
        self.metrics.outbox_age_seconds.set((utc_now() - oldest).total_seconds() if oldest else 0.0)
        self.metrics.journal_left.set(state["to_republish"])


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or Ctrl-C. Answers of a `Service` that go on for ever end then."""
    heap.prepare()
    configure_logging(settings.log_level, as_json=settings.log_json)
    # uvicorn raises the signal again once all is stopped, and a process that ended as it was told to would look killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    service: Service | None = getattr(app.state, "service", None)
    server = _Server(config(app, settings), asyncio.Event() if service is None else service.ending)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(_NOT_STARTED)


def config(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    """How an application is served: that of a `Service` timed, and what lies ready answered at once."""
    service: Service | None = getattr(app.state, "service", None)
    protocol: Any = "httptools" if service is None else partial(AtOnceProtocol, Ready(service.at_hand, service.metrics))
    return uvicorn.Config(
        app if service is None else Timed(app, service.metrics),
        http=protocol,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.graceful_timeout_s),
    )


class _Server(uvicorn.Server):
    """Sets `ending` as soon as it is told to end: itself it waits until the last answer is sent."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)  # this is a signal's handler
