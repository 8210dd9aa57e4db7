"""The platforms' work on the worklist: contacts, interviews, dismissal, transfer, youths who come by themselves."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest

from services.referral.app import app
from services.referral.settings import ReferralSettings
from shared.events import ContractEnded, ContractSigned
from tests.backends import Kafka
from tests.support.probe import consume, eventually, produce, running
from tests.support.referral import event, is_about_a_youth, know_platforms, prepare, send, youths
from tests.support.siei import row


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReferralSettings:
    return await prepare(mongo_url, kafka, db_name, topic_prefix)


@pytest.fixture
async def referral(settings: ReferralSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app(settings)) as client:
        await know_platforms(settings)
        yield client


async def one(client: httpx.AsyncClient, **changes: str) -> str:
    """A youth from a list of March 2013."""
    await send(client, row(1, **changes))
    [youth] = await youths(client)
    return str(youth["youth_id"])


async def post(client: httpx.AsyncClient, youth: str, what: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/youths/{youth}/{what}", json=body)


async def state(client: httpx.AsyncClient, youth: str) -> str:
    return str((await client.get(f"/v1/youths/{youth}")).json()["state"])


async def published(settings: ReferralSettings, count: int) -> list[tuple[str, dict[str, Any]]]:
    events = await consume(
        settings.kafka_bootstrap,
        settings.topic("referral.events"),
        count=count + 1,
        within_s=2.5,
        keep=is_about_a_youth,
    )
    assert len(events) == count, [event.type for event in events]
    return [(event.type.split(".")[3], json.loads(event.data)) for event in events]


async def test_a_youth_is_contacted_reached_and_interviewed(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    youth = await one(referral)
    assert await state(referral, youth) == "to_contact"
    answer = await post(referral, youth, "contacts", on="2013-04-02", channel="phone", outcome="no_answer")
    assert (answer.status_code, answer.json()["state"]) == (201, "contacting")
    answer = await post(referral, youth, "contacts", on="2013-04-09", channel="phone", outcome="reached")
    assert answer.json()["state"] == "reached"
    answer = await post(
        referral, youth, "interviews", on="2013-04-15", needs=["orientation"], level="V", wishes=["22"], mobility_km=30
    )
    assert (answer.status_code, answer.json()["state"]) == (201, "interviewed")
    assert [item["youth_id"] for item in await youths(referral, state="interviewed")] == [youth]
    events = await published(settings, 4)
    assert [kind for kind, _ in events] == [
        "dropout-detected",
        "contact-attempted",
        "contact-attempted",
        "interview-done",
    ]
    assert events[3][1] == {
        "youth_id": youth,
        "on": "2013-04-15",
        "needs": ["orientation"],
        "level": "V",
        "wishes": ["22"],
        "mobility_km": 30,
    }


async def test_whom_nobody_reached_is_to_be_contacted_again_at_the_next_campaign(referral: httpx.AsyncClient) -> None:
    youth = await one(referral)
    for day, channel in (("2013-04-02", "phone"), ("2013-04-10", "sms"), ("2013-04-20", "phone")):
        await post(referral, youth, "contacts", on=day, channel=channel, outcome="no_answer")
    assert await state(referral, youth) == "unreachable"
    assert len(await youths(referral, state="unreachable")) == 1
    await send(referral, row(77, campaign="2013-10"))
    assert await state(referral, youth) == "to_contact"
    assert {item["youth_id"] for item in await youths(referral, state="to_contact")} >= {youth}
    assert await youths(referral, state="unreachable") == []
    answer = await post(referral, youth, "contacts", on="2013-11-05", channel="phone", outcome="no_answer")
    assert answer.json() == {"youth_id": youth, "state": "contacting", "attempts": 1}


async def test_a_new_sighting_opens_a_dismissed_case_again(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    youth = await one(referral)
    answer = await post(referral, youth, "dismissal", on="2013-05-02", reason="already_in_training")
    assert (answer.status_code, answer.json()["state"]) == (201, "dismissed")
    again = await post(referral, youth, "dismissal", on="2013-05-03", reason="error")
    assert (again.status_code, again.json()["code"]) == (409, "already_dismissed")
    counts = await send(referral, row(1, campaign="2013-10", source="MISSION_LOCALE", commune="13201"))
    assert counts["matched"] == 1
    assert await state(referral, youth) == "to_contact"
    await send(referral, row(1, campaign="2013-10", source="ETABLISSEMENT", source_row="E9"))
    events = await published(settings, 3)
    assert [kind for kind, _ in events] == ["dropout-detected", "dropout-dismissed", "dropout-detected"]
    assert events[1][1] == {
        "youth_id": youth,
        "on": "2013-05-02",
        "reason": "already_in_training",
        "source": "SCOLARITE",
    }
    assert (events[2][1]["on"], events[2][1]["platform_id"]) == ("2013-10-31", "PSAD-13")
    [shown] = await youths(referral, campaign="2013-10")
    assert (shown["platform_id"], shown["campaigns"]) == ("PSAD-13", ["2013-03", "2013-10"])


async def test_a_signed_contract_takes_the_youth_off_the_worklist_and_its_end_puts_him_back(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    youth = await one(referral)
    signed = ContractSigned(
        youth_id=youth,
        on=date(2013, 6, 1),
        contract_id="c1",
        placement_id="p1",
        solution_id="s1",
        kind="school",
        tutor_role="teacher",
        starts_on=date(2013, 9, 1),
        ends_on=date(2014, 6, 30),
    )
    ended = ContractEnded(youth_id=youth, on=date(2013, 10, 1), contract_id="c1", reason="dropped_out")
    other = ContractEnded(youth_id="of another deployment", on=date(2013, 10, 1), contract_id="c9", reason="lost")
    topic = settings.topic("tracking.events")
    tracking = "/foquale/tracking"
    await produce(settings.kafka_bootstrap, topic, event(signed, "t1", source=tracking))

    async def in_contract() -> bool:
        return await state(referral, youth) == "in_contract"

    await eventually(in_contract)
    again = event(signed, "t1b", source=tracking)
    await produce(
        settings.kafka_bootstrap,
        topic,
        event(ended, "t2", source=tracking),
        event(other, "t3", source=tracking),
        again,
    )

    async def set_aside() -> list[dict[str, Any]]:
        return list((await referral.get("/v1/dead-letters")).json()["items"])

    [dead] = await eventually(set_aside)
    assert dead["code"] == "unknown_youth"

    async def back() -> bool:
        return await state(referral, youth) == "to_contact"

    await eventually(back)
    await send(referral, row(1, campaign="2013-10"))
    assert [kind for kind, _ in await published(settings, 2)] == ["dropout-detected", "dropout-detected"]


async def test_a_transfer_changes_the_one_owner(referral: httpx.AsyncClient, settings: ReferralSettings) -> None:
    youth = await one(referral)
    unknown = await post(referral, youth, "transfer", on="2013-05-02", platform_id="PSAD-99")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_known_yet")
    early = await post(referral, youth, "transfer", on="2013-03-01", platform_id="PSAD-13")
    assert (early.status_code, early.json()["code"]) == (422, "before_assignment")
    answer = await post(referral, youth, "transfer", on="2013-05-02", platform_id="PSAD-13")
    assert answer.status_code == 201
    same = await post(referral, youth, "transfer", on="2013-05-03", platform_id="PSAD-13")
    assert (same.status_code, same.json()["code"]) == (409, "same_platform")
    assert (await youths(referral, academie="02"))[0]["youth_id"] == youth
    events = await published(settings, 2)
    assert events[1][1] == {
        "youth_id": youth,
        "on": "2013-05-02",
        "from_platform_id": "PSAD-AMBERIEU",
        "platform_id": "PSAD-13",
        "network_id": "FOQ-13",
        "departement": "13",
        "academie": "02",
    }


async def test_a_youth_who_comes_by_himself_is_taken_in_or_recognised(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    body = {
        "on": "2013-04-10",
        "family_name": "d'Artagnan",
        "given_names": "Zoé",
        "birth_date": "1995-07-01",
        "sex": "F",
        "commune": "13201",
    }
    answer = await referral.post("/v1/youths", json=body)
    assert answer.status_code == 201, answer.text
    youth = answer.json()["youth_id"]
    again = await referral.post("/v1/youths", json={**body, "family_name": "ARTAGNAN", "on": "2013-04-12"})
    assert again.json() == {"youth_id": youth, "outcome": "matched"}
    counts = await send(referral, row(3, family_name="D’ARTAGNAN", given_names="ZOE", birth_date="1995-07-01"))
    assert counts["matched"] == 1
    [(kind, data)] = await published(settings, 1)
    assert (kind, data["origin"], data["source"], data["on"], data["age"]) == (
        "dropout-detected",
        "spontaneous",
        None,
        "2013-04-10",
        17,
    )
    young = await referral.post("/v1/youths", json={**body, "birth_date": "1999-01-01"})
    assert (young.status_code, young.json()["code"]) == (422, "under_16")
    twin = await referral.post("/v1/youths", json={**body, "ine": "0123A45678B"})
    assert twin.json()["outcome"] == "matched"
    other = await referral.post("/v1/youths", json={**body, "ine": "0123A45678C"})
    assert (other.status_code, other.json()["code"]) == (409, "identity_disputed")
    named = {**body, "ine": "0123A45678D", "source": "MISSION_LOCALE", "source_row": "7"}
    disputes = [(await referral.post("/v1/youths", json=named)).json()["dispute_id"] for _ in range(2)]
    assert disputes[0] == disputes[1]
    await referral.post(f"/v1/disputes/{disputes[0]}/resolution", json={"decision": "same", "youth_id": youth})
    assert (await referral.post("/v1/youths", json=named)).json() == {"youth_id": youth, "outcome": "repeated"}
    assert [item["dispute_id"] for item in (await referral.get("/v1/disputes")).json()["items"]] == [
        other.json()["dispute_id"]
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("contacts", {"on": "2013-02-30", "channel": "phone", "outcome": "reached"}, 422, "invalid_request"),
        ("contacts", {"on": 0, "channel": "phone", "outcome": "reached"}, 422, "invalid_request"),
        ("contacts", {"on": "2013-04-02T00:00:00", "channel": "sms", "outcome": "reached"}, 422, "invalid_request"),
        ("contacts", {"channel": "phone", "outcome": "reached"}, 422, "invalid_request"),
        ("contacts", {"on": "2013-04-02", "channel": "pigeon", "outcome": "reached"}, 422, "invalid_request"),
        ("contacts", {"on": "2013-04-02", "channel": "sms", "outcome": "reached", "x": 1}, 422, "invalid_request"),
        ("interviews", {"on": "2013-04-02", "needs": "one", "wishes": []}, 422, "invalid_request"),
        ("interviews", {"on": "2013-04-02", "needs": [], "wishes": [], "mobility_km": 1e99}, 422, "invalid_request"),
        ("dismissal", {"on": "2013-04-02", "reason": "no idea"}, 422, "invalid_request"),
        ("transfer", {"on": "2013-04-02", "platform_id": ""}, 422, "invalid_request"),
        ("transfer", [], 422, "invalid_request"),
    ],
)
async def test_a_bad_command_names_the_field(
    referral: httpx.AsyncClient, path: str, body: Any, status: int, code: str
) -> None:
    answer = await referral.post(f"/v1/youths/nobody/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["errors"]
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_does_not_exist_is_a_404_and_a_bad_filter_a_422(referral: httpx.AsyncClient) -> None:
    body = {"on": "2013-04-02", "channel": "phone", "outcome": "reached"}
    for youth in ("nobody", "%00", "x" * 3_000, "é"):
        assert (await referral.post(f"/v1/youths/{youth}/contacts", json=body)).json()["code"] == "unknown_youth"
        assert (await referral.get(f"/v1/youths/{youth}")).json()["code"] == "unknown_youth"
    for query in ("state=happy", "limit=0", "limit=x", "campaign=march", "colour=blue"):
        answer = await referral.get(f"/v1/youths?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await referral.get("/nowhere")).json()["code"] == "no_such_path"
    assert (await referral.put("/v1/youths")).json()["code"] == "method_not_allowed"
    settle = await referral.post("/v1/disputes/none/resolution", json={"decision": "other"})
    assert settle.json()["code"] == "unknown_dispute"
    half = await referral.post("/v1/disputes/none/resolution", json={"decision": "same"})
    assert half.status_code == 422
