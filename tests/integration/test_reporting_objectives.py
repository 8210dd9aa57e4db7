"""Objectives over a real store: versions that nobody loses, and progress that agrees with the indicators."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.reporting import api as indicators_api
from services.reporting.objectives import api, store, targets
from services.reporting.objectives.landing import landing
from services.reporting.objectives.objectives import Objectives
from services.reporting.objectives.store import Versions
from services.reporting.projection import Leaf
from services.reporting.readers import NATIONAL, PUBLIC, Reader
from shared import commands, http
from shared.commands import Commands
from shared.mongo import Mongo
from shared.reference import load
from shared.unit_of_work import UnitOfWork
from tests.support.board import Counted, answering, following, prepared, write

PARIS, LILLE, OVERSEAS = Leaf("01", "75", "N1"), Leaf("09", "59", "N2"), Leaf("41", "987", "N3")
NEW_YEARS_EVE = datetime(2013, 12, 31, 12, tzinfo=UTC)
JULY = datetime(2013, 7, 2, 12, tzinfo=UTC)


@pytest.fixture
async def unit_of_work(mongo_url: str, db_name: str) -> AsyncIterator[UnitOfWork]:
    mongo = Mongo(mongo_url, db_name)
    unit_of_work = await prepared(mongo)
    await mongo.ensure(store.COLLECTIONS, [*store.INDEXES, *commands.INDEXES])
    yield unit_of_work
    await mongo.close()


class Service:
    """The HTTP side of objectives over a real store; figures for whom `reader` says, at `now`."""

    def __init__(self, unit_of_work: UnitOfWork, now: datetime, reader: Reader, age_s: float = 0) -> None:
        self.board, answers = answering(unit_of_work.mongo, lambda: now, reader)
        self.objectives = Objectives(Versions(unit_of_work.mongo, age_s), answers, load(), targets.read())
        app = FastAPI()
        http.install(app)
        app.state.commands = Commands(unit_of_work)
        app.include_router(api.router(self.objectives))
        app.include_router(indicators_api.router(answers))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.client.get(f"/v1/objectives/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put(self, path: str, objective: object, **more: object) -> httpx.Response:
        body = {"objective": objective, "by": "C. Rectrice", "reason": "dialogue de gestion", **more}
        return await self.client.put(f"/v1/objectives/{path}", json=body)

    async def indicators(self, **query: str) -> Sequence[dict[str, Any]]:
        answer = await self.client.get("/v1/indicators", params=query)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows


@asynccontextmanager
async def serving(
    unit_of_work: UnitOfWork, now: datetime = JULY, reader: Reader = NATIONAL, age_s: float = 0
) -> AsyncIterator[Service]:
    service = Service(unit_of_work, now, reader, age_s)
    async with following(service.board), service.client:
        yield service


async def returned(unit_of_work: UnitOfWork, *some: tuple[Leaf | None, str, str, int]) -> None:
    """Leaf, day, measure, how many."""
    counted: Counted = Counter()
    for leaf, day, measure, count in some:
        counted[leaf, date.fromisoformat(day), measure] += count
    await write(unit_of_work, 0, counted)


async def test_an_objective_is_corrected_by_another_version_and_never_lost(unit_of_work: UnitOfWork) -> None:
    async with serving(unit_of_work) as service:
        nothing = await service.get("2013/09")
        assert (nothing["label"], nothing["objective"], nothing["version"], nothing["versions"]) == (
            "Lille",
            None,
            None,
            [],
        )
        first = await service.put("2013/09", 1_200, expected_version=0)
        assert first.status_code == 200
        assert first.json()["version"] == 1
        again = await service.put("2013/09", 1_200)
        assert again.json() == first.json()
        second = await service.put("2013/09", 1_350, by="M. Secrétaire", reason="carte revue", expected_version=1)
        moved = await service.put("2013/09", 9, expected_version=1)
        assert (moved.status_code, moved.json()["code"], moved.json()["version"]) == (409, "version_moved", 2)
        now = await service.get("2013/09")
    assert (now["objective"], now["version"]) == (1_350, 2)
    assert now["versions"] == second.json()["versions"]
    assert [(v["version"], v["objective"], v["by"], v["reason"]) for v in now["versions"]] == [
        (1, 1_200, "C. Rectrice", "dialogue de gestion"),
        (2, 1_350, "M. Secrétaire", "carte revue"),
    ]
    assert now["versions"][0]["at"] <= now["versions"][1]["at"]


async def test_of_many_who_set_it_at_once_each_makes_a_version_of_his_own(unit_of_work: UnitOfWork) -> None:
    async with serving(unit_of_work) as one, serving(unit_of_work) as other:
        puts = [(one, other)[number % 2].put("2013/01", 100 + number) for number in range(12)]
        assert {answer.status_code for answer in await asyncio.gather(*puts)} == {200}
        found = await one.get("2013/01")
        assert [version["version"] for version in found["versions"]] == list(range(1, 13))
        assert {version["objective"] for version in found["versions"]} == set(range(100, 112))
        guarded = [service.put("2013/01", 500 + n, expected_version=12) for n, service in enumerate((one, other))]
        assert sorted(answer.status_code for answer in await asyncio.gather(*guarded)) == [200, 409]


async def test_who_has_set_it_sees_it_at_once_however_long_answers_hold(unit_of_work: UnitOfWork) -> None:
    async with serving(unit_of_work, age_s=60) as service:
        assert (await service.get("2013/09"))["objective"] is None
        await service.put("2013/09", 7)
        assert (await service.get("2013/09"))["objective"] == 7


async def test_progress_is_what_the_indicators_say(unit_of_work: UnitOfWork) -> None:
    await returned(
        unit_of_work,
        (LILLE, "2013-01-31", "returned", 30),
        (LILLE, "2013-04-01", "civic_service", 5),
        (LILLE, "2013-06-30", "returned", 15),
        (LILLE, "2012-12-31", "returned", 40),
        (LILLE, "2013-03-01", "contracted", 99),
        (PARIS, "2013-02-28", "returned", 10),
        (OVERSEAS, "2013-02-28", "returned", 7),
        (None, "2013-05-05", "civic_service", 3),
    )
    async with serving(unit_of_work) as service:
        await service.put("2013/09", 100)
        await service.put("2013/01", 50)
        year = await service.get("2013")
        shown = await service.indicators(
            by="national,academie", view="activity", **{"from": "2013-01-01", "to": "2013-12-31"}
        )
        lille = await service.get("2013/09")
    achieved = {row["code"]: row["activity"]["returned"] + row["activity"]["civic_service"] for row in shown}
    lines = {line["academie"]: line for line in year["academies"]}
    assert len(lines) == 30
    assert {code: line["achieved"] for code, line in lines.items()} == {code: achieved[code] for code in lines}
    france = year["national"]
    assert (achieved["FR"], achieved["09"], achieved["41"]) == (70, 50, 7)
    assert (france["academie"], france["achieved"], france["objective"], france["set"]) == ("FR", 70, 150, 2)
    assert france["target"]["youths"] == 20_000
    assert "2013-035" in france["target"]["source"]
    assert (france["gap"], france["attainment"], france["attainment_of_target"]) == (-19_850, 0.4667, 0.0035)
    assert lines["09"]["attainment"] == 0.5
    assert lines["24"]["attainment"] is None
    assert {**lille, "as_of": None} == {**lines["09"], "as_of": None}
    assert [(point["month"], point["on"], point["achieved"]) for point in lille["trajectory"]] == [
        ("2013-01", "2013-01-31", 30),
        ("2013-02", "2013-02-28", 30),
        ("2013-03", "2013-03-31", 30),
        ("2013-04", "2013-04-30", 35),
        ("2013-05", "2013-05-31", 35),
        ("2013-06", "2013-06-30", 50),
        ("2013-07", "2013-07-02", 50),
    ]
    # Linear: the year before had 40 returns, too few for a season. 183 of 365 days are over.
    assert lille["method"] == "linear"
    assert lille["trajectory"][-1]["expected"] == round(100 * 183 / 365, 1)
    assert [step["expected"] for step in lille["path"]][::11] == [8.5, 100.0]
    expected = landing(50, 183 / 365)
    assert expected is not None
    assert lille["landing"] == {"value": 100, "low": expected.low, "high": expected.high, "method": "linear"}


async def test_where_the_year_before_shows_a_season_it_is_followed(unit_of_work: UnitOfWork) -> None:
    await returned(
        unit_of_work,
        (LILLE, "2012-03-01", "returned", 40),
        (PARIS, "2012-09-15", "returned", 150),
        (PARIS, "2012-10-15", "civic_service", 10),
        (LILLE, "2013-03-01", "returned", 20),
    )
    async with serving(unit_of_work) as service:
        await service.put("2013/09", 100)
        lille = await service.get("2013/09")
    assert (lille["method"], lille["landing"]["method"], lille["landing"]["value"]) == ("seasonal", "seasonal", 100)
    assert [step["expected"] for step in lille["path"]] == [0, 0, *[20.0] * 6, 95.0, *[100.0] * 3]


async def test_a_year_that_is_over_has_landed_and_one_to_come_has_not(unit_of_work: UnitOfWork) -> None:
    await returned(unit_of_work, (LILLE, "2012-03-01", "returned", 40), (LILLE, "2013-12-31", "returned", 60))
    async with serving(unit_of_work) as service:
        past, future = await service.get("2012/09"), await service.get("2014/09")
        nobody = await service.get("2012/01")
    assert past["landing"] == {"value": 40, "low": 40, "high": 40, "method": "final"}
    assert [point["achieved"] for point in past["trajectory"]] == [0, 0, *[40] * 10]
    assert (future["trajectory"], future["landing"], future["achieved"], len(future["path"])) == ([], None, 0, 12)
    assert nobody["landing"]["value"] == 0
    async with serving(unit_of_work, NEW_YEARS_EVE) as service:
        assert (await service.get("2013/09"))["landing"] == {"value": 60, "low": 60, "high": 60, "method": "linear"}
        assert (await service.get("2014"))["national"]["target"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        ("2013/99", {}, 404, "unknown_academie", "Reims"),
        ("2013/Lile", {}, 404, "unknown_academie", "09 (Lille)"),
        ("2013/70", {}, 404, "unknown_academie", "Normandie was none then"),
        ("2020/05", {}, 404, "unknown_academie", "Caen was none then"),
        ("2013/41", {}, 404, "unknown_academie", "Polynésie française was none then"),
        ("2013/~~~~~~~~", {}, 404, "unknown_academie", "lists all"),
        ("1999/09", {}, 422, "invalid_request", "year"),
        ("2101/09", {}, 422, "invalid_request", "year"),
        ("MMXIII/09", {}, 422, "invalid_request", "year"),
        ("2013/09", {"objective": -1}, 422, "invalid_request", "objective"),
        ("2013/09", {"objective": 1.5}, 422, "invalid_request", "objective"),
        ("2013/09", {"objective": "12"}, 422, "invalid_request", "objective"),
        ("2013/09", {"by": "  "}, 422, "invalid_request", "by"),
        ("2013/09", {"reason": ""}, 422, "invalid_request", "reason"),
        ("2013/09", {"achieved": 3}, 422, "invalid_request", "achieved"),
        ("2013/09", {"expected_version": -1}, 422, "invalid_request", "expected_version"),
        ("2013/09", {"expected_version": 4}, 409, "version_moved", "version 0"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_remedy(
    unit_of_work: UnitOfWork, *, path: str, body: dict[str, object], status: int, code: str, says: str
) -> None:
    async with serving(unit_of_work) as service:
        answer = await service.put(path, **{"objective": 10, **body})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code)
        assert says in problem["detail"]
        assert (await service.get("2013/09"))["versions"] == []


async def test_nothing_new_is_not_sent_twice(unit_of_work: UnitOfWork) -> None:
    async with serving(unit_of_work) as service:
        for path in ("2013", "2013/09"):
            first = await service.client.get(f"/v1/objectives/{path}")
            again = await service.client.get(f"/v1/objectives/{path}", headers={"If-None-Match": first.headers["ETag"]})
            assert (again.status_code, again.content) == (304, b"")
            await service.put("2013/09", 10 + len(path))
            now = await service.client.get(f"/v1/objectives/{path}", headers={"If-None-Match": first.headers["ETag"]})
            assert now.status_code == 200


async def test_only_those_whom_it_concerns_set_an_objective_and_only_staff_learn_who_did(
    unit_of_work: UnitOfWork,
) -> None:
    async with serving(unit_of_work, reader=Reader("academie", "09")) as lille:
        assert (await lille.put("2013/09", 10)).status_code == 200
        refused = await lille.put("2013/01", 10)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_your_academie")
    async with serving(unit_of_work, reader=PUBLIC) as public:
        assert (await public.put("2013/09", 11)).status_code == 403
        (version,) = (await public.get("2013/09"))["versions"]
        assert (version["objective"], version["by"], version["reason"]) == (10, None, "dialogue de gestion")
