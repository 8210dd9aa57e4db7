"""Whatever a client sends to tracking, it gets a problem that says what to mend, and never a 5xx."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.tracking.app import app
from services.tracking.settings import TrackingSettings
from shared.bus import ensure_topics
from tests.backends import Kafka
from tests.support.probe import eventually, produce, running
from tests.support.tracking import ADULT, contract_body, detected, envelope, offered

ODD_IDS = [
    "x",
    "%00",
    "a%00b",
    "%FF%FE",
    "..%2F..",
    "%F0%9F%8E%93",
    "%24where",
    "x" * 5_000,
    "%7B%22%24gt%22%3A1%7D",
    "%ED%A0%80",
]
COMMANDS = [
    ("/v1/placements/{id}/acceptance", {"on": "2013-03-21"}),
    ("/v1/placements/{id}/refusal", {"on": "2013-03-21", "reason": "family"}),
    ("/v1/contracts/{id}/start", {"on": "2013-04-02"}),
    ("/v1/contracts/{id}/reviews", {"on": "2013-05-02", "outcome": "on_track"}),
    ("/v1/contracts/{id}/end", {"on": "2013-05-02", "reason": "lost"}),
]
NOT_JSON: list[bytes] = [
    b"",
    b"{",
    b"\xff\xfe",
    b'{"on": "\xff"}',
    b"[" * 100_000,
    b"9" * 5_000,
    b"null",
    b"[]",
    b'"text"',
    b"\x00",
    b'{"on": NaN}',
]
ODD_VALUES: list[Any] = [
    *[None, True, 0, -1, 1.5, 10**30, "", " ", "x", "\x00", "a\x00b", "x" * 10_000, [], {}, [[]], {"$gt": ""}],
    *["2013-02-30", "2013-3-1", "20130301", "2013-03-01T00:00:00Z", "0001-01-01", "9999-12-31", 1363564800],
    *["é", "\u202e", "\ud800"],
]


@pytest.fixture
async def client(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> AsyncIterator[httpx.AsyncClient]:
    """Tracking that knows of an offer `p`, accepted, and of a running contract of another youth."""
    settings = TrackingSettings(
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=1,
        topic_prefix=topic_prefix,
        kafka_session_ms=1_500,
    )
    topics = [settings.topic(name) for name in ("referral.events", "catalogue.events", "tracking.events")]
    await ensure_topics(settings, topics)
    for event in (detected("y", ADULT), offered("y", "p"), detected("z", ADULT), offered("z", "q")):
        topic = settings.topic(event.TOPIC)
        await produce(settings.kafka_bootstrap, topic, envelope(event))
    async with running(app(settings)) as client:

        async def prepared() -> bool:
            answers = [
                await client.post(f"/v1/placements/{place}/acceptance", json={"on": "2013-03-21"}) for place in "pq"
            ]
            return all(answer.status_code == 409 for answer in answers)

        async def signed() -> httpx.Response | None:
            answer = await client.post("/v1/contracts", json=contract_body("q"))
            return answer if answer.status_code == 201 else None

        await eventually(prepared)
        answer = await eventually(signed)
        assert answer is not None
        client.headers["x-contract"] = answer.json()["contract_id"]
        await client.post(f"/v1/contracts/{client.headers['x-contract']}/start", json={"on": "2013-04-02"})
        yield client


def is_a_problem(answer: httpx.Response) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, (answer.request.method, answer.request.url, answer.text[:500])
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["code"]
    assert found["detail"]
    return found


async def test_an_odd_identifier_is_one_that_is_not_known(client: httpx.AsyncClient) -> None:
    for odd in ODD_IDS:
        for path in ("/v1/placements/{id}", "/v1/contracts/{id}"):
            found = is_a_problem(await client.get(path.replace("{id}", odd)))
            assert found["code"] in ("not_known_yet", "unknown_contract", "no_such_path")
        for path, body in COMMANDS:
            answer = await client.post(path.replace("{id}", odd), json=body)
            assert is_a_problem(answer)["code"] in ("not_known_yet", "unknown_contract", "no_such_path")
            assert answer.status_code == 404


async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient) -> None:
    contract = client.headers["x-contract"]
    paths = ["/v1/contracts", *[path.replace("{id}", contract if "contracts" in path else "p") for path, _ in COMMANDS]]
    for path in paths:
        for body in NOT_JSON:
            answer = await client.post(path, content=body, headers={"content-type": "application/json"})
            is_a_problem(answer)
        is_a_problem(await client.post(path, content=b"reason=lost", headers={"content-type": "text/plain"}))
        is_a_problem(await client.post(path, json={"unheard_of": 1}))


async def test_an_odd_value_is_named_by_its_field_and_breaks_nothing(client: httpx.AsyncClient) -> None:
    """Every sound body here is refused for its state or a rule, so that each request finds the same state."""
    contract = client.headers["x-contract"]
    refused = {
        "/v1/contracts": contract_body(
            "p", ends_on="2013-04-01", hours_per_week=24, hours=150, adult=True, formula="full"
        ),
        "/v1/placements/q/refusal": {"on": "2013-03-21", "reason": "family"},
        "/v1/placements/q/acceptance": {"on": "2013-03-21"},
        f"/v1/contracts/{contract}/start": {"on": "2013-04-02"},
        f"/v1/contracts/{contract}/reviews": {"on": "2013-05-02", "outcome": "on_track", "next_on": "2013-05-01"},
        f"/v1/contracts/{contract}/end": {"on": "2013-03-01", "reason": "lost"},
    }
    before = (await client.get(f"/v1/contracts/{contract}")).json()
    for path, body in refused.items():
        sound = is_a_problem(await client.post(path, json=body))["code"]
        for field in _fields(body):
            for value in ODD_VALUES:
                if value is None and field[-1] == "next_on":
                    continue  # may be missing, and the command then goes through
                content = json.dumps(_with(body, field, value)).encode()
                answer = await client.post(path, content=content, headers={"content-type": "application/json"})
                found = is_a_problem(answer)
                named = [error["field"] for error in found.get("errors", [])]
                if found["code"] == "invalid_request":
                    assert [name.split(".")[: len(field)] for name in named] == [field] * len(named) != []
                elif field != ["placement_id"]:
                    assert found["code"] == sound or ".".join(field) in named, (path, field, value, found)
    assert (await client.get(f"/v1/contracts/{contract}")).json() == before


async def test_odd_query_parameters_are_refused(client: httpx.AsyncClient) -> None:
    odd = [
        *["limit=0", "limit=501", "limit=x", "limit=99999999999999999999", "state=odd", "state=", "page=2"],
        *["overdue_on=soon", "overdue_on=2013-02-30", "overdue_on=9999-12-31", "overdue_on=1"],
        *[f"cursor={'x' * 600}", f"youth_id={'x' * 300}"],
    ]
    for query in odd:
        found = is_a_problem(await client.get(f"/v1/contracts?{query}"))
        assert (found["status"], found["code"]) == (422, "invalid_request")
        assert found["errors"][0]["field"] == query.split("=")[0]
    for query in [q for q in odd if not q.startswith("overdue")]:
        is_a_problem(await client.get(f"/v1/placements?{query}"))
    for fine in ("cursor=%00", "youth_id=%00", "network_id=%7B%22%24ne%22%3A1%7D", "cursor=%FF"):
        for path in ("/v1/contracts", "/v1/placements"):
            assert (await client.get(f"{path}?{fine}")).status_code == 200
    is_a_problem(await client.get("/v1/contracts?overdue_on=2013-03-01&cursor=%00"))


async def test_other_methods_and_paths_are_refused(client: httpx.AsyncClient) -> None:
    for method, path in (("DELETE", "/v1/contracts/x"), ("PUT", "/v1/contracts"), ("PATCH", "/v1/placements/x")):
        answer = await client.request(method, path)
        assert is_a_problem(answer)["code"] == "method_not_allowed"
    assert is_a_problem(await client.get("/v1/nothing"))["code"] == "no_such_path"


def _fields(body: dict[str, Any]) -> list[list[str]]:
    """Where the leaves and the branches of a body are."""
    found: list[list[str]] = []
    for name, value in body.items():
        found.append([name])
        if isinstance(value, dict):
            found += [[name, *rest] for rest in _fields(value)]
    return found


def _with(body: dict[str, Any], field: list[str], value: Any) -> dict[str, Any]:
    first, *rest = field
    return {**body, first: _with(body[first], rest, value) if rest else value}
