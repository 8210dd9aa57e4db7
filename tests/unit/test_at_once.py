"""What lies ready is sent at once, over a real socket; everything else goes the application's way, in its order."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.at_once import AtOnceProtocol, Header, Ready, Reply
from shared.observability import Metrics
from tests.support.probe import eventually

READY = b"it lies ready"
SLOW_S = 0.1


async def _told(request: Request) -> Response:
    if request.query_params.get("slowly"):
        await asyncio.sleep(SLOW_S)
    body = await request.body()
    return PlainTextResponse(f"{request.method} {request.url.path} {body.decode()}")


@dataclass
class Served:
    """A server in which `/ready` lies ready, `/gone` does with 304, and all else is told by the application."""

    port: int = 0
    gone: bool = False
    asked: list[tuple[bytes, bytes, list[Header]]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=lambda: Metrics("service"))

    def look(self, path: bytes, query: bytes, headers: list[Header]) -> Reply | None:
        self.asked.append((path, query, list(headers)))
        if path == b"/gone":
            return 304, [(b"etag", b'"a"')], b""
        if path != b"/ready" or self.gone:
            return None
        return 200, [(b"content-length", b"%d" % len(READY)), (b"content-type", b"text/plain")], READY

    def at_once(self) -> float | None:
        found = [
            self.metrics.registry.get_sample_value(
                "foquale_answer_seconds_count", {"service": "service", "status": status}
            )
            for status in ("2xx", "3xx")
        ]
        return sum(count for count in found if count is not None)

    async def say(self, *parts: bytes, answers: int) -> list[tuple[int, bytes]]:
        """Send the parts one by one over one connection; status and body of so many answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
            async with asyncio.timeout(10):
                return [await _answer(reader) for _ in range(answers)]
        finally:
            writer.close()
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return await _answer(reader)  # who expects it is told to go on
    length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]) if b"content-length: " in head else 0
    return status, await reader.readexactly(length)


@asynccontextmanager
async def served(keep_alive_s: int = 5) -> AsyncIterator[Served]:
    found = Served()
    app = Starlette(routes=[Route("/{path:path}", _told, methods=["GET", "POST"])])
    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=keep_alive_s,
        http=partial(AtOnceProtocol, Ready([lambda *_: None, found.look], found.metrics)),  # type: ignore[arg-type]  # it calls what makes one
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    found.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.should_exit = True
        await running


def get(target: str, *headers: str, method: str = "GET", version: str = "1.1", body: str = "") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: service", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body]).encode()


async def test_what_lies_ready_is_sent_again_and_again_over_one_connection() -> None:
    async with served() as service:
        request = get("/ready?a=1&b=%20", "Accept-Encoding: gzip")
        assert await service.say(*[request] * 5, answers=5) == [(200, READY)] * 5
        path, query, headers = service.asked[0]
        assert (path, query) == (b"/ready", b"a=1&b=%20")
        assert headers == [(b"host", b"service"), (b"accept-encoding", b"gzip")]
        assert service.at_once() == 5


async def test_an_answer_without_a_body_leaves_the_connection_in_step() -> None:
    async with served() as service:
        assert await service.say(get("/gone"), get("/ready"), answers=2) == [(304, b""), (200, READY)]


async def test_answers_come_in_the_order_of_the_requests_though_an_earlier_one_is_slow() -> None:
    async with served() as service:
        requests = [get("/ready"), get("/app?slowly=1"), get("/ready"), get("/app"), get("/ready")]
        told = await service.say(b"".join(requests), answers=4)
        # Those behind a slow one are the application's, as nobody may overtake.
        assert told == [(200, READY), (200, b"GET /app "), (200, b"GET /ready "), (200, b"GET /app ")]
        assert service.at_once() == 1


async def test_a_request_that_comes_byte_by_byte_is_answered_the_same() -> None:
    async with served() as service:
        request = get("/ready")
        assert await service.say(*[bytes([byte]) for byte in request], get("/app"), answers=2) == [
            (200, READY),
            (200, b"GET /app "),
        ]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (get("/other"), b"GET /other "),
        (get("/ready", method="POST", body="abc"), b"POST /ready abc"),
        (get("/ready", body="abcdef"), b"GET /ready abcdef"),
        (get("/ready", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n", b"GET /ready abc"),
        (get("/ready", "Connection: close"), b"GET /ready "),
        (get("/ready", version="1.0"), b"GET /ready "),
        (get("/ready?a=1#part"), b"GET /ready "),
        (get("/ready", "Connection: upgrade", "Upgrade: h2c"), b"GET /ready "),
        (get("/ready", "Expect: 100-continue"), b"GET /ready "),
        (get("http://service/ready"), b"GET /ready "),
    ],
    ids=["not ready", "post", "body", "chunks", "close", "1.0", "fragment", "upgrade", "expect", "whole address"],
)
async def test_anything_but_a_plain_get_of_what_lies_ready_is_the_applications(request_: bytes, answer: bytes) -> None:
    async with served() as service:
        assert await service.say(request_, answers=1) == [(200, answer)]
        assert service.at_once() == 0


async def test_what_is_known_is_not_taken_for_a_part_of_another_request() -> None:
    async with served() as service:
        ready = get("/ready")
        assert await service.say(ready, ready, answers=2) == [(200, READY)] * 2
        # The same bytes again, and each time they are something else: a body, a request behind one that waits, a part.
        posted = get("/app", f"Content-Length: {len(ready)}", method="POST")
        assert await service.say(posted, ready, ready, answers=2) == [(200, b"POST /app " + ready), (200, READY)]
        assert await service.say(get("/app?slowly=1"), ready, answers=2) == [(200, b"GET /app "), (200, b"GET /ready ")]
        assert await service.say(ready + ready[:9], ready[9:], ready, answers=3) == [(200, READY)] * 3
        assert await service.say(ready * 2, ready, answers=3) == [(200, READY)] * 3


async def test_what_is_known_and_no_longer_lies_ready_is_the_applications() -> None:
    async with served() as service:
        ready = get("/ready")
        assert await service.say(ready, ready, answers=2) == [(200, READY)] * 2
        service.gone = True
        assert await service.say(ready, ready, answers=2) == [(200, b"GET /ready ")] * 2


async def test_a_connection_is_closed_once_nobody_asks_any_more_and_not_before() -> None:
    async with served(keep_alive_s=3) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        began = time.monotonic()
        for _ in range(7):
            writer.write(get("/ready"))
            assert await _answer(reader) == (200, READY)
            await asyncio.sleep(0.5)
        async with asyncio.timeout(15):
            assert await reader.read() == b""
        assert time.monotonic() - began > 5.9  # as long as it may be idle, after the last answer
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_request_is_refused_after_what_was_answered() -> None:
    async with served() as service:
        told = await service.say(get("/ready"), b"nonsense\r\n\r\n", answers=2)
        assert [status for status, _ in told] == [200, 400]
