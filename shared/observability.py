"""Logs as JSON lines, the trace of the work in hand, and the metrics every service exports. No identity in any."""

import logging
import secrets
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import EventDict

_trace: ContextVar[str | None] = ContextVar("foquale_trace", default=None)


def configure_logging(level: str, *, as_json: bool) -> None:
    """Send structlog's and the standard library's records to standard error."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _describe_error, renderer],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe_error,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def current_trace() -> str | None:
    """The W3C `traceparent` of the work in hand."""
    return _trace.get()


def set_trace(traceparent: str | None) -> None:
    """Go on in this trace, or begin a new one."""
    _trace.set(traceparent or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")


def describe(error: BaseException) -> str:
    """An error for the log: its type, its code and where it rose. Never its text, which may quote a person's data."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    code = getattr(error, "code", None)
    return f"{type(error).__name__}{'' if code is None else f'({code})'} at {where or 'start'}"


def _describe_error(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Log an exception by `describe`."""
    info = entry.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else None
    if error is not None:
        entry["error"] = describe(error)
    return entry


_ANSWER_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """A service's metrics in a registry of their own, so that two services in one process do not mix."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        labels = {"service": service}
        self._events = Counter(
            "foquale_events",
            "Events seen, by what became of them",
            ["service", "type", "outcome"],
            registry=self.registry,
        )
        self._service = service
        self.batch_seconds = Histogram(
            "foquale_batch_seconds",
            "Time from a batch in hand to its durable effects",
            ["service"],
            registry=self.registry,
        ).labels(**labels)
        answers = Histogram(
            "foquale_answer_seconds",
            "Time from a request to the beginning of its answer, by class of status",
            ["service", "status"],
            buckets=_ANSWER_SECONDS,
            registry=self.registry,
        )
        self._answers = [answers.labels(service=service, status=f"{digit}xx") for digit in range(1, 6)]
        self.outbox_pending = Gauge(
            "foquale_outbox_pending", "Events written but not yet published", ["service"], registry=self.registry
        ).labels(**labels)
        self.outbox_age_seconds = Gauge(
            "foquale_outbox_age_seconds", "Age of the oldest unpublished event", ["service"], registry=self.registry
        ).labels(**labels)
        self.journal_left = Gauge(
            "foquale_journal_left",
            "Events of the journal still to be published again",
            ["service"],
            registry=self.registry,
        ).labels(**labels)
        self.consumer_restarts = Counter(
            "foquale_consumer_restarts", "Stalled consumers that were started anew", ["service"], registry=self.registry
        ).labels(**labels)
        self._lag = Gauge(
            "foquale_lag", "Records in the log that are not applied", ["service", "topics"], registry=self.registry
        )
        self._staleness = Gauge(
            "foquale_staleness_seconds",
            "Age of the newest state of the log of which everything is applied; of reporting, the projection's",
            ["service", "topics"],
            registry=self.registry,
        )
        self._alarm = Gauge(
            "foquale_alarm",
            "1 while reading has stopped; reason undecodable: too much cannot be read",
            ["service", "reason"],
            registry=self.registry,
        )
        self.dead_letter_age_seconds = Gauge(
            "foquale_dead_letter_age_seconds",
            "Age of the oldest dead letter that waits",
            ["service"],
            registry=self.registry,
        ).labels(**labels)
        self._dead_letters = Gauge(
            "foquale_dead_letters", "Dead letters that wait, by reason", ["service", "code"], registry=self.registry
        )

    def watched(self, topics: Sequence[str], lag: int, staleness_s: float) -> None:
        """What a look at a subscription showed."""
        labels = {"service": self._service, "topics": ",".join(topics)}
        self._lag.labels(**labels).set(lag)
        self._staleness.labels(**labels).set(staleness_s)

    def answered(self, status: int, seconds: float) -> None:
        """A request was answered with this status, and the answer began after so long."""
        self._answers[min(max(status // 100, 1), 5) - 1].observe(seconds)

    def alarm(self, reason: str, *, on: bool) -> None:
        """Whether reading has stopped for this reason."""
        self._alarm.labels(service=self._service, reason=reason).set(on)

    def dead_letters(self, waiting: Mapping[str, int]) -> None:
        """How many dead letters wait, by code; a code of which none waits any more is left away."""
        self._dead_letters.clear()
        for code, count in waiting.items():
            self._dead_letters.labels(service=self._service, code=code).set(count)

    def event(self, type_: str, outcome: str, count: int = 1) -> None:
        """Count events: outcome is applied, repeated, ignored or dead."""
        self._events.labels(service=self._service, type=type_, outcome=outcome).inc(count)
