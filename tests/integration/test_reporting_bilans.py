"""Bilans on a real store and broker: from draft to frozen, corrected, and the same in every format."""

import asyncio
import csv
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import frictionless
import httpx
import openpyxl  # type: ignore[import-untyped]  # it has no types
import pypdf
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.envelope import Envelope
from shared.events import BilanPublished, NetworkRegistered, YouthEvent
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.support.lives import OWNERS, contacted, contracted, detected, interviewed, offered, recorded, started
from tests.support.oracle import Happened
from tests.support.probe import consume, eventually, produce, running
from tests.support.reporting import caught_up, send, settings_of

WHEN = "/v1/bilans/2013/2/01"
PARIS, CRETEIL = 0, 2
NETWORKS = {"FOQ-75-01": "Paris Nord", "FOQ-75-02": "=Paris Sud", "FOQ-93-01": "Bobigny"}
HARSH = '# Titre *gras* $x^2$ @ref `code` <label> \\ // #panic("non") [a](b) 😀 = ' + "é" * 300
STAND = {"by": "Mme Durand", "role": "rectrice"}


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    settings = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(settings, [settings.topic(name) for name in (*TOPICS, "reporting.events")])
    return settings


@pytest.fixture
async def client(settings: ReportingSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Reporting in May 2013, with the lives of 60 youths."""
    async with running(app(settings, clock=may)) as client:
        await produce(settings.kafka_bootstrap, settings.topic("catalogue.events"), *registered())
        await send(settings, lives())
        await eventually(lambda: caught_up(client), within_s=30)
        yield client


def may() -> datetime:
    return datetime(2013, 5, 6, 9, 30, tzinfo=UTC)


def registered() -> list[Envelope]:
    academies = {network: academie for academie, _, _, network in OWNERS}
    events = [
        NetworkRegistered(network_id=network, name=name, academie=academies[network], platform_ids=("PSAD-75-01",))
        for network, name in NETWORKS.items()
    ]
    return [
        Envelope(
            id=f"n-{number}",
            type=event.TYPE,
            source="/foquale/catalogue",
            time=may(),
            subject=event.subject(),
            data=event.model_dump_json().encode(),
        )
        for number, event in enumerate(events)
    ]


def lives() -> list[Happened]:
    """Sixty youths: two thirds of them of Paris, detected from January to April; the further on, the fewer."""
    events: list[YouthEvent] = []
    for number in range(60):
        youth, owner = f"y{number}", (PARIS, PARIS + 1, CRETEIL)[number % 3]
        begin = date(2013, 1 + number % 4, 3 + number % 20)
        events.append(detected(youth, begin, owner))
        if number % 5:
            events.append(contacted(youth, begin.replace(day=25)))
        if number % 2:
            events.append(interviewed(youth, begin.replace(day=26)))
            events.append(offered(youth, begin.replace(day=27)))
        if number % 4 == 1:
            events.append(contracted(youth, begin.replace(day=28)))
            events.append(started(youth, begin.replace(day=28)))
    return recorded(events, prefix="e", seed=5)


async def write(client: httpx.AsyncClient, unit: str = "FOQ-75-01", **more: str) -> httpx.Response:
    body = {"worked": "Les entretiens.", "needs": "", "obstacles": "", "by": "M. Martin", **more}
    return await client.put(f"{WHEN}/texts/{unit}", json=body)


async def frozen(client: httpx.AsyncClient) -> dict[str, Any]:
    """The bilan, validated and frozen."""
    assert (await client.post(f"{WHEN}/validation", json=STAND)).status_code == 201
    answer = await client.post(f"{WHEN}/freezing", json={"by": "Mme Durand"})
    assert answer.status_code == 201, answer.text
    return await bilan(client)


async def bilan(client: httpx.AsyncClient, **parameters: str) -> dict[str, Any]:
    answer = await client.get(WHEN, params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def explained(client: httpx.AsyncClient) -> dict[str, Any]:
    """The bilan, once the log was read for what a correction is due to: nothing until then."""
    found = await bilan(client)
    return found if found["correction"]["events"] is not None else {}


def hash_of(found: dict[str, Any]) -> str:
    """As docs/bilans.md says: with nothing but the standard library."""
    sealed = {name: found[name] for name in found["sealed"]}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def counted(found: dict[str, Any], span: str = "period", unit: int = 0) -> dict[str, Any]:
    activity: dict[str, Any] = found["figures"][unit][span]["activity"]
    return activity


async def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_a_draft_is_there_for_every_period_begun_with_the_figures_of_now(client: httpx.AsyncClient) -> None:
    found = await bilan(client)
    assert (found["state"], found["version"], found["hash"]) == ("draft", 1, None)
    assert [(unit["unit"], unit["code"], unit["label"]) for unit in found["figures"]] == [
        ("academie", "01", "Paris"),
        ("network", "FOQ-75-01", "Paris Nord"),
        ("network", "FOQ-75-02", "=Paris Sud"),
    ]
    whole = (await client.get("/v1/indicators?by=academie&code=01&from=2013-03-01&to=2013-04-30")).json()["rows"][0]
    assert found["figures"][0]["period"] == {
        name: value for name, value in whole.items() if name in found["figures"][0]["period"]
    }
    assert counted(found)["detected"] == 20
    assert counted(found, "year")["detected"] == 40
    assert [month["month"] for month in found["series"]] == ["2013-01", "2013-02", "2013-03", "2013-04"]
    assert sum(month["activity"]["detected"] for month in found["series"]) == 40


async def test_it_goes_from_draft_by_way_of_a_visa_to_frozen_and_says_so_to_the_world(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    assert (await write(client)).json()["state"] == "draft"
    assert (await write(client, "academie", worked="Tout.")).status_code == 200
    assert await refusal(await client.post(f"{WHEN}/freezing", json={"by": "x"})) == (409, "not_validated")
    assert (await client.post(f"{WHEN}/validation", json=STAND)).json()["state"] == "validated"
    again = (await write(client, worked="Les ateliers.")).json()
    assert (again["state"], again["back_to_draft"]) == ("draft", True)
    found = await frozen(client)
    assert (found["state"], found["visas"][0]["role"]) == ("frozen", "rectrice")
    assert [(text["unit"], text["worked"]) for text in found["texts"]] == [
        ("academie", "Tout."),
        ("FOQ-75-01", "Les ateliers."),
    ]
    assert [entry["act"] for entry in found["journal"]] == [
        "text",
        "text",
        "validated",
        "text",
        "back_to_draft",
        "validated",
        "frozen",
    ]
    assert set(found["sealed"]) >= {"figures", "definitions", "position", "texts", "visas"}
    assert sum(found["position"].values()) == len([*registered(), *lives()])
    assert hash_of(found) == found["hash"]
    assert await refusal(await write(client)) == (409, "bilan_frozen")
    assert await refusal(await client.post(f"{WHEN}/validation", json=STAND)) == (409, "bilan_frozen")
    assert await refusal(await client.post(f"{WHEN}/freezing", json={"by": "x"})) == (409, "bilan_frozen")
    (event,) = await consume(settings.kafka_bootstrap, settings.topic("reporting.events"), count=1)
    told = BilanPublished.model_validate_json(event.data)
    assert (event.subject, told.hash, told.version, told.supersedes) == ("01", found["hash"], 1, None)
    assert told.frozen_on == date(2013, 5, 6)
    listed = (await client.get("/v1/bilans?year=2013&state=frozen")).json()
    assert [(item["academie"], item["hash"]) for item in listed["items"]] == [("01", found["hash"])]


async def test_what_comes_after_the_freezing_moves_the_figures_of_now_and_a_correction_tells_what_it_changed(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    first = await frozen(client)
    assert await refusal(await client.post(f"{WHEN}/corrections", json={"by": "x"})) == (422, "invalid_request")
    late = recorded(
        [detected("late", date(2013, 4, 2), PARIS), contacted("late", date(2013, 4, 9))], prefix="l", seed=1
    )
    await send(settings, late)
    await eventually(lambda: caught_up(client, last=("referral.events",)))
    assert await bilan(client) == first
    opened = await client.post(f"{WHEN}/corrections", json={"by": "M. Martin", "reason": "liste tardive"})
    assert opened.json()["version"] == 2
    assert await refusal(await client.post(f"{WHEN}/corrections", json={"by": "x", "reason": "y"})) == (
        409,
        "not_frozen",
    )
    draft = await eventually(lambda: explained(client), within_s=30, what="the explanation")
    assert (draft["version"], draft["state"], counted(draft)["detected"]) == (2, "draft", 21)
    second = await frozen(client)
    for found in (draft, second):
        changes = {
            (change["unit"], change["code"], change["span"], change["indicator"]): change
            for change in found["correction"]["changes"]
            if change["view"] == "activity"
        }
        of_period = changes["academie", "01", "period", "detected"]
        assert (of_period["old"], of_period["new"], of_period["difference"]) == (20, 21, 1)
        assert ("network", "FOQ-75-02", "period", "detected") not in changes
        assert found["correction"]["reason"] == "liste tardive"
        assert [event["id"] for event in found["correction"]["events"]] == ["l-000000", "l-000001"]
        assert (found["correction"]["events_total"], found["correction"]["events_by"]) == (2, "positions")
    assert (second["version"], hash_of(second)) == (2, second["hash"])
    old = await bilan(client, version="1")
    assert {**first, "versions": []} == {**old, "versions": []}
    assert [line["state"] for line in old["versions"]] == ["frozen", "frozen"]


async def test_where_the_log_was_made_anew_a_correction_goes_by_the_time_of_recording_and_says_so(
    client: httpx.AsyncClient, settings: ReportingSettings, unique: str
) -> None:
    await frozen(client)
    await client.post(f"{WHEN}/corrections", json={"by": "M. Martin", "reason": "journal perdu"})
    anew = settings.model_copy(update={"topic_prefix": f"{unique}.anew."})
    await ensure_topics(anew, [anew.topic(name) for name in (*TOPICS, "reporting.events")])
    async with running(app(anew, clock=may)) as other:
        found = await eventually(lambda: explained(other), within_s=30, what="the explanation")
        assert (found["correction"]["events_by"], found["correction"]["events"]) == ("time", [])
        assert (await frozen(other))["correction"]["events_by"] == "time"


async def test_two_replicas_that_freeze_at_once_freeze_it_once(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    async with AsyncExitStack() as replicas:
        other = await replicas.enter_async_context(running(app(settings, clock=may)))
        assert (await client.post(f"{WHEN}/validation", json=STAND)).status_code == 201
        answers = await asyncio.gather(
            *(
                replica.post(f"{WHEN}/freezing", json={"by": f"p{number}"})
                for number, replica in enumerate([client, other] * 3)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
        assert {answer.json().get("code") for answer in answers} == {None, "bilan_frozen"}
        assert await bilan(client) == await bilan(other)
    events = await consume(settings.kafka_bootstrap, settings.topic("reporting.events"), count=2, within_s=1.5)
    assert len(events) == 1


async def test_the_same_key_freezes_once_and_answers_the_same_again(client: httpx.AsyncClient) -> None:
    await client.post(f"{WHEN}/validation", json=STAND)
    key = {"Idempotency-Key": "freeze-it"}
    first, again = [await client.post(f"{WHEN}/freezing", json={"by": "x"}, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, first.json())


async def test_a_frozen_bilan_that_was_changed_in_the_store_is_not_given_out(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    await frozen(client)
    mongo = Mongo(settings.mongo_url, settings.database)
    row = await mongo["bilans"].find_one({})
    assert row is not None
    changed = row["sealed"].replace('"detected":20', '"detected":21', 1)
    assert changed != row["sealed"]
    await mongo["bilans"].update_one({}, {"$set": {"sealed": changed}})
    assert await refusal(await client.get(WHEN)) == (500, "bilan_damaged")
    await mongo.close()


async def test_bad_requests_say_what_to_do(client: httpx.AsyncClient) -> None:
    get = client.get
    assert await refusal(await get("/v1/bilans/2013/7/01")) == (404, "unknown_period")
    assert await refusal(await get("/v1/bilans/1789/1/01")) == (404, "unknown_period")
    assert await refusal(await get("/v1/bilans/2013/4/01")) == (404, "period_not_begun")
    unknown = await get("/v1/bilans/2013/2/Pariss")
    assert await refusal(unknown) == (404, "unknown_academie")
    assert "01 (Paris)" in unknown.json()["detail"]
    assert await refusal(await get(WHEN, params={"version": "3"})) == (404, "unknown_version")
    assert await refusal(await get(WHEN, params={"network": "FOQ-75-03"})) == (404, "unknown_network")
    assert await refusal(await get(WHEN, params={"format": "docx"})) == (422, "invalid_request")
    assert await refusal(await get(WHEN, headers={"Accept": "image/png"})) == (406, "not_acceptable")
    assert await refusal(await write(client, "FOQ-93-01")) == (404, "unknown_network")
    assert await refusal(await write(client, needs="x" * 4_001)) == (422, "invalid_request")
    named = await write(client, needs="Voir jean.dupont@example.org ou 06 12 34 56 78", obstacles="INE 1234567890A")
    assert await refusal(named) == (422, "identity_in_text")
    places = [(error["field"], error["code"]) for error in named.json()["errors"]]
    assert places == [("needs", "looks_like_email"), ("needs", "looks_like_phone"), ("obstacles", "looks_like_ine")]
    assert "dupont" not in named.text
    running_period = await client.post("/v1/bilans/2013/3/01/freezing", json={"by": "x"})
    assert await refusal(running_period) == (409, "period_not_over")
    assert "2013-07-01" in running_period.json()["detail"]


async def test_every_format_says_the_same_figure_by_figure(client: httpx.AsyncClient, tmp_path: Path) -> None:
    said = await write(client, worked=HARSH, needs="=1+1\n\nDeux paragraphes.", obstacles="mot " * 999)
    assert said.status_code == 200, said.text
    found = await frozen(client)
    figures = dict(plain_figures(found))
    assert len(figures) > 300

    table = (await client.get(WHEN, headers={"Accept": "text/csv"})).content
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert {place_of(row): number(row["value"]) for row in rows} == figures
    assert len(rows) == len(figures)
    schema = (await client.get(WHEN, params={"format": "csv-schema"})).json()
    assert (await client.get("/v1/bilans/table-schema.json")).json() == schema
    (tmp_path / "bilan.csv").write_bytes(table)
    resource = frictionless.Resource(
        path="bilan.csv", basepath=str(tmp_path), schema=frictionless.Schema.from_descriptor(schema)
    )
    report = await asyncio.to_thread(resource.validate)
    assert report.valid, report.flatten(["type", "message"])[:5]

    answer = await client.get(WHEN, params={"format": "xlsx"})
    assert "bilan-foquale-2013-2-01-v1.xlsx" in answer.headers["content-disposition"]
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["Synthèse", "Réseaux", "Données", "Définitions", "Textes", "Journal"]
    assert len(book["Synthèse"]._charts) == 2
    data = list(book["Données"].iter_rows(min_row=2, values_only=True))
    expected = [figures[place_of(row)] for row in rows]
    assert [row[-1] for row in data] == ["–" if value is None else value for value in expected]
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
    assert "=1+1\n\nDeux paragraphes." in [cell.value for cell in cells]
    assert "=Paris Sud" in [cell.value for cell in cells]
    summary = next(row for row in book["Synthèse"].iter_rows(values_only=True) if row[0] == "Repérés")
    assert summary[1:5] == (20, 40, 20, 40)

    document = await client.get(WHEN, headers={"Accept": "application/pdf;q=0.9, text/html"})
    assert document.headers["content-type"] == "application/pdf"
    reader = pypdf.PdfReader(io.BytesIO(document.content))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    for told in (
        found["hash"],
        "Paris Nord",
        "Deux paragraphes.",
        "$x^2$ @ref `code`",
        "[GRINNING FACE]",
        "rectrice",
        f"1 / {len(reader.pages)}",
    ):
        assert told in text
    assert text.count("mot") >= 999
    assert b"pdfuaid" in document.content
    again = await client.get(WHEN, params={"format": "pdf"}, headers={"If-None-Match": document.headers["etag"]})
    assert again.status_code == 304


async def test_outsiders_read_what_is_frozen_without_small_counts_and_write_nothing(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    async with AsyncExitStack() as stack:
        public, neighbour, own = [
            await stack.enter_async_context(running(app(settings.model_copy(update={"reader": reader}), clock=may)))
            for reader in ("public", "academie:24", "academie:01")
        ]
        assert await refusal(await public.get(WHEN)) == (404, "not_published")
        for outsider in (public, neighbour):
            assert await refusal(await write(outsider)) == (403, "not_your_academie")
            for act, body in (
                ("validation", STAND),
                ("freezing", {"by": "x"}),
                ("corrections", {"by": "x", "reason": "y"}),
            ):
                assert await refusal(await outsider.post(f"{WHEN}/{act}", json=body)) == (403, "not_your_academie")
        assert (await write(own, by="M. Martin")).status_code == 200
        staff = await frozen(own)
        seen = await bilan(public)
        assert seen == await bilan(neighbour)
        assert await bilan(client) == staff
        assert (seen["audience"], seen["journal"], seen["texts"][0]["by"]) == ("public", [], None)
        assert hash_of(seen) == seen["hash"] != staff["hash"] == hash_of(staff)
        assert (await public.get("/v1/bilans")).json()["items"][0]["hash"] == seen["hash"]

        whole, shown = dict(plain_figures(staff)), dict(plain_figures(seen))
        assert whole.keys() == shown.keys()
        hidden = {place for place, value in whole.items() if shown[place] != value}
        assert hidden
        assert all(shown[place] is None for place in hidden)
        small = {place for place, value in whole.items() if place[-1] == "count" and value in (1, 2, 3, 4)}
        assert small
        assert small <= hidden
        rows = list(csv.DictReader(io.StringIO((await public.get(WHEN, params={"format": "csv"})).text)))
        assert {place_of(row) for row in rows if row["suppressed"] == "true"} == hidden
        assert {place_of(row): number(row["value"]) for row in rows} == shown
        book = openpyxl.load_workbook(io.BytesIO((await public.get(WHEN, params={"format": "xlsx"})).content))
        data = [row[-1] for row in book["Données"].iter_rows(min_row=2, values_only=True)]
        assert [value == "n.c." for value in data] == [place_of(row) in hidden for row in rows]
        document = pypdf.PdfReader(io.BytesIO((await public.get(WHEN, params={"format": "pdf"})).content))
        assert "n.c." in "".join(page.extract_text() for page in document.pages)
        assert "M. Martin" not in "".join(page.extract_text() for page in document.pages)


async def test_a_single_network_can_be_asked_for(client: httpx.AsyncClient) -> None:
    await write(client)
    found = await bilan(client, network="FOQ-75-01")
    assert [unit["code"] for unit in found["figures"]] == ["FOQ-75-01"]
    for format_ in ("csv", "xlsx", "pdf"):
        answer = await client.get(WHEN, params={"network": "FOQ-75-01", "format": format_})
        assert answer.status_code == 200
        assert len(answer.content) > 1_000
    book = openpyxl.load_workbook(
        io.BytesIO((await client.get(WHEN, params={"network": "FOQ-75-01", "format": "xlsx"})).content)
    )
    summary = next(row for row in book["Synthèse"].iter_rows(values_only=True) if row[0] == "Repérés")
    assert summary[1:5] == (10, 20, 10, 20)


def number(text: str) -> float | None:
    return float(text) if text else None


def place_of(row: dict[str, str]) -> tuple[str, ...]:
    names = ("code", "span", "view", "indicator", "source", "measure")
    return tuple(row[name] for name in names)


def plain_figures(found: dict[str, Any]) -> list[tuple[tuple[str, ...], float | None]]:
    """All figures of the JSON, walked without the service's own code."""
    figures: list[tuple[tuple[str, ...], float | None]] = []
    for unit in found["figures"]:
        for span in ("period", "year"):
            row, begin = unit[span], (unit["code"], span)
            figures += [((*begin, "activity", code, "", "count"), n) for code, n in row["activity"].items()]
            figures += [
                ((*begin, "activity", "dismissed", source, "count"), n)
                for source, n in row["dismissed_by_source"].items()
            ]
            for code, value in row["cohort"].items():
                if code == "shares":
                    figures += [((*begin, "cohort", of, "", "share"), n) for of, n in value.items()]
                elif code == "delays":
                    figures += [
                        ((*begin, "cohort", of, "", measure), n)
                        for of, delay in value.items()
                        for measure, n in delay.items()
                    ]
                elif code == "false_positives":
                    for source, of_source in value.items():
                        for name, n in of_source.items():
                            rate = name == "rate"
                            indicator = "false_positive_rate" if rate else name
                            figures.append(((*begin, "cohort", indicator, source, "share" if rate else "count"), n))
                else:
                    figures.append(((*begin, "cohort", code, "", "count"), value))
    return figures
