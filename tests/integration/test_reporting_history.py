"""Figures as they were known, what made them others, who is behind them: asked of a log, held to a plain count."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.figures import LEVELS
from services.reporting.history.asked import indicators_of
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.mongo import Mongo
from tests.backends import Kafka
from tests.support import oracle
from tests.support.lives import population
from tests.support.oracle import Happened
from tests.support.probe import eventually, running
from tests.support.reporting import ask, caught_up, send, settings_of

BEGAN = datetime(2013, 3, 1, 8, tzinfo=UTC)
DAYS = 20
YEAR = {"from": "2013-01-01", "to": "2013-12-31"}


def spread(events: Sequence[Happened]) -> list[Happened]:
    """The same events, recorded over three weeks instead of a few minutes."""
    rng = random.Random(3)
    return [replace(happened, time=BEGAN + timedelta(seconds=rng.randrange(DAYS * 24 * 3600))) for happened in events]


def known(events: Sequence[Happened], day: date) -> list[Happened]:
    return [happened for happened in events if happened.time.date() <= day]


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ReportingSettings:
    made = settings_of(mongo_url, kafka, db_name, topic_prefix).model_copy(update={"history_patience_s": 20.0})
    await ensure_topics(made, [made.topic(name) for name in TOPICS])
    return made


@pytest.fixture
def events() -> list[Happened]:
    return spread(population(80, seed=11))


@pytest.fixture
async def client(settings: ReportingSettings, events: list[Happened]) -> AsyncIterator[httpx.AsyncClient]:
    stream = events + random.Random(5).sample(events, len(events) // 4)
    random.Random(6).shuffle(stream)
    await send(settings, stream)
    async with running(app(settings)) as client:
        await eventually(lambda: caught_up(client), within_s=30)
        yield client


def _plainly(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("by", "code", "label")}


async def test_figures_as_of_a_day_are_a_plain_count_of_what_was_recorded_until_its_end(
    client: httpx.AsyncClient, events: list[Happened]
) -> None:
    for day in (date(2013, 2, 28), date(2013, 3, 1), date(2013, 3, 10), date(2013, 3, 31)):
        body = await ask(client, by=",".join(LEVELS), as_of=day.isoformat(), **YEAR)
        assert body["as_of"].startswith(f"{day}T23:59:59")
        lapsed_before = day - timedelta(days=body["lapse_days"])
        expected = oracle.indicators(known(events, day), date(2013, 1, 1), date(2013, 12, 31), lapsed_before)
        rows = {(row["by"], row["code"]): row for row in body["rows"]}
        assert {unit for unit, row in expected.items() if row != oracle.NOBODY} <= set(rows)
        for unit, row in rows.items():
            assert _plainly(row) == expected.get(unit, oracle.NOBODY), (unit, day)
    again = await client.get("/v1/indicators", params={"as_of": "2013-03-10", **YEAR})
    unchanged = await client.get(
        "/v1/indicators", params={"as_of": "2013-03-10", **YEAR}, headers={"If-None-Match": again.headers["etag"]}
    )
    assert unchanged.status_code == 304


async def test_a_difference_names_the_figures_then_and_now_and_only_events_recorded_since(
    client: httpx.AsyncClient, events: list[Happened]
) -> None:
    day = "2013-03-12"
    then = (await ask(client, by="national", as_of=day, **YEAR))["rows"][0]
    now = (await ask(client, by="national", **YEAR))["rows"][0]
    answer = await client.get("/v1/indicators/difference", params={"by": "national", "as_of": day, "limit": 7, **YEAR})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [row] = body["rows"]
    changes = {(change["view"], change["indicator"]): change for change in row["changes"]}
    for code, count in now["activity"].items():
        if count != then["activity"][code]:
            change = changes["activity", code]
            assert (change["old"], change["new"]) == (then["activity"][code], count)
        else:
            assert ("activity", code) not in changes
    by_id = {happened.id: happened for happened in events}
    told: list[dict[str, Any]] = body["events"]
    while body["next"]:
        assert len(body["events"]) == 7
        body = (
            await client.get(
                "/v1/indicators/difference",
                params={"by": "national", "as_of": day, "limit": 7, "cursor": body["next"], **YEAR},
            )
        ).json()
        told += body["events"]
    assert len(told) == len({event["id"] for event in told}) == body["total"] > 20
    assert sum(kind["events"] for kind in body["counts"]) == body["total"]
    for event in told:
        happened = by_id[event["id"]]
        assert happened.time.date() > date(2013, 3, 12)
        assert (event["youth_id"], event["type"]) == (happened.event.youth_id, happened.event.TYPE)


@pytest.mark.timeout(300)
async def test_behind_every_figure_are_as_many_youths_as_it_says_each_with_his_events(
    client: httpx.AsyncClient, events: list[Happened]
) -> None:
    body = await ask(client, by="national,academie", **YEAR)
    academie = max(body["rows"][1:], key=lambda row: row["cohort"]["size"])
    lives: dict[str, set[str]] = {}
    for happened in events:
        lives.setdefault(happened.event.youth_id, set()).add(happened.id)
    for row in (body["rows"][0], academie):
        for view in ("activity", "cohort"):
            for indicator in indicators_of(view):
                asked = {"by": row["by"], "code": row["code"], "view": view, "indicator": indicator, **YEAR}
                found = await client.get("/v1/lineage", params={**asked, "limit": 500})
                assert found.status_code == 200, found.text
                lineage = found.json()
                assert lineage["count"] == len(lineage["items"]) == _figure(row, view, indicator), (view, indicator)
                for item in lineage["items"]:
                    told = {event["id"] for event in item["events"]}
                    assert told
                    assert told <= lives[item["youth_id"]]
    reads = (await client.get("/v1/lineage/reads", params={"limit": 500})).json()["items"]
    assert len(reads) == 2 * sum(len(indicators_of(view)) for view in ("activity", "cohort"))
    assert {read["reader"] for read in reads} == {"national"}


def _figure(row: dict[str, Any], view: str, indicator: str) -> int:
    name, _, source = indicator.partition(":")
    found: Any
    if view == "activity":
        found = row["dismissed_by_source"][source] if source else row["activity"][indicator]
    elif source:
        found = row["cohort"]["false_positives"][source][name]
    elif indicator in row["cohort"]["delays"]:
        found = row["cohort"]["delays"][indicator]["n"]
    else:
        found = row["cohort"][indicator]
    assert isinstance(found, int)
    return found


async def test_two_replicas_that_are_asked_for_the_same_day_at_once_say_the_same_and_keep_it_once(
    client: httpx.AsyncClient, settings: ReportingSettings, events: list[Happened]
) -> None:
    day = date(2013, 3, 10)
    asked = {"by": "national,academie", "as_of": day.isoformat(), **YEAR}
    async with running(app(settings)) as other:
        await eventually(lambda: caught_up(other), within_s=30)
        bodies = await asyncio.gather(*(ask(one, **asked) for one in (client, other, client, other)))
    expected = oracle.indicators(known(events, day), date(2013, 1, 1), date(2013, 12, 31), day - timedelta(days=90))
    assert bodies[0]["rows"][0]["activity"]["detected"] == expected["national", "FR"]["activity"]["detected"] > 0
    assert all(body["rows"] == bodies[0]["rows"] for body in bodies)
    mongo = Mongo(settings.mongo_url, settings.database)
    try:
        kept = await mongo["readings"].find({}).to_list(None)
        assert [row["_id"] for row in kept] == [day.isoformat()]
        pieces = await mongo["reading_pieces"].find({}).sort("n", 1).to_list(None)
        version = f"{day}|{kept[0]['version']}"
        assert [(piece["reading"], piece["n"]) for piece in pieces] == [(version, n) for n in range(kept[0]["pieces"])]
    finally:
        await mongo.close()


async def test_pages_of_youths_hold_each_of_them_once_in_the_order_of_days(client: httpx.AsyncClient) -> None:
    asked: dict[str, str | int] = {"indicator": "detected", "limit": 9, **YEAR}
    body = (await client.get("/v1/lineage", params=asked)).json()
    items, first = body["items"], body["next"]
    while body["next"]:
        body = (await client.get("/v1/lineage", params={**asked, "cursor": body["next"]})).json()
        items += body["items"]
    other = await client.get("/v1/lineage", params={**asked, "indicator": "reached", "cursor": first})
    assert (other.status_code, other.json()["code"]) == (422, "bad_cursor")
    keys = [(item["on"], item["youth_id"]) for item in items]
    assert keys == sorted(set(keys))
    assert len(keys) == body["count"] > 9


@pytest.mark.parametrize(
    ("path", "asked", "status", "code"),
    [
        ("/v1/indicators", {"as_of": "2999-01-01"}, 422, "as_of_in_future"),
        ("/v1/indicators", {"as_of": "2013-02-30"}, 422, "invalid_request"),
        ("/v1/indicators/difference", {"as_of": "2013-03-12", "cursor": "@@"}, 422, "bad_cursor"),
        ("/v1/lineage", {"indicator": "no_such"}, 422, "unknown_indicator"),
        ("/v1/lineage", {"indicator": "returned", "by": "academie", "code": "Lile"}, 422, "unknown_code"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_to_do(
    settings: ReportingSettings, path: str, asked: dict[str, str], status: int, code: str
) -> None:
    async with running(app(settings)) as client:
        answer = await client.get(path, params=asked)
    assert answer.status_code == status
    assert answer.json()["code"] == code


async def test_the_public_is_shown_no_youths_no_past_figures_and_no_small_counts(
    settings: ReportingSettings, events: list[Happened]
) -> None:
    await send(settings, events)
    async with running(app(settings.model_copy(update={"reader": "public", "small_cells_age_s": 0}))) as client:
        await eventually(lambda: caught_up(client), within_s=30)
        for path, asked in (
            ("/v1/lineage", {"indicator": "returned"}),
            ("/v1/lineage/reads", {}),
            ("/v1/indicators/difference", {"as_of": "2013-03-12"}),
            ("/v1/indicators", {"as_of": "2013-03-12"}),
        ):
            assert (await client.get(path, params=asked)).status_code == 403
        partly = await client.get("/v1/indicators", params={"from": "2013-03-02", "to": "2013-03-31"})
        assert (partly.status_code, partly.json()["code"]) == (422, "period_not_whole_months")
        rows = (await ask(client, by=",".join(LEVELS), **YEAR))["rows"]
        counts = [count for row in rows for count in (*row["activity"].values(), row["cohort"]["size"])]
        assert not {1, 2, 3, 4} & set(counts)
        assert None in counts
        assert any(row["suppressed"] for row in rows)
    async with running(app(settings.model_copy(update={"reader": "academie:10", "small_cells_age_s": 0}))) as client:
        await eventually(lambda: caught_up(client), within_s=30)
        [row] = (await ask(client, by="academie", code="10", **{"from": "2013-03-02", "to": "2013-12-31"}))["rows"]
        assert None not in row["activity"].values()
        assert (
            await client.get("/v1/lineage", params={"by": "academie", "code": "10", "indicator": "detected"})
        ).status_code == 200
        assert (await client.get("/v1/lineage", params={"indicator": "detected"})).status_code == 403
