"""Figures and pages over a socket, as readers have them: what lies ready is what the application would have said."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import NamedTuple

import httpx
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.settings import ReportingSettings
from shared.at_once import AtHand, Header, Reply
from shared.bus import ensure_topics
from shared.events import YouthEvent
from shared.service import Service
from tests.backends import Kafka
from tests.support.lives import detected, recorded
from tests.support.probe import eventually, served
from tests.support.reporting import ask, caught_up, send, settings_of

PATHS = (
    "/v1/indicators?by=departement",
    "/v1/indicators?by=academie&view=cohort",
    "/?year=2013",
    "/academies/24?lang=en",
)


_TRIES = 20
"""On a busy machine an answer may be too old to be given again, or the broker too slow to tell how fresh it is."""


class Reporting(NamedTuple):
    """Reporting over a socket, and the replies that it found ready."""

    client: httpx.AsyncClient
    settings: ReportingSettings
    at_once: list[int]

    async def get(self, path: str, **headers: str) -> tuple[httpx.Response, bool]:
        """The answer, and whether it lay ready."""
        before = len(self.at_once)
        answer = await self.client.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        return answer, len(self.at_once) > before


@pytest.fixture
async def reporting(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> AsyncIterator[Reporting]:
    settings = settings_of(mongo_url, kafka, db_name, topic_prefix).model_copy(update={"answer_age_s": 0.1})
    await ensure_topics(settings, [settings.topic(name) for name in (*TOPICS, "reporting.events")])
    application = app(settings)
    service: Service = application.state.service
    statuses: list[int] = []

    def noted(look: AtHand) -> AtHand:
        def also(path: bytes, query: bytes, headers: list[Header]) -> Reply | None:
            reply = look(path, query, headers)
            if reply is not None:
                statuses.append(reply[0])
            return reply

        return also

    service.at_hand[:] = [noted(look) for look in service.at_hand]
    async with served(application, settings) as client:
        found = Reporting(client, settings, statuses)
        await detect(found, 7, prefix="a")
        yield found


async def detect(reporting: Reporting, count: int, *, prefix: str) -> None:
    """So many more youths, until they are counted."""
    events: list[YouthEvent] = [detected(f"{prefix}{number}", date(2013, 3, 31)) for number in range(count)]

    async def detections() -> int:
        found: int = (await ask(reporting.client, by="national"))["rows"][0]["activity"]["detected"]
        return found

    before = await detections()
    await send(reporting.settings, recorded(events, prefix=prefix, seed=1))

    async def counted() -> bool:
        return await detections() == before + count

    await eventually(counted, within_s=30)
    await eventually(lambda: caught_up(reporting.client, last=["referral.events"]), within_s=30)


@pytest.mark.parametrize("path", PATHS)
async def test_what_lies_ready_is_what_the_application_said(reporting: Reporting, path: str) -> None:
    first, ready = await reporting.get(path)
    assert (first.status_code, ready) == (200, False)
    for _ in range(_TRIES):
        again, ready = await reporting.get(path)
        assert again.status_code == 200
        if ready and again.headers["etag"] == first.headers["etag"]:
            break
        first = again
    assert (ready, again.headers["etag"]) == (True, first.headers["etag"])
    assert _kept(again) == _kept(first)
    assert again.headers["vary"] == "accept-encoding"
    assert again.headers["content-encoding"] == "gzip"
    assert _without_moment(again) == _without_moment(first)


@pytest.mark.parametrize("path", PATHS)
async def test_what_lies_ready_is_sent_as_it_is_asked_for(reporting: Reporting, path: str) -> None:
    for _ in range(_TRIES):
        packed, _ = await reporting.get(path)
        plain, plain_ready = await reporting.get(path, accept_encoding="identity")
        known, known_ready = await reporting.get(path, if_none_match=packed.headers["etag"])
        of_one = plain.headers["etag"] == packed.headers["etag"] and known.status_code == 304
        if plain_ready and known_ready and of_one:
            break
    assert (plain_ready, known_ready) == (True, True)
    assert "content-encoding" not in plain.headers
    assert _without_moment(plain) == _without_moment(packed)
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == packed.headers["etag"]


async def test_figures_that_lie_ready_move_as_events_come_in(reporting: Reporting) -> None:
    path = "/v1/indicators?by=academie"
    asking = True
    seen: list[int] = []

    async def read() -> None:
        while asking:
            answer, _ = await reporting.get(path)
            seen.append(sum(row["activity"]["detected"] for row in answer.json()["rows"]))
            await asyncio.sleep(0.005)

    await reporting.get(path)
    before = len(reporting.at_once)
    reader = asyncio.create_task(read())
    await detect(reporting, 20, prefix="b")

    async def shown() -> bool:
        return seen[-1] == 27

    await eventually(shown, within_s=15)
    asking = False
    await reader
    assert seen[0] == 7
    assert seen == sorted(seen)
    assert len(reporting.at_once) > before


async def test_what_somebody_wrote_is_on_the_page_that_he_sees_next(reporting: Reporting) -> None:
    path = "/academies/24?year=2013"
    await reporting.get(path)
    for objective in (1234, 1432):
        wanted = {"objective": objective, "by": "Rectorat", "reason": "dialogue de gestion"}
        written = await reporting.client.put("/v1/objectives/2013/24", json=wanted)
        assert written.status_code == 200, written.text
        page, _ = await reporting.get(path)
        assert re.search(rf"1\s{objective - 1000}\b", page.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/indicators?by=nowhere", 422), ("/academies/99", 404), ("/v1/indicators/none", 404), ("/ready", 200)],
)
async def test_what_cannot_lie_ready_is_the_applications(reporting: Reporting, path: str, status: int) -> None:
    for _ in range(2):
        answer, ready = await reporting.get(path)
        assert (answer.status_code, ready) == (status, False)


def _kept(answer: httpx.Response) -> dict[str, str]:
    """The headers, but those that tell the moment, or how the body was packed."""
    return {name: text for name, text in answer.headers.items() if name not in ("date", "content-length")}


def _without_moment(answer: httpx.Response) -> object:
    if answer.headers["content-type"] != "application/json":
        return answer.text
    return {name: value for name, value in answer.json().items() if name != "as_of"}
