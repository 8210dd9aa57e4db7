"""The pages of figures over HTTP: what they say is what the API says, and how they are sent."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import httpx
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.envelope import Envelope
from shared.events import NetworkRegistered, YouthEvent
from tests.backends import Kafka
from tests.support.lives import contacted, contracted, detected, dismissed, interviewed, recorded, started
from tests.support.probe import eventually, produce, running
from tests.support.reporting import ask, caught_up, send, settings_of

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    settings = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(settings, [settings.topic(name) for name in (*TOPICS, "reporting.events")])
    return settings


@pytest.fixture
async def client(settings: ReportingSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Reporting in October 2013, with twelve youths of Créteil: two of them are back, one was no dropout."""
    events: list[YouthEvent] = []
    for number in range(12):
        youth = f"y{number}"
        events.append(detected(youth, date(2013, 3, 31), owner=2 + number % 2))
        if number < 6:
            events.append(contacted(youth, date(2013, 4, 5)))
            events.append(interviewed(youth, date(2013, 4, 12)))
        if number < 2:
            events.append(contracted(youth, date(2013, 5, 2)))
            events.append(started(youth, date(2013, 9, 2)))
    events.append(dismissed("y11", date(2013, 4, 2)))
    registered = NetworkRegistered(
        network_id="FOQ-93-01", name="Réseau <Saint-Denis>", academie="24", platform_ids=("PSAD-93-01",)
    )
    async with running(app(settings, clock=october)) as client:
        envelope = Envelope(
            "n1",
            registered.TYPE,
            "/foquale/catalogue",
            registered.network_id,
            october(),
            registered.model_dump_json().encode(),
        )
        await produce(settings.kafka_bootstrap, settings.topic("catalogue.events"), envelope)
        await send(settings, recorded(events, prefix="p", seed=1))
        await eventually(lambda: caught_up(client, last=TOPICS), within_s=30)
        yield client


def october() -> datetime:
    return datetime(2013, 10, 6, 9, 30, tzinfo=UTC)


def cells(page: str, label: str) -> list[str]:
    """The cells of the first table row with this head."""
    found = re.search(rf"<th scope=\"row\">(?:<a [^>]*>)?{label}(?:</a>)?</th>(.*?)</tr>", page, re.DOTALL)
    assert found, label
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", found[1], re.DOTALL)]


async def test_the_national_page_says_what_the_api_says(client: httpx.AsyncClient) -> None:
    set_ = await client.put(
        "/v1/objectives/2013/24", json={"objective": 4, "by": "Le recteur", "reason": "Dialogue de gestion"}
    )
    assert set_.is_success, set_.text
    answer = await client.get("/")
    assert answer.status_code == 200
    page = answer.text
    assert '<html lang="fr">' in page
    row = (await ask(client, by="academie", code="24", **{"from": "2013-01-01", "to": "2013-12-31"}))["rows"][0]
    counts = [str(row["activity"][code]) for code in ("detected", "reached", "interviewed", "contracted", "returned")]
    assert cells(page, "Créteil")[:5] == counts == ["11", "6", "6", "2", "2"]
    assert cells(page, "Créteil")[7:] == ["4", "2", "50,0\u202f%"]
    assert cells(page, "France")[0] == "11"
    assert 'aria-label="Créteil : 50\u202f% de l&#39;objectif 2013"' in page
    assert page.count("<h1>") == 1


async def test_an_academie_s_page_shows_its_path_its_networks_and_its_months(client: httpx.AsyncClient) -> None:
    page = (await client.get("/academies/24?year=2013&lang=en")).text
    assert '<html lang="en">' in page
    assert cells(page, "Detected") == ["11", "100.0%"]
    assert cells(page, "March 2013") == ["11", "0", "0", "0"]
    assert cells(page, "Réseau &lt;Saint-Denis&gt;")[0] == "6"
    assert cells(page, "Delay from detection to attempt") == ["6", "5", "5"]
    assert cells(page, "Schools \\(BEE\\)")[:2] == ["12", "1"]
    assert 'href="/bilans/2013/2/24?lang=en"' in page
    assert "/bilans/2013/6/24" not in page


async def test_a_page_is_sent_again_only_where_it_changed(
    client: httpx.AsyncClient, settings: ReportingSettings
) -> None:
    for path in ("/?year=2013", "/academies/24", "/definitions"):
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    before = await client.get("/academies/24")
    await send(settings, recorded([detected("late", date(2013, 3, 31), owner=2)], prefix="l", seed=2))

    async def moved() -> bool:
        return cells((await client.get("/academies/24")).text, "Repérés")[0] == "12"

    await eventually(moved)
    tag = {"if-none-match": before.headers["etag"]}
    assert (await client.get("/academies/24", headers=tag)).status_code == 200
    definitions = await client.get("/definitions")
    assert (await client.get("/definitions", headers={"if-none-match": definitions.headers["etag"]})).status_code == 304


REFUSED = (
    ("/academies/2A4", 404, "Aucune académie n&#39;a le code « 2A4 »."),
    ("/academies/lile", 404, '<a href="/academies/09">Lille (09)</a>'),
    ("/?from=2013-05-01&to=2013-04-01", 422, "échangez les deux dates"),
    ("/academies/24?from=2013-02-30", 422, "Corrigez dans l&#39;adresse : from."),
    ("/?sort=-colour", 422, "sort"),
    ("/?lang=de", 422, "lang"),
    ("/definitions?page=2", 422, "page"),
)


async def test_what_cannot_be_shown_is_a_page_that_says_what_to_do(client: httpx.AsyncClient) -> None:
    for path, status, told in REFUSED:
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert told in answer.text, path
        assert answer.headers["content-security-policy"] == POLICY


async def test_pages_ask_nothing_of_another_host_and_run_nothing_inline(client: httpx.AsyncClient) -> None:
    for path in ("/", "/academies/24", "/definitions"):
        for _ in range(2):  # made, and kept
            answer = await client.get(path)
            assert answer.headers["content-security-policy"] == POLICY
            assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.text)
            assert not re.findall(r'\sstyle="|\son\w+="|<script>|<style', answer.text)
            for file in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
                sent = await client.get(file)
                assert (sent.status_code, "immutable" in sent.headers["cache-control"]) == (200, True)


async def test_sorted_by_a_link_the_greatest_come_first(client: httpx.AsyncClient) -> None:
    page = (await client.get("/?sort=-detected")).text
    names = re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', page)
    assert names[0] == "Créteil"
    assert names[1:] == sorted(names[1:], key=lambda name: name.casefold())
    assert 'aria-sort="descending"' in page
