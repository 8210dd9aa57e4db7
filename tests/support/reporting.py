"""Reporting as its tests run it: settings of a test's own, events sent, figures held against a plain count."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from services.reporting.app import TOPICS
from services.reporting.figures import LEVELS
from services.reporting.indicators import Step
from services.reporting.projection import Assignment, Dismissal, Fact
from services.reporting.settings import ReportingSettings
from shared.consumer import Received
from shared.envelope import Envelope, Record, to_headers
from shared.events import Event
from shared.mongo import Document
from tests.backends import Kafka
from tests.support import oracle
from tests.support.oracle import Happened
from tests.support.probe import produce

PERIODS: tuple[tuple[date | None, date | None], ...] = (
    (None, None),
    (date(2013, 1, 1), date(2013, 12, 31)),
    (date(2013, 3, 11), date(2013, 6, 20)),
    (date(2013, 5, 2), date(2013, 5, 2)),
    (None, date(2013, 4, 30)),
)


def settings_of(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    return ReportingSettings(
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=3,
        topic_prefix=topic_prefix,
        kafka_session_ms=2_000,
        batch_records=150,
        fold_every_s=0.1,
        settle_every_s=0.1,
        answer_age_s=0,
        lost_logs_every_s=0.2,
    )


async def send(settings: ReportingSettings, events: Iterable[Happened]) -> None:
    by_topic: dict[str, list[Envelope]] = {}
    for happened in events:
        by_topic.setdefault(happened.event.TOPIC, []).append(happened.envelope())
    for topic, envelopes in by_topic.items():
        await produce(settings.kafka_bootstrap, settings.topic(topic), *envelopes)


async def ask(client: httpx.AsyncClient, **parameters: str) -> dict[str, Any]:
    answer = await client.get("/v1/indicators", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def caught_up(client: httpx.AsyncClient, *, last: Sequence[str] = TOPICS) -> bool:
    sources = (await ask(client))["sources"]
    assert [source["topic"] for source in sources] == list(TOPICS)
    # None: the broker did not say in time how far its log goes, which a busy machine brings about.
    assert all(source["lag"] is None or source["lag"] >= 0 for source in sources)
    return all(source["lag"] == 0 and source["last_event_time"] for source in sources if source["topic"] in last)


def dated(first: date | None, last: date | None) -> dict[str, str]:
    return {name: day.isoformat() for name, day in (("from", first), ("to", last)) if day is not None}


async def assert_equals_plain_count(client: httpx.AsyncClient, events: Sequence[Happened]) -> None:
    for first, last in PERIODS:
        body = await ask(client, by=",".join(LEVELS), **dated(first, last))
        rows = {(row["by"], row["code"]): row for row in body["rows"]}
        assert len(rows) == len(body["rows"])
        lapsed_before = date.fromisoformat(body["as_of"][:10]) - timedelta(days=body["lapse_days"])
        expected = oracle.indicators(events, first, last, lapsed_before)
        assert {unit for unit, count in expected.items() if count != oracle.NOBODY} <= set(rows)
        for unit, row in rows.items():
            shown = {key: value for key, value in row.items() if key not in ("by", "code", "label")}
            assert shown == expected.get(unit, oracle.NOBODY), (unit, first, last)


def received(events: Iterable[Happened]) -> list[Received[Event]]:
    return [
        Received(
            happened.envelope(),
            happened.event,
            Record(
                happened.event.TOPIC,
                0,
                number,
                None,
                b"",
                [(k, v.encode()) for k, v in to_headers(happened.envelope()).items()],
            ),
        )
        for number, happened in enumerate(events)
    ]


def plain_fact(row: Document) -> Fact:
    """The fact that a stored document holds, read anew from its texts."""
    first: dict[Step, date] = {step: date.fromisoformat(day) for step, day in row["first"].items()}
    last_detected, verified = (
        None if name not in row else date.fromisoformat(row[name]) for name in ("last_detected", "verified")
    )
    return Fact(
        first,
        last_detected,
        verified,
        row.get("source"),
        Dismissal(**_stamped(row["dismissal"])) if "dismissal" in row else None,
        Assignment(**_stamped(row["assignment"])) if "assignment" in row else None,
    )


def _stamped(document: Document) -> Document:
    return document | {
        "on": date.fromisoformat(document["on"]),
        "time": datetime.fromisoformat(document["time"]),
    }
