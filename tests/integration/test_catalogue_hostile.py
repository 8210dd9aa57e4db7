"""Whatever is sent, the catalogue answers with problem details that name the fault, never with an error of its own."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from tests.backends import Kafka
from tests.support.catalogue import (
    Catalogue,
    backends_of,
    code,
    network,
    platform,
    served_catalogue,
    settings_for,
    solution,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 10**400, 1e308, "", " ", "\x00", "a\x00b", "é" * 10_000, "\ud800", "../..", "$where",
    {}, {"$gt": ""}, [], [[]], [None], ["\x00"], ["\ud800"], [{"$ne": 1}], list(range(2_000)),
]  # fmt: skip

ODD_IDS = [
    "\x00", "a\x00b", "é", "x" * 5_000, "$where", "a b", "%", "..", "a;b", "'", "\ud7ff", "\U0001f600", "-", "null",
]  # fmt: skip

ODD_BODIES = [
    b"", b"null", b"[]", b"{", b'"text"', b"\xff\xfe", b'{"a": "\xff"}', b'{"\xff": 1}', b"NaN", b'{"lon": NaN}',
    b'{"\\ud800": 1}', b'{"name": "\\ud800"}', b"[" * 50_000, b'{"a":' * 5_000, b"1" * 10_000, b"\x00",
]  # fmt: skip

BODIES = {
    "networks": network(),
    "platforms": platform(),
    "solutions": solution("net"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(mongo_url: str, kafka: Kafka) -> AsyncIterator[Catalogue]:
    own = settings_for(mongo_url, kafka)
    async with backends_of(own), served_catalogue(own) as catalogue:
        yield catalogue


@pytest.fixture
def catalogue(shared: Catalogue, unique: str) -> Catalogue:
    return shared.named(unique)


def refused(answer: httpx.Response, what: object) -> None:
    """The client's fault, said as problem details."""
    assert 400 <= answer.status_code < 500, (answer.status_code, what, answer.text[:500])
    assert code(answer)[1]


async def send(http: httpx.AsyncClient, method: str, path: str, body: object) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.request(method, path, content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize("what", list(BODIES))
async def test_odd_values_in_every_field_are_refused_or_taken(catalogue: Catalogue, what: str) -> None:
    fields = [*BODIES[what], "head", "uai", "unknown", "_id", "$set"]
    for field, value in itertools.product(fields, ODD_VALUES):
        answer = await send(catalogue.http, "PUT", f"/v1/{what}/{catalogue.id('x')}", BODIES[what] | {field: value})
        assert answer.status_code < 500, (field, repr(value)[:80], answer.text[:500])
        if answer.status_code != 200:
            refused(answer, (field, value))
    sessions = BODIES["solutions"]["sessions"][0]
    for field, value in itertools.product([*sessions, "held"], ODD_VALUES):
        body = BODIES["solutions"] | {"sessions": [sessions | {field: value}]}
        refused(await send(catalogue.http, "PUT", f"/v1/solutions/{catalogue.id('x')}", body), (field, value))


async def test_odd_values_in_an_offer_are_refused(catalogue: Catalogue) -> None:
    body = {"youth_id": "y", "solution_id": "s", "session_id": "t", "on": "2013-05-02"}
    for field, value in itertools.product([*body, "held_until"], ODD_VALUES):
        refused(await send(catalogue.http, "POST", "/v1/placements", body | {field: value}), (field, value))


async def test_bodies_that_are_no_json_object_are_refused(catalogue: Catalogue) -> None:
    targets = [("PUT", f"/v1/{what}/{catalogue.id('x')}") for what in BODIES] + [("POST", "/v1/placements")]
    for (method, path), body in itertools.product(targets, ODD_BODIES):
        refused(await send(catalogue.http, method, path, body), (path, body[:40]))


async def test_odd_ids_are_unknown_or_refused(catalogue: Catalogue) -> None:
    for name in ODD_IDS:
        key = quote(name, safe="")
        for what in (*BODIES, "placements"):
            refused(await catalogue.http.get(f"/v1/{what}/{key}"), (what, name))
        for what, body in BODIES.items():
            answer = await send(catalogue.http, "PUT", f"/v1/{what}/{key}", body)
            if answer.status_code != 200 or name != "null":  # a name like any other
                refused(answer, (what, name))
        refused(await catalogue.http.delete(f"/v1/solutions/{key}"), name)
        refused(await catalogue.http.post(f"/v1/dead-letters/{key}/replay"), name)
        for query in ("cursor", "kind", "track", "academie", "network_id", "free", "limit", key):
            answer = await catalogue.http.get(f"/v1/solutions?{query}={key}")
            assert answer.status_code in (200, 422), (query, name, answer.text[:300])


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/networks/%FF%FE HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/networks/%ED%A0%80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/networks?academie=%FF HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/networks?%FF=%FF&%00=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/networks/x HTTP/1.1\r\nHost: x\r\ntraceparent: \xff\xfe\r\n\r\n",
        b"POST /v1/placements HTTP/1.1\r\nHost: x\r\nIdempotency-Key: \xff\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/placements HTTP/1.1\r\nHost: x\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n{}",
        b"PATCH /v1/networks/x HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_text_on_the_wire(catalogue: Catalogue, raw: bytes) -> None:
    url = catalogue.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    status = int(answer.split(b" ", 2)[1])
    assert status < 500, answer[:500]


# The server draws its jitter from `random` in another thread while hypothesis watches that module.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_requests_made_up_from_the_api_s_description_are_answered_as_it_says(
    catalogue: Catalogue, mode: GenerationMode
) -> None:
    """Every route, with valid and with broken requests: no error of ours, no undescribed status, type or shape."""
    schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{catalogue.http.base_url}/openapi.json")
    expected = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
        *([negative_data_rejection] if mode is GenerationMode.NEGATIVE else []),
    ]

    def run() -> int:
        tried = 0
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue  # any id is a valid one: nothing to break

            @settings(max_examples=20, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: schemathesis.Case[Any]) -> None:
                nonlocal tried
                tried += 1
                case.call_and_validate(checks=expected)

            attempt()
        return tried

    assert await asyncio.to_thread(run) > 100
