"""Helpers for tests that run a service's application in the test's own process, on real backends."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import FastAPI

from deploy.local import free_port
from shared import service
from shared.envelope import Envelope, to_headers
from shared.settings import ServiceSettings

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], *, within_s: float = 15.0, what: str = "it") -> T:
    """What `look` returns once it is true; fails the test after `within_s` seconds."""
    give_up_at = time.monotonic() + within_s
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() >= give_up_at:
            raise AssertionError(f"{what} did not happen within {within_s} s; last seen: {found!r}")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application, started, with a client that speaks to it; stopped at the end."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
            yield client


@asynccontextmanager
async def served(app: FastAPI, settings: ServiceSettings) -> AsyncIterator[httpx.AsyncClient]:
    """The application as `shared.service.serve` serves it, over a socket."""
    server = uvicorn.Server(service.config(app, settings.model_copy(update={"port": free_port()})))
    running = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started or running.done()

    try:
        await eventually(started, within_s=30)
        base_url = f"http://{server.config.host}:{server.config.port}"
        async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        await running


Raw = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]


async def produce(bootstrap: str, topic: str, *records: Envelope | Raw) -> None:
    """Put events, or raw (key, value, headers), into a topic."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for record in records:
            if isinstance(record, Envelope):
                headers = [(name, text.encode()) for name, text in to_headers(record).items()]
                await producer.send(topic, record.data, key=record.subject.encode(), headers=headers)
            else:
                key, value, raw_headers = record
                await producer.send(topic, value, key=key, headers=list(raw_headers))
        await producer.flush()
    finally:
        await producer.stop()


async def consume(
    bootstrap: str,
    topic: str,
    *,
    count: int,
    within_s: float = 15.0,
    keep: Callable[[Envelope], bool] = lambda _: True,
) -> list[Envelope]:
    """The first `count` events of a topic that are to be kept (fewer when no more come in time)."""
    from shared.envelope import Record, from_record

    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Envelope] = []
    give_up_at = time.monotonic() + within_s
    try:
        while len(found) < count and time.monotonic() < give_up_at:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                events = [
                    from_record(Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers)) for r in records
                ]
                found += [event for event in events if keep(event)]
    finally:
        await consumer.stop()
    return found
