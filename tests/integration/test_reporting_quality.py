"""What reporting says of quality is what referral answered: lists, disputes and dead letters, on real backends."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.referral import app as referral_app
from services.referral.settings import ReferralSettings
from services.reporting import app as reporting_app
from services.reporting.settings import ReportingSettings
from shared.clock import Clock, utc_now
from shared.envelope import Envelope
from shared.events import ListTakenIn, SieiDropout
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.support.lives import contracted
from tests.support.probe import consume, eventually, produce, running
from tests.support.referral import event, know_platforms, prepare, send
from tests.support.reporting import settings_of
from tests.support.siei import as_csv, ine, row

State = dict[str, Any]
OUTCOMES = ("rows", "accepted", "matched", "disputed", "repeated")
LIST = (
    row(1, ine=ine(1)),
    row(2),
    row(2, source="APPRENTISSAGE", source_row="A1", family_name="martin-c"),
    row(1, source="MISSION_LOCALE", source_row="M1", ine=ine(1), birth_date="1996-05-13"),
    row(2),
    row(3, birth_date="2001-01-01"),
    row(4, last_school="0010001X", campaign="2013-02"),
    row(5, commune="01999", ine="nonsense"),
    row(6, source="NOBODY"),
)


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReferralSettings:
    return await prepare(mongo_url, kafka, db_name, topic_prefix, retry_first_s=3_600)


@pytest.fixture
def of_reporting(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    return settings_of(mongo_url, kafka, db_name, topic_prefix)


@pytest.fixture
async def referral(settings: ReferralSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(referral_app.app(settings)) as client:
        await know_platforms(settings)
        yield client


@pytest.fixture
async def reporting(settings: ReferralSettings, of_reporting: ReportingSettings) -> AsyncIterator[httpx.AsyncClient]:
    assert settings.topic_prefix == of_reporting.topic_prefix
    async with running(reporting_app.app(of_reporting)) as client:
        yield client


async def state(reporting: httpx.AsyncClient, **period: str) -> State:
    answer = await reporting.get("/v1/quality", params=period)
    assert answer.status_code == 200, answer.text
    body: State = answer.json()
    return body


def told(body: State) -> State:
    """What the state says of lists, in the words of an import."""
    return {
        **{name: sum(source[name] for source in body["sources"]) for name in OUTCOMES},
        "rejected": body["rejected"],
        "warnings": body["warnings"],
    }


def answered(answers: Iterable[State]) -> State:
    """What imports answered, added up."""
    sums: dict[str, Counter[str]] = {"rejected": Counter(), "warnings": Counter(), "rows": Counter()}
    for answer in answers:
        sums["rejected"].update(answer["rejected"])
        sums["warnings"].update(answer["warnings"])
        sums["rows"].update({name: answer[name] for name in OUTCOMES})
    counts = {name: sums["rows"][name] for name in OUTCOMES}
    return {**counts, "rejected": dict(sums["rejected"]), "warnings": dict(sums["warnings"])}


async def heard(reporting: httpx.AsyncClient, rows: int) -> State:
    """The state once so many rows are in it."""

    async def look() -> State | None:
        body = await state(reporting)
        return body if told(body)["rows"] == rows else None

    found = await eventually(look, what=f"{rows} rows")
    assert found is not None
    return found


def by_source(body: State) -> dict[str, State]:
    return {source["source"]: source for source in body["sources"]}


async def test_what_is_counted_of_lists_is_what_their_imports_answered_however_often_they_come(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    answers = [await send(referral, *LIST)]
    events = await consume(settings.kafka_bootstrap, settings.topic("referral.events"), count=5, within_s=3)
    [of_list] = [event for event in events if event.type == ListTakenIn.TYPE]
    assert not [word for word in ("MARTIN", "martin", "2001", "1996", "0601020304", "R3") if word in str(of_list.data)]
    body = await heard(reporting, 9)
    assert told(body) == answered(answers)
    assert body["rejected"] == {"malformed": 1, "under_16": 1, "unknown_school": 1}
    sources = by_source(body)
    assert list(sources) == [
        "SCOLARITE",
        "AGRICULTURE",
        "APPRENTISSAGE",
        "MISSION_LOCALE",
        "ETABLISSEMENT",
        "UNREADABLE",
    ]
    scolarite = sources["SCOLARITE"]
    assert (scolarite["rows"], scolarite["accepted"], scolarite["repeated"], scolarite["rejected_total"]) == (
        6,
        3,
        1,
        2,
    )
    assert (scolarite["accepted_share"], scolarite["rejected_share"]) == (0.5, 0.3333)
    assert scolarite["warnings"] == {"bad_ine": 1, "commune_not_listed": 1}
    assert sources["APPRENTISSAGE"]["matched"] == sources["MISSION_LOCALE"]["disputed"] == 1
    assert sources["UNREADABLE"]["rejected"] == {"malformed": 1}
    today = datetime.now(UTC).date()
    assert (scolarite["last_on"], scolarite["last_campaign"]) == (today.isoformat(), "2013-03")
    assert (scolarite["silence_days"], scolarite["silent"]) == (0, False)
    never = sources["AGRICULTURE"]
    assert (never["last_on"], never["silence_days"], never["silent"], never["rows"]) == (None, None, False, 0)

    answers.append(await send(referral, *LIST))
    body = await heard(reporting, 18)
    assert told(body) == answered(answers)
    assert told(body)["repeated"] == 7

    youth_id = (await referral.get("/v1/youths")).json()["items"][0]["youth_id"]
    dismissal = {"on": "2013-04-02", "reason": "error"}
    assert (await referral.post(f"/v1/youths/{youth_id}/dismissal", json=dismissal)).status_code == 201

    async def false_positive() -> bool:
        source = by_source(await state(reporting))["SCOLARITE"]
        return (source["detected"], source["dismissed"], source["false_positive_rate"]) == (3, 1, 0.3333)

    await eventually(false_positive, what="the false positive")

    tomorrow = (today + timedelta(days=1)).isoformat()
    assert told(await state(reporting, to=today.isoformat()))["rows"] == 18
    assert told(await state(reporting, **{"from": tomorrow}))["rows"] == 0
    upside_down = await reporting.get("/v1/quality", params={"from": tomorrow, "to": today.isoformat()})
    assert (upside_down.status_code, upside_down.json()["code"]) == (422, "period_upside_down")
    assert (await reporting.get("/v1/quality", params={"from": "2013-02-30"})).status_code == 422


async def test_rows_sent_as_events_count_as_they_were_answered_by_http_and_once_each_by_the_bus(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    rows = [row(1), row(2, birth_date="2001-01-01"), row(3, left_on="nonsense"), row(1)]
    sent = [
        {"specversion": "1.0", "id": f"e{n}", "source": "/siei", "type": SieiDropout.TYPE, "data": data}
        for n, data in enumerate(rows)
    ]
    results = (await referral.post("/v1/siei/dropouts", json=sent)).json()["results"]
    assert [result.get("code") or result["outcome"] for result in results] == [
        "accepted",
        "under_16",
        "malformed",
        "repeated",
    ]
    body = await heard(reporting, 4)
    expected = {"rows": 4, "accepted": 1, "matched": 0, "disputed": 0, "repeated": 1, "warnings": {}}
    assert told(body) == expected | {"rejected": {"malformed": 1, "under_16": 1}}

    events = [siei(f"b{number}", row(number)) for number in range(10, 20)]
    await produce(settings.kafka_bootstrap, settings.topic("siei.dropouts"), *events, *events)
    body = await heard(reporting, 14)
    assert told(body)["accepted"] == 11
    assert body["dead_letters"] == []


def siei(event_id: str, data: dict[str, str]) -> Envelope:
    return event(SieiDropout.model_validate(data), event_id, source="/siei/scolarite")


async def test_a_list_that_broke_off_and_is_sent_again_counts_each_youth_once_and_what_is_read_twice_as_repeated(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient
) -> None:
    whole = as_csv([row(number) for number in range(1, 121)])
    key = {"Content-Type": "text/csv", "Idempotency-Key": "list-1"}

    async def broken_off() -> AsyncIterator[bytes]:
        yield whole[: len(whole) * 2 // 3]
        raise ConnectionError

    assert (await referral.post("/v1/siei/imports", content=broken_off(), headers=key)).status_code == 500
    done = (await referral.post("/v1/siei/imports", content=whole, headers=key)).json()
    assert (done["state"], done["rows"]) == ("done", 120)
    body = await heard(reporting, 120 + done["repeated"])
    assert (told(body)["accepted"], told(body)["repeated"]) == (120, done["repeated"])


async def test_disputes_are_open_until_a_person_settles_them(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient
) -> None:
    await send(referral, row(1, ine=ine(1)))
    await send(referral, row(1, source_row="X1", ine=ine(2)), row(9, source_row="X2", ine=ine(1)))
    body = await heard(reporting, 3)
    today = datetime.now(UTC).date().isoformat()
    oldest = {"oldest_open_on": today, "oldest_open_days": 0}
    disputes = (await referral.get("/v1/disputes")).json()["items"]
    number = len(disputes)
    assert number >= 1
    assert body["disputes"] == {"opened": number, "settled": 0, "open": number, **oldest}
    for dispute in disputes:
        url = f"/v1/disputes/{dispute['dispute_id']}/resolution"
        assert (await referral.post(url, json={"decision": "other"})).status_code == 201

    async def settled() -> bool:
        return bool((await state(reporting))["disputes"]["settled"] == number)

    await eventually(settled, what="the settled disputes")
    nothing = {"open": 0, "oldest_open_on": None, "oldest_open_days": None}
    assert (await state(reporting))["disputes"] == {"opened": number, "settled": number, **nothing}


async def test_a_dead_letter_of_another_service_is_told_once_and_settled_once_replayed(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient, settings: ReferralSettings
) -> None:
    signed = event(contracted("nobody-yet", date(2013, 9, 2)), "c1", source="/foquale/tracking")
    broken = (b"k", b"{no json", [("ce_type", b"x"), ("content-type", b"application/json")])
    await produce(settings.kafka_bootstrap, settings.topic("tracking.events"), signed, signed, broken)

    async def kept() -> list[State] | None:
        letters: list[State] = (await state(reporting))["dead_letters"]
        return letters if sum(letter["kept"] for letter in letters) >= 4 else None

    letters = await eventually(kept, what="four dead letters")
    assert letters is not None
    counts = {(letter["service"], letter["code"]): (letter["kept"], letter["open"]) for letter in letters}
    # The broken record is one of reporting as well, which reads it out of its own store; each record counts.
    assert counts == {
        ("referral", "missing_attribute"): (1, 1),
        ("referral", "unknown_youth"): (2, 2),
        ("reporting", "missing_attribute"): (1, 1),
    }

    await send(referral, row(1))
    mongo = Mongo(settings.mongo_url, settings.database)
    youth = await mongo["youths"].find_one({})
    assert youth is not None
    await mongo["youths"].insert_one({**youth, "_id": "nobody-yet"})
    await mongo.close()
    for _ in range(2):  # the second one changes nothing, and tells nothing
        answer = await referral.post("/v1/dead-letters/replay", json={"code": "unknown_youth", "state": "waiting"})
        assert answer.status_code == 200, answer.text

    async def healed() -> bool:
        found = {letter["code"]: letter for letter in (await state(reporting))["dead_letters"]}
        return (found["unknown_youth"]["settled"], found["unknown_youth"]["open"]) == (2, 0)

    await eventually(healed, what="the settled dead letter")
    events = await consume(settings.kafka_bootstrap, settings.topic("referral.events"), count=20, within_s=1)
    told_of = Counter(event.type.split(".")[3] for event in events if "dead-letter" in event.type)
    assert told_of == {"dead-letter-kept": 3, "dead-letter-settled": 2}
    assert all("MARTIN" not in event.data.decode() for event in events)


async def test_a_rebuild_has_all_of_it_and_a_verification_compares_it(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient, of_reporting: ReportingSettings
) -> None:
    await send(referral, *LIST)
    before = await heard(reporting, 9)

    async def built(kind: str) -> State:
        path = f"/v1/projection/{kind}s"
        begun = (await reporting.post(path, json={})).json()

        async def ended() -> State | None:
            build: State = (await reporting.get(f"{path}/{begun[f'{kind}_id']}")).json()
            return build if build["state"] != "running" else None

        found = await eventually(ended, what=f"the {kind}")
        assert found is not None
        return found

    assert (await built("rebuild"))["state"] == "done"
    after = await state(reporting)
    assert {**after, "as_of": None, "topics": None} == {**before, "as_of": None, "topics": None}
    verified = await built("verification")
    assert (verified["state"], verified["differences"]["total"]) == ("done", 0)

    mongo = Mongo(of_reporting.mongo_url, of_reporting.database)
    await mongo["taken_lists_2"].update_many({}, {"$set": {"on": "1999-01-01"}})
    await mongo["disputes_2"].delete_many({})
    await mongo.close()
    spoilt = await built("verification")
    assert {item["note"].split("|")[0] for item in spoilt["differences"]["items"]} == {"taken_lists", "disputes"}


async def test_silence_rings_and_the_public_sees_no_small_count_nor_what_gives_one_away(
    referral: httpx.AsyncClient, reporting: httpx.AsyncClient, of_reporting: ReportingSettings
) -> None:
    rejected = [row(n, birth_date="1980-01-01") for n in range(100, 106)]
    await send(referral, *(row(n) for n in range(1, 31)), *rejected, row(200, birth_date="2001-01-01"))
    await heard(reporting, 37)
    async with running(reporting_app.app(of_reporting, clock=later(46))) as client:
        sources = by_source(await state(client))
        assert (sources["SCOLARITE"]["silence_days"], sources["SCOLARITE"]["silent"]) == (46, True)
        assert not sources["AGRICULTURE"]["silent"]
        metrics = (await client.get("/metrics")).text
    assert 'foquale_source_silence_days{source="SCOLARITE"} 46.0' in metrics
    assert "AGRICULTURE" not in metrics

    async with running(reporting_app.app(of_reporting.model_copy(update={"reader": "public"}))) as client:
        body = await state(client)
        part = await client.get("/v1/quality", params={"from": "2013-04-02", "to": "2013-04-30"})
    assert (part.status_code, part.json()["code"]) == (422, "period_not_whole_months")
    assert body["rejected"] == {"over_25": 6, "under_16": None}
    scolarite = by_source(body)["SCOLARITE"]
    assert (scolarite["accepted"], scolarite["rows"], scolarite["rejected_total"]) == (30, None, None)
    assert scolarite["rejected_share"] is None


def later(days: int) -> Clock:
    return lambda: utc_now() + timedelta(days=days)
