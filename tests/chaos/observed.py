"""What an outsider sees when all is at rest: the whole log, all stores, and the figures; read with other clients than
the services use.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from shared.envelope import Record, Undecodable, from_record
from shared.events import TOPICS
from tests.chaos.faults import SERVICES
from tests.chaos.machine import PREFIX

Document = dict[str, Any]
Place = tuple[str, int, int]
"""Topic, partition, offset."""

SUBSCRIBED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "referral": {"": ("catalogue.events", "tracking.events"), ".siei": ("siei.dropouts",)},
    "catalogue": {"": ("referral.events", "tracking.events")},
    "tracking": {"": ("referral.events", "catalogue.events")},
    "reporting": {"": ("referral.events", "catalogue.events", "tracking.events")},
}
"""Service -> suffix of the group -> topics, as docs/events.md has them."""

PERIODS: Final = ((None, None), (date(2013, 4, 1), date(2013, 4, 20)), (date(2013, 10, 1), None))
LEVELS: Final = ("national", "academie", "departement", "network")


@dataclass(frozen=True, slots=True)
class Logged:
    """An event in the log."""

    place: Place
    id: str
    type: str
    source: str
    time: Any
    data: bytes


@dataclass
class Log:
    """The log of all topics. `events` in order of their partitions, repeats included; `planted`: tag -> places."""

    events: list[Logged] = field(default_factory=list)
    planted: dict[str, list[Place]] = field(default_factory=dict)
    unreadable: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """What one replica of reporting answers for a period: (level, code) -> the figures of the unit.

    `lapsed_before`: a situation that was last verified before that day has lapsed.
    """

    replica: str
    first: date | None
    last: date | None
    rows: dict[tuple[str, str], Document]
    lapsed_before: date = date.min


@dataclass
class Seen:
    """All that the judge looks at beside the ledger. `differences` are those of the figures recomputed by reporting."""

    log: Log
    stores: dict[str, dict[str, list[Document]]]
    figures: list[Figures] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


async def read_log(bootstrap: str) -> Log:
    """All records of all topics."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    await consumer.start()
    log = Log()
    try:
        partitions = await _partitions(bootstrap)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        left = {partition for partition, end in ends.items() if end > 0}
        until = time.monotonic() + 120
        while left:
            if time.monotonic() > until:
                raise TimeoutError("the log could not be read in 120 s")
            for records in (await consumer.getmany(timeout_ms=500, max_records=5_000)).values():
                for record in records:
                    _note(
                        log,
                        Record(record.topic, record.partition, record.offset, record.key, record.value, record.headers),
                    )
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()
    return log


def _note(log: Log, record: Record) -> None:
    place = (record.topic, record.partition, record.offset)
    tag = next((content for name, content in record.headers if name == "chaos" and content), None)
    if tag is not None:
        log.planted.setdefault(tag.decode(), []).append(place)
        return
    try:
        envelope = from_record(record)
    except Undecodable:
        log.unreadable.append(place)
        return
    log.events.append(Logged(place, envelope.id, envelope.type, envelope.source, envelope.time, envelope.data))


async def _partitions(bootstrap: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(list(TOPICS))
    finally:
        await admin.close()
    return [TopicPartition(each["topic"], p["partition"]) for each in described for p in each["partitions"]]


def read_stores(url: str) -> dict[str, dict[str, list[Document]]]:
    """All documents of all services."""
    with MongoClient[Document](url, tz_aware=True, readConcernLevel="majority") as client:
        return {
            service: {
                name: list(client[f"{PREFIX}{service}"][name].find())
                for name in client[f"{PREFIX}{service}"].list_collection_names()
            }
            for service in SERVICES
        }


async def unrest(url: str, bootstrap: str, urls: Mapping[str, Iterable[str]]) -> list[str]:
    """What is not at rest yet, in words; empty when all is."""
    try:
        found = await asyncio.to_thread(_pending, url)
        found += await _lags(bootstrap)
    except (PyMongoError, KafkaError, OSError, TimeoutError) as error:
        return [f"{type(error).__name__}: {error}"[:200]]
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        for service, replicas in urls.items():
            for number, base in enumerate(replicas):
                try:
                    answer = await http.get(f"{base}/ready")
                    if not answer.is_success:
                        found.append(f"{service}-{number} is not ready: {answer.text[:300]}")
                except httpx.HTTPError as error:
                    found.append(f"{service}-{number} does not answer ({type(error).__name__})")
    return found


def _pending(url: str) -> list[str]:
    with MongoClient[Document](url, serverSelectionTimeoutMS=3_000, socketTimeoutMS=5_000) as client:
        notes = {s: client[f"{PREFIX}{s}"]["unpublished"].find() for s in SERVICES}
        counts = {s: sum(len(note["events"]) for note in of) for s, of in notes.items()}
        holds = client[f"{PREFIX}catalogue"]["placements"].count_documents({"state": "held"})
        reporting = client[f"{PREFIX}reporting"]
        slot = reporting["slots"].find_one({"_id": 0})
        number = slot["generation"] if slot else 1
        folds = reporting["changes" if number == 1 else f"changes_{number}"].count_documents({})
        # Whoever builds tells that it lives twice a second; one that was killed does not.
        lately = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=10)
        builds = reporting["builds"].count_documents({"state": "running", "beat_at": {"$gt": lately}})
    found = [f"{service} has {count} events to publish" for service, count in counts.items() if count]
    if holds:
        found.append(f"{holds} offers are unanswered and not expired")
    if builds:
        found.append("reporting builds its projection")
    return [*found, f"reporting has {folds} changes to fold"] if folds else found


async def _lags(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, request_timeout_ms=5_000)
    found: list[str] = []
    try:
        await admin.start()
        await consumer.start()
        described = await admin.describe_topics(list(TOPICS))
        partitions = [TopicPartition(each["topic"], p["partition"]) for each in described for p in each["partitions"]]
        ends = await consumer.end_offsets(partitions)
        for service, groups in SUBSCRIBED.items():
            for suffix, topics in groups.items():
                own = [partition for partition in partitions if partition.topic in topics]
                offsets = await admin.list_consumer_group_offsets(f"foquale.{service}{suffix}", partitions=own)
                lag = sum(max(0, ends[p] - max(0, offsets[p].offset if p in offsets else 0)) for p in own)
                if lag:
                    found.append(f"{service}{suffix} is {lag} records behind")
    finally:
        await consumer.stop()
        await admin.close()
    return found


async def read_figures(urls: Iterable[str], after: str = "") -> list[Figures]:
    """All levels and both views, over some periods, from each replica; `after` says after what."""
    found: list[Figures] = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        for number, base in enumerate(urls):
            for first, last in PERIODS:
                days = {name: day.isoformat() for name, day in (("from", first), ("to", last)) if day}
                answer = await http.get(f"{base}/v1/indicators", params={"by": ",".join(LEVELS), **days})
                body = answer.raise_for_status().json()
                rows = {(row["by"], row["code"]): row for row in body["rows"]}
                lapsed_before = date.fromisoformat(body["as_of"][:10]) - timedelta(days=body["lapse_days"])
                found.append(Figures(f"reporting-{number}{after}", first, last, rows, lapsed_before))
    return found


async def built(base: str, kind: Literal["rebuild", "verification"], within_s: float) -> Document:
    """Let a replica of reporting build its projection anew, or recompute and compare it; how that ended.

    httpx.HTTPError when it does not answer, as it may while it is killed; TimeoutError when it takes too long.
    """
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http, asyncio.timeout(within_s):
        while True:
            begun = await http.post(f"{base}/v1/projection/{kind}s", json={})
            if begun.status_code != httpx.codes.CONFLICT:  # the turn of one that was killed is over in half a minute
                break
            await asyncio.sleep(1.0)
        begun.raise_for_status()
        where = f"{base}/v1/projection/{kind}s/{begun.json()[f'{kind}_id']}"
        while True:
            build: Document = (await http.get(where)).raise_for_status().json()
            if build["state"] != "running":
                return build
            await asyncio.sleep(0.3)
