"""How long answers take is noted when they begin, by class of status."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from shared.observability import Metrics
from shared.timing import Timed

FAR_S = 0.2


async def _plain(request: Request) -> Response:
    return PlainTextResponse("", status_code=int(request.path_params["status"]))


async def _slowly(_request: Request) -> Response:
    await asyncio.sleep(FAR_S)
    return PlainTextResponse("")


async def _for_long(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begins"
        await asyncio.sleep(FAR_S)
        yield b"ends"

    return StreamingResponse(parts())


ROUTES = [Route("/plain/{status}", _plain), Route("/slowly", _slowly), Route("/for-long", _for_long)]


async def measured(*paths: str) -> Metrics:
    metrics = Metrics("service")
    transport = httpx.ASGITransport(Timed(Starlette(routes=ROUTES), metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for path in paths:
            await client.get(path)
    return metrics


def told(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"foquale_answer_seconds_{name}", {"service": "service", **labels})
    assert found is not None, generate_latest(metrics.registry).decode()
    return found


async def test_answers_are_counted_by_class_of_status() -> None:
    metrics = await measured("/plain/200", "/plain/204", "/plain/304", "/plain/404", "/plain/503", "/nowhere")
    assert [told(metrics, "count", status=f"{digit}xx") for digit in range(1, 6)] == [0, 2, 1, 2, 1]


async def test_what_is_noted_is_the_time_until_an_answer_begins() -> None:
    slow = await measured("/slowly")
    assert told(slow, "sum", status="2xx") >= FAR_S
    assert told(slow, "bucket", status="2xx", le="0.1") == 0
    long = await measured("/for-long")
    assert told(long, "sum", status="2xx") < FAR_S


async def test_what_is_no_request_passes_by() -> None:
    metrics = Metrics("service")
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is sent")

    await Timed(app, metrics)({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]
    assert sum(told(metrics, "count", status=f"{digit}xx") for digit in range(1, 6)) == 0
