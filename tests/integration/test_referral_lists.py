"""SIEI lists and events through referral, on a real store and broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from services.referral.app import app
from services.referral.settings import ReferralSettings
from shared.events import SieiDropout
from tests.backends import Kafka
from tests.support.probe import consume, eventually, produce, running
from tests.support.referral import is_about_a_youth, know_platforms, prepare, send, youths
from tests.support.siei import as_csv, ine, row


def siei(event_id: str, data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": event_id, "source": "/siei/scolarite", "type": SieiDropout.TYPE, "data": data}


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReferralSettings:
    return await prepare(mongo_url, kafka, db_name, topic_prefix)


@pytest.fixture
async def referral(settings: ReferralSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app(settings)) as client:
        await know_platforms(settings)
        yield client


async def test_a_list_is_counted_by_what_became_of_its_rows(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    counts = await send(
        referral,
        row(1, ine=ine(1)),
        row(2),
        row(2, source="APPRENTISSAGE", source_row="A1", family_name="martin-c"),
        row(1, source="MISSION_LOCALE", source_row="M1", ine=ine(1), birth_date="1996-05-13"),
        row(2),
        row(3, birth_date="2001-01-01"),
        row(4, last_school="0010001X"),
        row(5, commune="01999", ine="nonsense"),
    )
    assert counts["state"] == "done"
    assert counts["rows"] == 8
    assert (counts["accepted"], counts["matched"], counts["disputed"], counts["repeated"]) == (3, 1, 1, 1)
    assert counts["rejected"] == {"under_16": 1, "unknown_school": 1}
    assert counts["warnings"] == {"bad_ine": 1, "commune_not_listed": 1}
    errors = (await referral.get(f"/v1/siei/imports/{counts['import_id']}/errors")).json()["items"]
    assert [(error["line"], error["code"], error["field"]) for error in errors] == [
        (7, "under_16", "birth_date"),
        (8, "unknown_school", "last_school"),
    ]
    assert errors[1]["suggestion"] == "0010001W"
    events = await consume(
        settings.kafka_bootstrap, settings.topic("referral.events"), count=4, within_s=3, keep=is_about_a_youth
    )
    assert len(events) == 3
    assert all(name not in event.data.decode() for event in events for name in ("MARTIN", "Chlo", ine(1), "1996-05-12"))
    data = json.loads(events[0].data)
    assert data["birth_month"] == "1996-05"
    assert data["on"] == "2013-03-31"


async def test_each_youth_has_one_owner_by_commune_failing_that_by_departement(referral: httpx.AsyncClient) -> None:
    await send(referral, row(1), row(2, commune="01034"), row(3, commune="2A004"), row(4, commune="13201"))
    owners = {youth["family_name"]: (youth["platform_id"], youth["academie"]) for youth in await youths(referral)}
    assert owners == {
        "MARTINB": ("PSAD-AMBERIEU", "10"),
        "MARTINC": ("PSAD-01", "10"),
        "MARTIND": ("PSAD-2A", "27"),
        "MARTINE": ("PSAD-13", "02"),
    }
    assert [youth["family_name"] for youth in await youths(referral, platform_id="PSAD-2A")] == ["MARTIND"]


async def test_the_same_list_again_changes_nothing(referral: httpx.AsyncClient, settings: ReferralSettings) -> None:
    rows = [row(number) for number in range(1, 121)]
    first = await send(referral, *rows)
    again = await send(referral, *rows)
    assert (first["accepted"], again["accepted"], again["repeated"]) == (120, 0, 120)
    assert len(await youths(referral)) == 120
    events = await consume(
        settings.kafka_bootstrap, settings.topic("referral.events"), count=121, within_s=3, keep=is_about_a_youth
    )
    assert len(events) == len({event.subject for event in events}) == 120


async def test_two_replicas_that_read_the_same_list_and_two_bases_at_once_make_one_youth_each(
    settings: ReferralSettings,
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(running(app(settings))) for _ in range(2)]
        await know_platforms(settings)
        people = range(1, 201)
        school = [row(number, ine=ine(number)) for number in people]
        apprentices = [row(number, source="APPRENTISSAGE", source_row=f"A{number}") for number in people]
        results = await asyncio.gather(
            send(replicas[0], *school),
            send(replicas[1], *school),
            send(replicas[0], *apprentices),
            send(replicas[1], *reversed(apprentices)),
        )
        assert sum(result["accepted"] for result in results) == 200
        assert sum(result["matched"] for result in results) == 200
        assert sum(result["repeated"] for result in results) == 400
        assert sum(result["disputed"] for result in results) == 0
        everyone = await youths(replicas[0])
        assert len(everyone) == 200
        assert all(youth["ine"] for youth in everyone)
        assert all(len(youth["sightings"]) == 2 for youth in everyone)


async def test_of_who_is_in_dispute_nothing_is_published_until_a_person_settles_it(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    await send(referral, row(1, ine=ine(1)))
    await send(
        referral,
        row(1, source_row="X1", ine=ine(2)),
        row(9, source_row="X2", ine=ine(1), birth_date="1995-01-01"),
    )
    page = (await referral.get("/v1/disputes")).json()
    assert {item["reason"] for item in page["items"]} == {"other_ine_of_same_form", "ine_with_other_birth_date"}
    by_reason = {item["reason"]: item for item in page["items"]}
    [known] = await youths(referral)
    other = by_reason["other_ine_of_same_form"]
    assert [candidate["youth_id"] for candidate in other["candidates"]] == [known["youth_id"]]
    url = f"/v1/disputes/{other['dispute_id']}/resolution"
    wrong = await referral.post(url, json={"decision": "same", "youth_id": "nobody"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "not_a_candidate")
    settled = await referral.post(url, json={"decision": "other"})
    assert settled.status_code == 201
    assert settled.json()["youth_id"] != known["youth_id"]
    assert (await referral.post(url, json={"decision": "other"})).json()["code"] == "already_resolved"
    same = by_reason["ine_with_other_birth_date"]
    settled = await referral.post(
        f"/v1/disputes/{same['dispute_id']}/resolution", json={"decision": "same", "youth_id": known["youth_id"]}
    )
    assert settled.json()["youth_id"] == known["youth_id"]
    events = await consume(
        settings.kafka_bootstrap, settings.topic("referral.events"), count=3, within_s=3, keep=is_about_a_youth
    )
    assert len(events) == 2
    # Two youths now have these names and birth date: without an INE nobody can tell which.
    counts = await send(referral, row(1, source_row="X3"))
    assert counts["disputed"] == 1
    counts = await send(referral, row(1, source_row="X4", ine=ine(2)))
    assert counts["matched"] == 1


async def test_siei_events_from_the_bus_are_taken_in_and_under_16s_leave_only_a_count(
    referral: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    topic = settings.topic("siei.dropouts")
    binary = [
        (name, value.encode())
        for name, value in {
            "ce_specversion": "1.0",
            "ce_id": "k1",
            "ce_source": "/siei",
            "ce_type": SieiDropout.TYPE,
            "content-type": "application/json",
        }.items()
    ]
    structured = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    young = {**row(7, birth_date="2000-02-02"), "family_name": "SECRET"}
    await produce(
        settings.kafka_bootstrap,
        topic,
        (b"1", json.dumps(row(1)).encode(), binary),
        (b"1", json.dumps(row(1)).encode(), binary),
        (b"2", json.dumps(siei("k2", {**row(2), "followed_by_mission_locale": True})).encode(), structured),
        (b"3", json.dumps(siei("k3", young)).encode(), structured),
        (b"4", b'{"family_name": "SECRET", "birth_date": "2000-02-02", "campaign": "2013-03", oops', binary),
        (b"5", json.dumps(siei("k5", row(5, left_on="yesterday"))).encode(), structured),
        (b"6", json.dumps(siei("k6", row(6, commune="Lyon"))).encode(), structured),
        (b"8", b"not json", binary),
        (b"9", json.dumps(siei("k9", row(9))).encode(), structured),
    )

    async def three() -> bool:
        return len(await youths(referral)) == 3

    await eventually(three, what="the three good rows")

    async def set_aside() -> list[dict[str, Any]]:
        return list((await referral.get("/v1/dead-letters")).json()["items"])

    dead = await eventually(set_aside)
    assert sorted(item["code"] for item in dead) == ["bad_json", "malformed"]
    rejected = (await referral.get("/v1/siei/rejections")).json()["items"]
    assert [item["code"] for item in rejected] == ["unknown_commune"]
    from shared.mongo import Mongo

    mongo = Mongo(settings.mongo_url, settings.database)
    for name in await mongo.db.list_collection_names():
        async for document in mongo[name].find():
            assert "SECRET" not in str(document), f"an under-16's name is in {name}"
    assert (await mongo["rejection_counts"].find_one({"_id": "under_16"})) == {"_id": "under_16", "rows": 1}
    await mongo.close()


async def test_events_over_http_are_answered_one_by_one(referral: httpx.AsyncClient) -> None:
    batch = [
        siei("h1", row(1)),
        siei("h2", row(2, sex="?")),
        {"id": "h3"},
        "nonsense",
        {**siei("h5", row(5)), "type": "other"},
        siei("h6", [1]),
        siei("h7", {**row(7), "birth_date": "2000-01-01"}),
        siei("h8", row(8)),
        siei("\ud800", row(9)),
        siei("h10", {**row(10), "phone": "\ud800"}),
    ]
    answer = await referral.post(
        "/v1/siei/dropouts",
        content=json.dumps(batch),
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [(result["ce_id"], result["status"], result.get("code")) for result in results] == [
        ("h1", "accepted", None),
        ("h2", "rejected", "malformed"),
        ("h3", "rejected", "no_data"),
        (None, "rejected", "bad_json"),
        ("h5", "rejected", "unknown_type"),
        ("h6", "rejected", "malformed"),
        ("h7", "rejected", "under_16"),
        ("h8", "accepted", None),
        (None, "rejected", "malformed"),
        (None, "rejected", "malformed"),
    ]
    one = await referral.post(
        "/v1/siei/dropouts", json=siei("h1", row(1)), headers={"Content-Type": "application/cloudevents+json"}
    )
    assert one.json()["results"][0]["outcome"] == "repeated"
    assert (await referral.post("/v1/siei/dropouts", content=b"{")).json()["code"] == "invalid_json"
    many = await referral.post("/v1/siei/dropouts", content=json.dumps([1] * 10_001))
    assert (many.status_code, many.json()["code"]) == (413, "batch_too_large")
    assert len(await youths(referral)) == 2


async def test_a_broken_list_loses_nothing_that_is_valid(referral: httpx.AsyncClient) -> None:
    good = as_csv([row(number) for number in range(1, 6)]).decode().splitlines()
    lines = [
        good[0],
        good[1],
        "too;few;cells",
        good[2],
        good[3].replace("MARTIN", "MAR\udcffTIN"),
        '"never closed;' + good[4],
        good[5],
    ]
    body = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    answer = await referral.post("/v1/siei/imports", content=body, headers={"Content-Type": "text/csv"})
    counts = answer.json()
    assert counts["accepted"] == 3
    assert counts["rejected"] == {"malformed": 3}
    refused = await referral.post("/v1/siei/imports", content=b"a;b\n1;2\n", headers={"Content-Type": "text/csv"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_header")
    assert refused.json()["detail"].startswith("line 1: ")
    assert refused.json()["detail"].count("line 1") == 1
    assert "campaign" in refused.json()["detail"]
    assert (await referral.get(f"/v1/siei/imports/{refused.json()['import_id']}")).json()["state"] == "failed"
    wrong = await referral.post("/v1/siei/imports", content=b"x", headers={"Content-Type": "application/pdf"})
    assert wrong.status_code == 415
    assert (await referral.get("/v1/siei/imports/none")).json()["code"] == "unknown_import"


async def test_an_import_with_the_same_idempotency_key_is_the_same_import(referral: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "list-1"}
    first = await referral.post("/v1/siei/imports", content=as_csv([row(1)]), headers=headers)
    again = await referral.post("/v1/siei/imports", content=as_csv([row(1)]), headers=headers)
    assert first.json() == again.json()
    assert first.json()["accepted"] == 1
