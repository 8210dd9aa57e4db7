"""Odd ids, odd bodies and odd values over all of referral's routes: a problem document each time, never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.referral.app import app
from tests.backends import Kafka
from tests.support.probe import running
from tests.support.referral import know_platforms, prepare, send, youths
from tests.support.siei import as_csv, row

ODD_BODIES: list[bytes] = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'"text"',
    b"[" * 50_000,
    b"9" * 5_000,
    b"\x00",
    b'{"on": NaN}',
    json.dumps({"on": "\ud800"}).encode(),
]
ODD_VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, "", " ", "\x00", "x" * 10_000, [], {}, {"$gt": ""}, "2013-02-30", "\ud800"),
]
COMMANDS: dict[str, dict[str, Any]] = {
    "contacts": {"on": "2013-04-02", "channel": "phone", "outcome": "no_answer"},
    "interviews": {"on": "2013-04-02", "needs": [], "level": "V", "wishes": [], "mobility_km": 3},
    "dismissal": {"on": "2013-04-02", "reason": "error"},
    "transfer": {"on": "2013-04-02", "platform_id": "PSAD-13"},
}


@pytest.fixture
async def referral(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = await prepare(mongo_url, kafka, db_name, topic_prefix)
    async with running(app(settings)) as client:
        await know_platforms(settings)
        yield client


def expect_problem(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, (str(answer.request.url), answer.request.content[:200], answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert answer.json()["detail"]


async def test_no_odd_body_ends_in_an_error_of_our_own(referral: httpx.AsyncClient) -> None:
    await send(referral, row(1))
    [youth] = await youths(referral)
    paths = [f"/v1/youths/{youth['youth_id']}/{command}" for command in COMMANDS]
    json_type = {"content-type": "application/json"}
    for path in [*paths, "/v1/youths", "/v1/disputes/d/resolution"]:
        for body in ODD_BODIES:
            expect_problem(await referral.post(path, content=body, headers=json_type))
    for body in ODD_BODIES:
        answer = await referral.post("/v1/siei/dropouts", content=body, headers=json_type)
        assert answer.status_code in (202, 400)
        answer = await referral.post("/v1/siei/imports", content=body, headers={"content-type": "text/csv"})
        assert answer.status_code in (202, 400)
    expect_problem(await referral.post("/v1/siei/imports", content=b"", headers={"content-type": "text/csv"}))


async def test_no_odd_value_ends_in_an_error_of_our_own(referral: httpx.AsyncClient) -> None:
    await send(referral, row(1))
    [youth] = await youths(referral)
    for command, body in COMMANDS.items():
        for field in body:
            for value in ODD_VALUES:
                content = json.dumps({**body, field: value}).encode()
                answer = await referral.post(
                    f"/v1/youths/{youth['youth_id']}/{command}",
                    content=content,
                    headers={"content-type": "application/json"},
                )
                assert answer.status_code < 500, (command, field, value, answer.text)
                if answer.status_code >= 400:
                    expect_problem(answer)


async def test_no_odd_field_of_a_row_ends_in_an_error_of_our_own(referral: httpx.AsyncClient) -> None:
    good = row(1)
    events = [
        {
            "specversion": "1.0",
            "id": f"{field}-{number}",
            "source": "/siei",
            "type": "fr.education.siei.dropout-detected.v1",
            "data": {**good, "source_row": f"{field}-{number}", field: value},
        }
        for field in good
        for number, value in enumerate(ODD_VALUES)
    ]
    answer = await referral.post(
        "/v1/siei/dropouts", content=json.dumps(events), headers={"content-type": "application/cloudevents-batch+json"}
    )
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert len(results) == len(events)
    assert all(result["status"] == "accepted" or (result["code"] and result["message"]) for result in results)
    rows = [{**good, field: str(value)} for field in good for value in ODD_VALUES if value != "\ud800"]
    body = as_csv(rows)
    answer = await referral.post("/v1/siei/imports", content=body, headers={"content-type": "text/csv"})
    assert answer.json()["state"] == "done"
    assert answer.json()["rows"] == len(rows)


async def test_odd_identifiers_and_queries_are_refused(referral: httpx.AsyncClient) -> None:
    for odd in ("%00", "a%00b", "%FF%FE", "%24where", "x" * 4_000, "%ED%A0%80", "%7B%7D"):
        for command, body in COMMANDS.items():
            expect_problem(await referral.post(f"/v1/youths/{odd}/{command}", json=body))
        expect_problem(await referral.get(f"/v1/youths/{odd}"))
        expect_problem(await referral.get(f"/v1/siei/imports/{odd}"))
        expect_problem(await referral.get(f"/v1/siei/imports/{odd}/errors"))
        expect_problem(await referral.post(f"/v1/disputes/{odd}/resolution", json={"decision": "other"}))
        expect_problem(await referral.post(f"/v1/dead-letters/{odd}/replay"))
    for path in (
        "/v1/youths?limit=501",
        "/v1/youths?cursor=" + "x" * 600,
        "/v1/disputes?limit=-1",
        "/v1/disputes?state=odd",
        "/v1/dead-letters?state=odd",
        "/v1/siei/rejections?code=odd",
    ):
        expect_problem(await referral.get(path))
