"""Commands that are in order go a short way; it must not be told from the framework's."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from shared import http
from shared.command_route import CommandRoute
from shared.commands import CommandOf, command
from shared.http import Day, Input

BODY = '{"name":" Zoé ","on":"2013-04-02"}'
JSON = {"content-type": "application/json"}


class Named(Input):
    """A body with a text that is stripped and a day that is read strictly."""

    name: str
    on: Day
    more: int = 0


def application(route_class: type[APIRoute]) -> FastAPI:
    """Says what the endpoint was given."""
    routes = APIRouter(route_class=route_class)

    @routes.post("/youths/{youth_id}/names", status_code=201)
    async def add_name(youth_id: str, body: Named, command: CommandOf) -> JSONResponse:
        told = {"youth": youth_id, "key": command.key, "fingerprint": command._fingerprint}
        return JSONResponse({**told, **body.model_dump(mode="json")}, status_code=201)

    app = FastAPI()
    app.state.commands = None
    http.install(app)
    app.include_router(routes)
    return app


async def sent(app: FastAPI, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://foquale") as client:
        return await client.post(path, content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (BODY.encode(), JSON, 201),
        (BODY.encode(), JSON | {"idempotency-key": "k" * 255}, 201),
        (BODY.encode(), {"content-type": "application/json; charset=utf-8"}, 201),
        (BODY.encode("utf-16"), JSON, 201),
        (b'{"name":"a","name":"b","on":"2013-04-02"}', JSON, 201),
        (b'{"name":"a","on":"2013-04-02","more":"7"}', JSON, 201),
        (BODY.encode(), JSON | {"idempotency-key": ""}, 422),
        (BODY.encode(), JSON | {"idempotency-key": "k" * 256}, 422),
        (BODY.encode(), {"content-type": "text/plain"}, 422),
        (BODY.encode(), {}, 422),
        (b"", JSON, 422),
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[]", JSON, 422),
        (b"null", JSON, 422),
        (b'{"name":"a","on":"2013-02-30"}', JSON, 422),
        (b'{"name":"a","on":20130402}', JSON, 422),
        (b'{"name":1,"on":"2013-04-02"}', JSON, 422),
        (b'{"name":"a","on":"2013-04-02","more":1.5}', JSON, 422),
        (b'{"name":"a","on":"2013-04-02","more":true}', JSON, 201),
        (b'{"name":"a","on":"2013-04-02","nom":"b"}', JSON, 422),
        (b'{"on":"2013-04-02"}', JSON, 422),
    ],
)
async def test_every_request_is_answered_as_the_framework_does(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    for path in ("/youths/Y-1/names", "/youths/%C3%A9t%C3%A9%3F/names"):
        short = await sent(application(CommandRoute), path, content, headers)
        usual = await sent(application(APIRoute), path, content, headers)
        assert (short.status_code, short.json()) == (usual.status_code, usual.json())
        assert short.status_code == status


async def test_a_request_in_order_needs_nothing_of_the_framework_and_any_other_does() -> None:
    asked: list[str] = []

    async def overriding() -> None:
        asked.append("the framework")

    app = application(CommandRoute)
    app.dependency_overrides[command] = overriding  # only the framework looks here
    answer = await sent(app, "/youths/Y-1/names", BODY.encode(), JSON | {"idempotency-key": "K"})
    assert answer.json() | {"fingerprint": ""} == {
        "youth": "Y-1",
        "key": "K",
        "fingerprint": "",
        "name": "Zoé",
        "on": "2013-04-02",
        "more": 0,
    }
    assert asked == []
    await sent(app, "/youths/Y-1/names", b'{"on":"2013-04-02"}', JSON)
    assert asked == ["the framework"]


async def test_an_endpoint_of_another_shape_goes_the_framework_s_way() -> None:
    routes = APIRouter(route_class=CommandRoute)

    @routes.get("/youths/{youth_id}")
    async def youth(youth_id: str, limit: int = 5) -> dict[str, str | int]:
        return {"youth": youth_id, "limit": limit}

    app = FastAPI()
    app.include_router(routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://foquale") as client:
        assert (await client.get("/youths/Y-1?limit=7")).json() == {"youth": "Y-1", "limit": 7}
        assert (await client.get("/youths/Y-1?limit=x")).status_code == 422
