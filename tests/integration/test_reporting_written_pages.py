"""The forms of the pages over HTTP: who may send them, what they do, and what comes back where they are refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import httpx
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from tests.backends import Kafka
from tests.support.probe import running
from tests.support.reporting import settings_of

FORM: Final = {"sec-fetch-site": "same-origin"}
BILAN: Final = "/bilans/2013/2/10"
OBJECTIVE: Final = {"academie": "10", "objective": "70", "reason": "Dialogue de gestion", "by": "Le recteur"}


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    settings = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(settings, [settings.topic(name) for name in (*TOPICS, "reporting.events")])
    return settings


@pytest.fixture
async def staff(settings: ReportingSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Reporting for national staff, in May 2013."""
    async with running(app(settings, clock=may)) as client:
        yield client


def may() -> datetime:
    return datetime(2013, 5, 6, 9, 30, tzinfo=UTC)


async def test_an_objective_sent_twice_is_one_version_and_a_stale_one_is_refused(staff: httpx.AsyncClient) -> None:
    form = {**OBJECTIVE, "once": "first", "seen_academie": "10", "seen_version": "0"}
    for _ in range(2):
        done = await staff.post("/objectifs?year=2013", data=form, headers=FORM)
        assert done.status_code == 303
        assert done.headers["location"] == "/objectifs?year=2013&academie=10&saved=1#history-title"
    page = await staff.get(done.headers["location"])
    assert "L&#39;objectif de Lyon est enregistré (version 1)." in page.text
    stale = await staff.post("/objectifs?year=2013", data={**form, "objective": "80", "once": "second"}, headers=FORM)
    assert stale.status_code == 409
    assert "changé entre-temps" in stale.text
    assert 'value="80"' in stale.text
    line = (await staff.get("/v1/objectives/2013/10")).json()
    assert (line["objective"], line["version"]) == (70, 1)


async def test_what_is_wrong_with_an_objective_stands_at_its_field(staff: httpx.AsyncClient) -> None:
    form = {"academie": "99", "objective": "-3", "reason": "", "by": "<b>x</b>", "surprise": "1"}
    refused = await staff.post("/objectifs?year=2013&lang=en", data=form, headers=FORM)
    assert refused.status_code == 422
    assert refused.headers["content-type"].startswith("text/html")
    assert "Write a whole number" in refused.text
    assert "Fill in this field" in refused.text
    assert "&lt;b&gt;x&lt;/b&gt;" in refused.text
    assert "<b>x</b>" not in refused.text
    unknown = await staff.post("/objectifs?year=2013", data={**OBJECTIVE, "academie": "99"}, headers=FORM)
    assert "Choisissez une académie de la liste." in unknown.text


async def test_forms_of_another_site_are_refused_and_do_nothing(staff: httpx.AsyncClient) -> None:
    for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        refused = await staff.post("/objectifs?year=2013", data=OBJECTIVE, headers=headers)
        assert refused.status_code == 403
        assert "form_of_another_site" in refused.text
        assert "default-src" in refused.headers["content-security-policy"]
        text = await staff.post(f"{BILAN}/textes", data={"worked": "x", "by": "y"}, headers=headers)
        assert text.status_code == 403
    assert (await staff.get("/v1/objectives/2013/10")).json()["objective"] is None
    assert (await staff.get("/v1/bilans")).json()["items"] == []


async def test_a_bilan_is_frozen_only_when_confirmed_validated_and_over(staff: httpx.AsyncClient) -> None:
    early = await staff.post(f"{BILAN}/gel", data={"by": "Le recteur", "confirm": "yes"}, headers=FORM)
    assert early.status_code == 409
    assert "Personne n&#39;a encore validé ce bilan" in early.text
    visa = {"by": "La déléguée", "role": "Déléguée académique", "once": "1"}
    for path in (BILAN, "/bilans/2013/3/10"):
        assert (await staff.post(f"{path}/validation", data=visa, headers=FORM)).status_code == 303
    unconfirmed = await staff.post(f"{BILAN}/gel", data={"by": "Le recteur"}, headers=FORM)
    assert unconfirmed.status_code == 422
    assert 'id="confirm-error"' in unconfirmed.text
    running_still = await staff.post("/bilans/2013/3/10/gel", data={"by": "R", "confirm": "yes"}, headers=FORM)
    assert running_still.status_code == 409
    assert "La période n&#39;est pas terminée" in running_still.text
    form = {"by": "Le recteur", "confirm": "yes", "once": "2"}
    for _ in range(2):  # a double click
        done = await staff.post(f"{BILAN}/gel", data=form, headers=FORM)
        assert (done.status_code, done.headers["location"]) == (303, f"{BILAN}?done=gel")
    again = await staff.post(f"{BILAN}/gel", data={**form, "once": "3"}, headers=FORM)
    assert again.status_code == 409
    assert "figée" in again.text
    page = (await staff.get(f"{BILAN}?done=gel")).text
    assert (await staff.get(f"/v1{BILAN}")).json()["hash"] in page
    assert "Le bilan est figé." in page


async def test_outsiders_read_what_is_frozen_and_write_nothing(
    settings: ReportingSettings, staff: httpx.AsyncClient
) -> None:
    form = {"worked": "Le téléphone.", "by": "Une personne du réseau", "once": "1"}
    assert (await staff.post(f"{BILAN}/textes", data=form, headers=FORM)).status_code == 303
    visa = {"by": "La déléguée", "role": "Déléguée académique"}
    assert (await staff.post(f"{BILAN}/validation", data=visa, headers=FORM)).status_code == 303
    async with running(app(settings.model_copy(update={"reader": "public"}), clock=may)) as public:
        draft = await public.get(BILAN)
        assert draft.status_code == 404
        assert "Le téléphone." not in draft.text
        assert f'href="{BILAN}"' not in (await public.get("/bilans?year=2013")).text
        for act in ("textes", "validation", "gel", "correction"):
            refused = await public.post(f"{BILAN}/{act}", data=form, headers=FORM)
            assert refused.status_code == 403
        assert (await public.post("/objectifs?year=2013", data=OBJECTIVE, headers=FORM)).status_code == 403
        done = await staff.post(f"{BILAN}/gel", data={"by": "Le recteur", "confirm": "yes"}, headers=FORM)
        assert done.status_code == 303
        page = await public.get(BILAN)
        assert page.status_code == 200
        assert "Le téléphone." in page.text
        assert "Une personne du réseau" not in page.text
        assert "<form" not in page.text
        assert f'href="{BILAN}"' in (await public.get("/bilans?year=2013")).text
    assert (await staff.get("/v1/objectives/2013/10")).json()["objective"] is None


async def test_pages_that_are_read_have_a_tag_and_are_not_sent_again(staff: httpx.AsyncClient) -> None:
    first = await staff.get("/bilans?year=2013")
    again = await staff.get("/bilans?year=2013", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "default-src 'self'" in again.headers["content-security-policy"]
