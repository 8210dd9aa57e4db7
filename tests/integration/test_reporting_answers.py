"""GET /v1/indicators: answers agree, are told apart by their ETag, and are kept only for as long as they hold."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.reporting.answers import Answers
from services.reporting.api import Indicators, router
from services.reporting.board import Board
from services.reporting.definitions import registry
from services.reporting.front import Front
from services.reporting.queries import IndicatorsQuery
from services.reporting.readers import Reader
from services.reporting.settings import ReportingSettings
from services.reporting.units import Units
from shared import http
from shared.bus import Log
from shared.mongo import Mongo
from shared.reference import load
from shared.unit_of_work import UnitOfWork
from tests.support.board import FIRST_DAY, LEAVES, Counted, answering, following, prepared, some, write
from tests.support.definitions import CHANGE, with_second_version
from tests.support.probe import eventually


@pytest.fixture
async def unit_of_work(mongo_url: str, db_name: str) -> AsyncIterator[UnitOfWork]:
    mongo = Mongo(mongo_url, db_name)
    yield await prepared(mongo)
    await mongo.close()


NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
TOPICS = {"t": "referral.events"}


class Broker(Log):
    """Tells the ends that it is told, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(ReportingSettings())
        self.end = 10
        self.asked = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def end_offsets(self, topics: object) -> Mapping[tuple[str, int], int]:
        assert topics == ["t"]
        self.asked += 1
        await asyncio.sleep(0.005)
        await self.answers.wait()
        if self.away:
            raise OSError
        return {("t", 0): self.end}


class Reporting:
    """The HTTP side of reporting over a real store, with a broker that is a fake and a clock that stands still."""

    def __init__(
        self, mongo: Mongo, answer_age_s: float, patience_s: float = 5.0, definitions: Path | None = None
    ) -> None:
        self.unit_of_work = UnitOfWork(mongo, "reporting")
        self.board = Board(mongo, patience_s=patience_s)
        self.broker = Broker()
        self.now = NOON
        self.answers = Answers(
            self.board,
            self.broker,
            Units(load()),
            TOPICS,
            definitions=registry(definitions),
            clock=lambda: self.now,
            answer_age_s=answer_age_s,
        )
        app = FastAPI()
        http.install(app)
        app.include_router(router(self.answers))
        app.add_middleware(Front, answers=self.answers)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    async def get(self, query: str = "", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(f"/v1/indicators{query}", headers=sent)

    async def detected(self, query: str = "") -> int:
        answer = await self.get(query)
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["rows"][0]["activity"]["detected"]
        return found

    async def add(self, detected: int, offset: int) -> None:
        """One more batch, and wait until the board has heard of it."""
        counted: Counted = Counter({(LEAVES[1], date(2013, 2, 1), "detected"): detected})
        await write(self.unit_of_work, 0, counted, offset)

        async def heard() -> bool:
            return self.board._heard[0] == offset

        await eventually(heard)


@asynccontextmanager
async def reporting(unit_of_work: UnitOfWork, answer_age_s: float) -> AsyncIterator[Reporting]:
    found = Reporting(unit_of_work.mongo, answer_age_s)
    async with following(found.board), found.client:
        yield found


async def test_an_answer_is_what_its_model_says(unit_of_work: UnitOfWork) -> None:
    counted: Counted = some(random.Random(3), 400)
    await write(unit_of_work, 0, counted)
    async with reporting(unit_of_work, 0) as service:
        for query in ("", "?by=national,academie,departement,network", "?view=activity&by=academie", "?view=cohort"):
            for again in (False, True):
                answer = await service.get(query)
                assert answer.status_code == 200, (query, again)
                found = Indicators.model_validate_json(answer.content)
                shown = found.model_dump(mode="json", exclude_unset=True)  # nothing is hidden: not said in each row
                assert answer.json() == shown
                assert list(answer.json()) == list(shown)
                assert list(answer.json()["rows"][0]) == list(shown["rows"][0])
        assert answer.json()["as_of"] == "2013-06-03T12:00:00Z"
        assert answer.json()["sources"] == [
            {"topic": "referral.events", "last_event_time": "2013-03-01T00:00:01Z", "lag": 9}
        ]
        rows = (await service.get("?by=national")).json()["rows"]
        plain = sum(n for (_, _, measure), n in counted.items() if measure == "detected")
        assert rows[0]["cohort"]["size"] == rows[0]["activity"]["detected"] == plain


async def test_within_its_age_all_answers_are_of_the_same_moment_and_the_broker_is_asked_once(
    unit_of_work: UnitOfWork,
) -> None:
    async with reporting(unit_of_work, 600) as service:
        await service.add(2, 1)
        assert await asyncio.gather(*(service.detected(f"?from=2013-0{n}-01") for n in (1, 1, 2, 2, 2))) == [2] * 5
        asked = service.broker.asked
        await service.add(3, 2)
        service.now += timedelta(minutes=5)
        service.broker.end = 11
        for query in ("?from=2013-01-01", "?to=2013-02-01"):
            answer = (await service.get(query)).json()
            assert answer["rows"][0]["activity"]["detected"] == 2
            assert (answer["as_of"], answer["sources"][0]["lag"]) == ("2013-06-03T12:00:00Z", 9)
        assert service.broker.asked == asked == 1


async def test_news_is_shown_within_a_quarter_of_the_age_and_never_as_fresher_than_it_is(
    unit_of_work: UnitOfWork,
) -> None:
    async with reporting(unit_of_work, 24) as service:
        await service.add(2, 1)
        assert await service.detected() == 2
        await service.add(3, 2)

        async def is_shown() -> bool:
            return await service.detected() == 5

        await eventually(is_shown, within_s=15)
        # The broker was not asked again: how fresh the figures are is told as it was before the news.
        assert (service.broker.asked, (await service.get()).json()["sources"][0]["lag"]) == (1, 9)


async def test_past_its_age_an_answer_is_made_anew_and_those_who_ask_at_once_share_it(unit_of_work: UnitOfWork) -> None:
    async with reporting(unit_of_work, 0) as service:
        await service.add(2, 1)
        assert await service.detected() == 2
        await service.add(3, 2)
        service.now += timedelta(minutes=5)
        asked = service.broker.asked
        answers = await asyncio.gather(*(service.get() for _ in range(20)))
        assert {answer.json()["rows"][0]["activity"]["detected"] for answer in answers} == {5}
        assert {answer.json()["as_of"] for answer in answers} == {"2013-06-03T12:05:00Z"}
        assert {answer.json()["sources"][0]["lag"] for answer in answers} == {8}
        assert service.broker.asked - asked <= 2


async def test_situations_lapse_as_days_go_by_though_nothing_comes_in(unit_of_work: UnitOfWork) -> None:
    detected_on = date(2013, 2, 1)
    verified_after = {10: 3, 60: 2}  # days: youths
    counted: Counted = Counter({(LEAVES[1], detected_on, measure): 5 for measure in ("detected", "cohort:reached")})
    counted.update(
        {
            (LEAVES[1], detected_on, f"delay:detected_to_verified:{days}"): youths
            for days, youths in verified_after.items()
        }
    )
    await write(unit_of_work, 0, counted)
    async with reporting(unit_of_work, 0) as service:
        etags = set()
        for days_on, lapsed in ((90, 0), (100, 0), (101, 3), (150, 3), (151, 5)):
            service.now = datetime(2013, 2, 1, 12, tzinfo=UTC) + timedelta(days=days_on)
            for query in ("?view=cohort", "?view=cohort&by=academie"):
                answer = await service.get(query)
                cohort = answer.json()["rows"][0]["cohort"]
                told = cohort["size"], cohort["not_known"], cohort["lapsed"], cohort["unknown"]
                assert told == (5, 0, lapsed, lapsed), (days_on, query)
            etags.add(answer.headers["etag"])
        assert len(etags) == 3


async def test_while_the_broker_is_asked_again_only_who_asked_first_waits(unit_of_work: UnitOfWork) -> None:
    async with reporting(unit_of_work, 0.01) as service:
        assert (await service.get()).json()["as_of"] == "2013-06-03T12:00:00Z"
        service.broker.answers.clear()
        service.now += timedelta(minutes=5)
        await asyncio.sleep(0.15)  # more than ten times the age, whatever making the answer took
        first = asyncio.create_task(service.get())

        async def waits() -> bool:
            return service.answers._editing.locked()

        await eventually(waits)
        assert (await service.get()).json()["as_of"] == "2013-06-03T12:00:00Z"
        assert not first.done()
        service.broker.answers.set()
        assert (await first).json()["as_of"] == "2013-06-03T12:05:00Z"


async def test_an_answer_that_is_asked_for_all_the_time_is_made_anew_behind_its_readers(
    unit_of_work: UnitOfWork,
) -> None:
    async with reporting(unit_of_work, 0.2) as service:
        await service.add(2, 1)
        for _ in range(2):  # answered by the application first, then in front of it
            assert await service.detected() == 2
        await service.add(3, 2)
        await asyncio.sleep(0.3)  # past its age, and not ten times that
        service.broker.answers.clear()
        assert await service.detected() == 2  # at once, though another cannot be made yet
        service.broker.answers.set()

        async def is_of_now() -> bool:
            return await service.detected() == 5

        await eventually(is_of_now)


async def test_who_has_the_answer_is_told_so_until_figures_or_lags_are_others(unit_of_work: UnitOfWork) -> None:
    async with reporting(unit_of_work, 0) as service:
        await service.add(2, 1)
        for query in ("?by=academie", "?by=academie"):  # answered by the application first, then in front of it
            first = await service.get(query)
            etag = first.headers["etag"]
            assert first.headers["cache-control"] == "no-cache"
            assert etag.startswith('W/"')
            service.now += timedelta(minutes=1)
            for condition in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
                unchanged = await service.get(query, if_none_match=condition)
                assert (unchanged.status_code, unchanged.content) == (304, b"")
                assert unchanged.headers["etag"] == etag
            assert (await service.get(query, if_none_match='"other"')).status_code == 200
        assert (await service.get("?by=national", if_none_match=etag)).status_code == 200

        service.broker.end += 1
        later = await service.get("?by=academie", if_none_match=etag)
        assert (later.status_code, later.json()["sources"][0]["lag"]) == (200, 10)
        await service.add(1, 2)
        last = await service.get("?by=academie", if_none_match=later.headers["etag"])
        assert last.status_code == 200
        assert len({etag, later.headers["etag"], last.headers["etag"]}) == 3


async def test_who_reads_gzip_is_sent_the_same_answer_in_a_fraction_of_the_bytes(unit_of_work: UnitOfWork) -> None:
    async with reporting(unit_of_work, 0) as service:
        await service.add(3, 1)
        for query in ("?by=academie", "?by=academie&view=cohort"):
            plain = await service.get(query, accept_encoding="identity")
            asked = await service.get(query, accept_encoding="gzip;q=0.8, br")
            assert "content-encoding" not in plain.headers
            assert asked.headers["content-encoding"] == "gzip"
            assert plain.headers["vary"] == asked.headers["vary"] == "accept-encoding"
            assert plain.headers["etag"] == asked.headers["etag"]
            assert {**plain.json(), "as_of": None} == {**asked.json(), "as_of": None}
            assert 5 * int(asked.headers["content-length"]) < int(plain.headers["content-length"])
            have = await service.get(query, accept_encoding="gzip", if_none_match=asked.headers["etag"])
            assert (have.status_code, have.content) == (304, b"")
            # It is squeezed again as the figures move, whoever asks in between.
            await service.add(1, int(query.count("&")) + 2)
            moved = await service.get(query, accept_encoding="gzip")
            assert moved.headers["content-encoding"] == "gzip"
            assert moved.json()["rows"] == (await service.get(query, accept_encoding="identity")).json()["rows"]
            assert moved.json()["rows"] != asked.json()["rows"]


async def test_what_cannot_be_asked_is_refused_each_time_and_what_can_no_longer_be_is_too(
    unit_of_work: UnitOfWork,
) -> None:
    async with reporting(unit_of_work, 0) as service:
        for _ in range(2):
            for query, code in (
                ("?by=region", "invalid_request"),
                ("?from=2013-02-30", "invalid_request"),
                ("?since=2013", "invalid_request"),
                ("?from=2013-02-02&to=2013-02-01", "period_upside_down"),
                ("?by=network&code=N9", "unknown_code"),
            ):
                answer = await service.get(query)
                assert (answer.status_code, answer.json()["code"]) == (422, code), query
                assert answer.headers["content-type"] == "application/problem+json"
        await write(unit_of_work, 9, Counter(), name="Nine")

        async def known() -> bool:
            return (await service.get("?by=network&code=N9")).is_success

        await eventually(known)
        assert (await service.get("?by=network&code=N9")).json()["rows"][0]["label"] == "Nine"
        assert (await service.client.head("/v1/indicators", params={"by": "network", "code": "N9"})).status_code == 405

        await unit_of_work.mongo["networks"].delete_one({"_id": "N9"})
        await service.board.load()
        gone = await service.get("?by=network&code=N9")
        assert (gone.status_code, gone.json()["code"]) == (422, "unknown_code")


async def test_only_so_many_answers_are_kept(unit_of_work: UnitOfWork) -> None:
    async with reporting(unit_of_work, 0) as service:
        for number in range(200):
            assert (await service.get(f"?from=2013-01-01&to={date(2013, 1, 1) + timedelta(days=number)}")).is_success
        assert len(service.answers._kept) == 64
        assert service.answers.known(b"from=2013-01-01&to=2013-07-19") is not None


async def test_lags_are_unknown_while_the_broker_is_away_and_it_is_left_alone_for_a_moment(
    unit_of_work: UnitOfWork,
) -> None:
    async with reporting(unit_of_work, 0) as service:
        service.broker.away = True
        for _ in range(5):
            assert (await service.get()).json()["sources"][0]["lag"] is None
        assert service.broker.asked == 1


async def test_before_the_figures_are_loaded_a_query_waits_and_then_is_told_to_come_again(
    unit_of_work: UnitOfWork,
) -> None:
    service = Reporting(unit_of_work.mongo, 0)
    async with service.client:
        waiting = asyncio.create_task(service.get())
        await asyncio.sleep(0.05)
        await service.board.load()
        assert (await waiting).status_code == 200

    service = Reporting(unit_of_work.mongo, 0, patience_s=0.05)
    async with service.client:
        answer = await service.get()
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "2"


async def test_a_changed_definition_marks_the_break_in_every_answer_over_it_and_in_the_list_of_definitions(
    unit_of_work: UnitOfWork, tmp_path: Path
) -> None:
    service = Reporting(unit_of_work.mongo, 0, definitions=with_second_version(tmp_path, "reached", "2014-09-01"))
    await service.board.load()
    broken = {"code": "reached", "on": "2014-09-01", "from_version": 1, "to_version": 2, "change": CHANGE}
    async with service.client as client:
        for query, found in (
            ("", [broken]),
            ("?from=2014-01-01&to=2014-12-31", [broken]),
            ("?from=2014-09-01", []),
            ("?to=2014-08-31", []),
        ):
            assert (await service.get(query)).json()["breaks"] == found, query
        definitions = (await client.get("/v1/indicators/definitions")).json()
        assert definitions["breaks"] == [broken]
        versions = [item for item in definitions["items"] if item["code"] == "reached"]
        assert [(item["version"], item["valid_to"], item["change"]) for item in versions] == [
            (1, "2014-08-31", None),
            (2, None, CHANGE),
        ]
        on_a_day = (await client.get("/v1/indicators/definitions?on=2014-09-01")).json()["items"]
        assert [item["version"] for item in on_a_day if item["code"] == "reached"] == [2]
        assert len(on_a_day) == len(definitions["items"]) - 1
        assert (await client.get("/v1/indicators/definitions?on=2012-12-31")).json()["items"] == []
        for refused in ("on=2014-02-30", "day=2014-01-01"):
            answer = await client.get(f"/v1/indicators/definitions?{refused}")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_an_academie_s_own_row_is_of_now_while_what_it_sees_of_others_is_kept(unit_of_work: UnitOfWork) -> None:
    board, answers = answering(unit_of_work.mongo, lambda: NOON, Reader("academie", "01"))
    came = ("detected", "interviewed", "cohort:interviewed", "delay:detected_to_interviewed:5")

    def interviews(number: int) -> Counted:
        """So many of each network, with all that follows."""
        return Counter({(leaf, FIRST_DAY, measure): number for leaf in LEAVES[1:] for measure in came})

    query = IndicatorsQuery.model_validate({"by": ("academie",)})
    async with following(board):
        await write(unit_of_work, 1, interviews(10))
        await eventually(lambda: _is_applied(answers, 1))
        before = {row["code"]: row for row in answers.rows(query, await answers.edition())}
        answers._patterns = [replace(kept, until=float("inf")) for kept in answers._patterns]
        await write(unit_of_work, 1, interviews(7), offset=2)
        await eventually(lambda: _is_applied(answers, 2))
        after = {row["code"]: row for row in answers.rows(query, await answers.edition())}
    for code in ("00", "01", "02"):
        cohorts = before[code]["cohort"], after[code]["cohort"]
        assert [cohort["interviewed"] for cohort in cohorts] == [40, 68 if code == "01" else 40]
    own = after["01"]["cohort"]
    assert own["delays"]["detected_to_interviewed"]["n"] == own["size"] == own["interviewed"]


async def _is_applied(answers: Answers, offset: int) -> bool:
    position = (await answers.edition()).figures.positions.get(("t", 1))
    return position is not None and position.next_offset == offset
