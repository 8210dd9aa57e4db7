"""The cohort curve over HTTP: a plain count of who had come to a step so many days after detection."""

from collections.abc import AsyncIterator, Sequence
from datetime import date

import httpx
import pytest

from services.reporting.app import TOPICS, app
from services.reporting.settings import ReportingSettings
from shared.bus import ensure_topics
from shared.clock import utc_now
from tests.backends import Kafka
from tests.support.lives import population
from tests.support.oracle import Happened, Youth
from tests.support.probe import eventually, running
from tests.support.reporting import caught_up, send, settings_of

SPRING = date(2013, 3, 1), date(2013, 5, 31)
STEPS = ("attempted", "reached", "interviewed", "contracted", "returned")


@pytest.fixture
def events() -> list[Happened]:
    return population(120, seed=21)


@pytest.fixture
async def client(
    mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str, events: list[Happened]
) -> AsyncIterator[httpx.AsyncClient]:
    settings: ReportingSettings = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(settings, [settings.topic(name) for name in TOPICS])
    await send(settings, events)
    async with running(app(settings)) as client:
        await eventually(lambda: caught_up(client), within_s=30)
        yield client


def detected_in(events: Sequence[Happened], unit: tuple[str, str], first: date, last: date) -> list[Youth]:
    """The unit's youths detected in the period, without those who turned out to be no dropouts."""
    lives: dict[str, list[Happened]] = {}
    for happened in events:
        lives.setdefault(happened.event.youth_id, []).append(happened)
    youths = [Youth(life) for life in lives.values()]
    return [
        youth
        for youth in youths
        if unit in youth.units()
        and youth.dismissal is None
        and (day := youth.day("detected")) is not None
        and first <= day <= last
    ]


def share_within(days: int, step: str, youths: Sequence[Youth]) -> float:
    """Of these youths, the share that came to the step within so many days; before detection counts as on its day."""
    came = 0
    for youth in youths:
        begin, end = youth.day("detected"), youth.day(step)
        came += begin is not None and end is not None and (end - begin).days <= days
    return round(came / len(youths), 4)


async def test_the_curve_is_a_plain_count_of_who_had_come_so_far(
    client: httpx.AsyncClient, events: list[Happened]
) -> None:
    first, last = SPRING
    owners = [unit for youth in detected_in(events, ("national", "FR"), first, last) for unit in youth.units()]
    academie = max((unit for unit in set(owners) if unit[0] == "academie"), key=lambda unit: (owners.count(unit), unit))
    for level, code in (("national", "FR"), academie):
        asked = {"by": level, "code": code, "from": first.isoformat(), "to": last.isoformat()}
        answer = await client.get("/v1/cohort-curve", params=asked)
        assert answer.status_code == 200, answer.text
        curve = answer.json()
        youths = detected_in(events, (level, code), first, last)
        assert (curve["by"], curve["code"], curve["from"], curve["to"]) == (level, code, *map(str, SPRING))
        assert curve["size"] == len(youths) > 5
        today = utc_now().date()
        assert (curve["known_days"], curve["complete_days"]) == ((today - first).days, (today - last).days)
        assert curve["days"][:3] == [0, 15, 30]
        for step in STEPS:
            assert curve[step] == [share_within(days, step, youths) for days in curve["days"]], (level, step)


async def test_who_has_the_curve_is_told_so(client: httpx.AsyncClient) -> None:
    first = await client.get("/v1/cohort-curve")
    assert first.status_code == 200
    again = await client.get("/v1/cohort-curve", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"by": "region"}, "by"),
        ({"from": "2013-02-30"}, "from"),
        ({"by": "academie", "code": "99"}, "code"),
        ({"from": "2013-06-01", "to": "2013-05-01"}, "to"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_to_do(
    client: httpx.AsyncClient, asked: dict[str, str], field: str
) -> None:
    answer = await client.get("/v1/cohort-curve", params=asked)
    assert answer.headers["content-type"] == "application/problem+json"
    assert 400 <= answer.status_code < 500
    assert field in answer.text
