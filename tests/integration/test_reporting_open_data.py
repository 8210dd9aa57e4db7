"""Open data: any validator accepts them, they are the indicators, and every replica serves the same bytes."""

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from frictionless import Package, Resource, Schema, system

from services.reporting import api as indicators_api
from services.reporting.open_data import api, publications
from services.reporting.open_data.publications import Publications
from services.reporting.projection import Leaf
from services.reporting.readers import NATIONAL, Reader
from shared import http
from shared.mongo import Mongo
from shared.unit_of_work import UnitOfWork
from tests.support.board import Counted, answering, following, prepared, write

PARIS, LILLE = Leaf("01", "75", "N1"), Leaf("09", "59", "N2")
FILES = ("datapackage.json", "indicators.csv", "indicators.json", "definitions.csv")


@pytest.fixture
async def unit_of_work(mongo_url: str, db_name: str) -> AsyncIterator[UnitOfWork]:
    mongo = Mongo(mongo_url, db_name)
    unit_of_work = await prepared(mongo)
    await mongo.ensure(publications.COLLECTIONS, [])
    yield unit_of_work
    await mongo.close()


class Service:
    """The HTTP side of open data over a real store, at a moment that the test moves."""

    def __init__(self, unit_of_work: UnitOfWork, age_s: float, reader: Reader) -> None:
        self.now = datetime(2013, 7, 2, 12, tzinfo=UTC)
        self.board, answers = answering(unit_of_work.mongo, lambda: self.now, reader)
        app = FastAPI()
        http.install(app)
        made = Publications(unit_of_work.mongo, answers, clock=lambda: self.now, age_s=age_s)
        app.include_router(api.router(made))
        app.include_router(indicators_api.router(answers))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/v1/open-data{path}", headers=headers)

    async def rows(self, path: str) -> list[dict[str, str]]:
        answer = await self.get(f"{path}/indicators.csv")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@asynccontextmanager
async def serving(unit_of_work: UnitOfWork, age_s: float = 0, reader: Reader = NATIONAL) -> AsyncIterator[Service]:
    service = Service(unit_of_work, age_s, reader)
    async with following(service.board), service.client:
        yield service


async def counted(unit_of_work: UnitOfWork, *some: tuple[Leaf, str, str, int], offset: int = 1) -> None:
    """Leaf, day, measure, how many."""
    sums: Counted = Counter()
    for leaf, day, measure, count in some:
        sums[leaf, date.fromisoformat(day), measure] += count
    await write(unit_of_work, 0, sums, offset)


MARCH = (
    (LILLE, "2013-03-05", "detected", 60),
    (LILLE, "2013-03-05", "cohort:reached", 40),
    (LILLE, "2013-03-05", "delay:detected_to_interviewed:7", 20),
    (LILLE, "2013-04-30", "returned", 25),
    (LILLE, "2013-04-30", "dismissed", 10),
    (LILLE, "2013-04-30", "dismissed:SCOLARITE", 10),
    (PARIS, "2013-03-31", "detected", 30),
    (PARIS, "2013-05-01", "returned", 30),
)


@pytest.mark.parametrize("path", ["/2013/2", "/2013", "/2012/6"])
async def test_a_real_validator_accepts_the_bytes_that_are_served(
    unit_of_work: UnitOfWork, tmp_path: Path, path: str
) -> None:
    await counted(unit_of_work, *MARCH)
    async with serving(unit_of_work, age_s=60) as service:
        for name in FILES:
            answer = await service.get(f"{path}/{name}")
            assert answer.status_code == 200, answer.text
            (tmp_path / name).write_bytes(answer.content)
        schema = (await service.get("/schema.json")).json()
    with system.use_context(trusted=True):
        package = Package(str(tmp_path / "datapackage.json"))
        for resource in list(package.resources):
            body = (tmp_path / str(resource.path)).read_bytes()
            assert (resource.bytes, resource.hash) == (len(body), f"sha256:{sha256(body).hexdigest()}")
            if resource.format == "json":  # the validator reads JSON only with an addition: given as values, it does
                package.remove_resource(resource.name)
                values = Resource(name=resource.name, data=json.loads(body), schema=resource.schema)
                values.profile = resource.profile
                package.add_resource(values)
        report = package.validate()
        assert report.valid, report.flatten(["type", "note"])
        found = {task.name: task.stats["rows"] for task in report.tasks}
        assert found["indicators"] == found["indicators-json"] > 31 * 20
        assert found["definitions"] > 15
        assert Schema.from_descriptor(schema).field_names == list(package.get_resource("indicators").schema.field_names)
        tampered = (tmp_path / "indicators.csv").read_bytes().replace(b"FR,France", b"FR,Franco", 1)
        (tmp_path / "indicators.csv").write_bytes(tampered)
        package = Package(str(tmp_path / "datapackage.json"))
        package.remove_resource("indicators-json")
        assert package.validate().flatten(["type"]) == [["hash-count"]]


async def test_the_table_is_the_indicators(unit_of_work: UnitOfWork) -> None:
    await counted(unit_of_work, *MARCH)
    async with serving(unit_of_work) as service:
        query = {"by": "national,academie", "from": "2013-03-01", "to": "2013-04-30"}
        shown = (await service.client.get("/v1/indicators", params=query)).json()["rows"]
        table = await service.rows("/2013/2")
        objects = (await service.get("/2013/2/indicators.json")).json()
    cells = {(r["level"], r["code"], r["view"], r["indicator"], r["source"]): r for r in table}
    assert len(cells) == len(table) == len(objects)
    assert {(r["year"], r["period"]) for r in table} == {("2013", "2")}
    assert [list(each) for each in objects] == [list(table[0])] * len(table)
    assert ["" if each["count"] is None else str(each["count"]) for each in objects] == [r["count"] for r in table]
    for row in shown:
        unit = row["by"], row["code"]
        counts = [("activity", code, count) for code, count in row["activity"].items()]
        counts += [("cohort", code, row["cohort"][code]) for code in row["cohort"]["shares"]]
        for view, code, count in counts:
            cell = cells[*unit, view, code, "ALL"]
            if cell["hidden"] == "true":
                assert cell["count"] == cell["share"] == ""
                continue
            assert cell["count"] == str(count)
            assert count == 0 or count >= 5
            if view == "cohort":
                share = row["cohort"]["shares"][code]
                assert cell["share"] in ("", "" if share is None else str(share))
    # Open data are what the public sees, whoever asks: how many have both days of these delays is not told.
    assert any(r["hidden"] == "true" for r in table)
    lille = ("academie", "09")
    delay = cells[*lille, "cohort", "detected_to_interviewed", "ALL"]
    assert (delay["count"], delay["median_days"], delay["p90_days"], delay["hidden"]) == ("20", "7.0", "7", "false")
    assert cells[*lille, "activity", "dismissed", "SCOLARITE"]["count"] == "10"
    assert cells[*lille, "cohort", "reached", "ALL"]["share"] == "0.6667"
    assert all(r["definition_version"] == "1" for r in table)


async def test_the_csv_is_plain_rfc_4180(unit_of_work: UnitOfWork) -> None:
    async with serving(unit_of_work) as service:
        answer = await service.get("/2013/2/indicators.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *lines, end = answer.content.split(b"\r\n")
    assert head.startswith(b"year,period,level,code,label,view,indicator,source,definition_version,count,share")
    assert end == b""
    assert len(lines) > 31 * 20
    assert b"\n" not in b"".join(lines)


async def test_what_is_published_stays_the_same_on_every_replica_until_it_is_made_anew(
    unit_of_work: UnitOfWork,
) -> None:
    await counted(unit_of_work, *MARCH)
    async with serving(unit_of_work, age_s=60) as one, serving(unit_of_work, age_s=60) as other:
        answers = await asyncio.gather(*(service.get("/2013/2/indicators.csv") for service in (one, other) * 5))
        (first,) = {answer.content for answer in answers}
        (tag,) = {answer.headers["etag"] for answer in answers}
        again = await other.get("/2013/2/indicators.csv", **{"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        since = (await one.get("/2013/2/datapackage.json")).json()["created"]

        one.now += timedelta(seconds=61)  # nothing changed: it is looked at, and stays
        assert (await one.get("/2013/2/datapackage.json")).json()["created"] == since

        await counted(unit_of_work, (PARIS, "2013-04-02", "returned", 50), offset=2)
        for service in (one, other):
            assert (await service.get("/2013/2/indicators.csv")).content == first
            service.now += timedelta(seconds=62)
        later = {(await service.get("/2013/2/indicators.csv")).content for service in (one, other)}
        assert len(later) == 1
        assert first not in later
        assert (await other.get("/2013/2/datapackage.json")).json()["created"] > since


async def test_all_periods_that_have_begun_are_listed_and_are_there(unit_of_work: UnitOfWork) -> None:
    await counted(unit_of_work, (LILLE, "2012-11-05", "detected", 60))
    async with serving(unit_of_work) as service:
        listed = (await service.get("")).json()
        assert listed["licence"]["name"] == "etalab-2.0"
        periods = [(each["year"], each["period"], each["complete"]) for each in listed["periods"]]
        assert periods == [
            *((2012, number, True) for number in (*range(1, 7), None)),
            *((2013, number, number in {1, 2, 3}) for number in (*range(1, 5), None)),
        ]
        for name in ("csv", "json", "definitions", "datapackage"):
            assert (await service.client.get(listed["periods"][-1][name])).status_code == 200
        assert (await service.client.get(listed["table_schema"])).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("/2013/5/indicators.csv", 404, "period_not_begun", "2013-09-01"),
        ("/2014/datapackage.json", 404, "period_not_begun", "2013/4"),
        ("/2013/0/indicators.csv", 422, "invalid_request", "period"),
        ("/2013/7/indicators.json", 422, "invalid_request", "period"),
        ("/1999/indicators.csv", 422, "invalid_request", "year"),
        ("/deux/1/indicators.csv", 422, "invalid_request", "year"),
        ("/2013/2/indicators.ods", 404, "no_such_path", ""),
    ],
)
async def test_what_is_not_there_is_refused_with_a_remedy(
    unit_of_work: UnitOfWork, path: str, status: int, code: str, says: str
) -> None:
    async with serving(unit_of_work) as service:
        answer = await service.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert says in answer.json()["detail"]


async def test_small_counts_are_not_published_even_where_staff_ask(unit_of_work: UnitOfWork) -> None:
    await counted(
        unit_of_work, *MARCH, (PARIS, "2013-03-20", "interviewed", 3), (LILLE, "2013-03-20", "interviewed", 9)
    )
    async with serving(unit_of_work, reader=NATIONAL) as service:
        query = {"by": "academie", "code": "01", "from": "2013-03-01", "to": "2013-04-30"}
        (seen,) = (await service.client.get("/v1/indicators", params=query)).json()["rows"]
        table = await service.rows("/2013/2")
        objects = (await service.get("/2013/2/indicators.json")).json()
    assert seen["activity"]["interviewed"] == 3
    interviewed = {r["code"]: r for r in table if (r["view"], r["indicator"]) == ("activity", "interviewed")}
    assert (interviewed["01"]["count"], interviewed["01"]["hidden"]) == ("", "true")
    shown = [code for code in ("FR", "01", "09") if interviewed[code]["count"]]
    assert len(shown) < 2  # or one would be the difference of the others
    assert not any(r["count"] in {"1", "2", "3", "4"} for r in table)
    assert not any(each["count"] in {1, 2, 3, 4} for each in objects)
