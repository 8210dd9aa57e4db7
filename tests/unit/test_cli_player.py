"""The player: order per youth, patience with the bus, and an end at the first failure."""

import asyncio
import json
from collections import defaultdict
from typing import Any

import httpx
import pytest

from deploy.addresses import addresses
from deploy.cli.failures import Failure
from deploy.client import Client
from deploy.demo.campaign import Work
from deploy.demo.player import Player
from deploy.demo.verify import figure_differences, list_differences


class Services(httpx.AsyncBaseTransport):
    """The four services as far as the player sees them: a contract and an offer become known after two questions."""

    def __init__(self, youths: int) -> None:
        self.done: dict[str, list[str]] = defaultdict(list)
        self.keys: dict[str, set[str]] = defaultdict(set)
        self.tries: dict[str, int] = defaultdict(int)
        self.under_way = 0
        self.most = 0
        self._youths = [
            {"youth_id": f"y{n}", "sightings": [{"campaign": "2013-03", "source": "SCOLARITE", "source_row": str(n)}]}
            for n in range(youths)
        ]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"items": self._youths, "next": None})
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        try:
            return self._answer(request.url.path, json.loads(request.content), request.headers["Idempotency-Key"])
        finally:
            self.under_way -= 1

    def _answer(self, path: str, body: dict[str, Any], key: str) -> httpx.Response:
        parts = path.removeprefix("/v1/").split("/")
        match parts:
            case ["youths", youth, what]:
                if body.get("reason") == "error":
                    return httpx.Response(422, json={"code": "invalid_request", "detail": "no such reason"})
            case ["placements"]:
                youth, what = body["youth_id"], "offer"
            case ["placements", placement, what]:
                youth = placement.removeprefix("p-")
            case ["contracts"]:
                youth, what = body["placement_id"].removeprefix("p-"), "contract"
            case ["contracts", contract, what]:
                youth = contract.removeprefix("c-")
        self.keys[f"{youth} {what}"].add(key)
        if what in ("offer", "acceptance"):
            self.tries[f"{youth} {what}"] += 1
            if self.tries[f"{youth} {what}"] < 3:
                code, status = ("not_interviewed", 409) if what == "offer" else ("not_known_yet", 404)
                return httpx.Response(status, json={"code": code, "detail": "wait"})
        self.done[youth].append(what)
        return httpx.Response(201, json={"placement_id": f"p-{youth}", "contract_id": f"c-{youth}"})


STORY = ("contact", "interview", "offer", "acceptance", "contract", "start", "review", "end")


def _story(youths: int) -> list[Work]:
    return [
        Work(step * youths + n, "2013-04-01", ("2013-03", "SCOLARITE", str(n)), do, int(step > 1), {})
        for step, do in enumerate(STORY)
        for n in range(youths)
    ]


async def test_everybodys_work_is_done_in_its_order_and_not_too_much_at_once() -> None:
    services = Services(100)
    async with Client(addresses({}), connections=5, transport=services) as client:
        player = Player(client, concurrency=20)
        assert await player.learn_youths("2013-03") == 100
        await player.play(_story(100))
    paths = {"contact": "contacts", "interview": "interviews", "review": "reviews"}
    assert all(services.done[f"y{n}"] == [paths.get(do, do) for do in STORY] for n in range(100))
    assert player.done.total() == 800
    assert player.again == 400
    assert 1 < services.most <= 20
    assert all(len(keys) == 1 for keys in services.keys.values()), "a second try must carry the key of the first"
    assert len(set[str]().union(*services.keys.values())) == 800


async def test_the_first_refusal_ends_the_play_and_names_its_line() -> None:
    work = _story(50)
    work[7] = Work(7, "2013-04-01", work[7].youth, "dismissal", 0, {"reason": "error"})
    async with Client(addresses({}), transport=Services(50)) as client:
        player = Player(client)
        await player.learn_youths("2013-03")
        with pytest.raises(Failure, match=r"line 7 \(dismissal on 2013-04-01\).*no such reason"):
            await player.play(work)
    assert player.done.total() < 400


async def test_work_about_nobody_known_is_a_failure() -> None:
    async with Client(addresses({}), transport=Services(0)) as client:
        with pytest.raises(Failure, match="there is no youth of 2013-03 SCOLARITE 0"):
            await Player(client).play(_story(1))


FIGURES: dict[str, Any] = {
    "activity": {"detected": 3, "attempted": 2},
    "cohort": {"size": 3, "delays": {"detected_to_attempted": {"n": 2, "median": 4.5, "p90": 6}}},
}


def _expected() -> dict[str, Any]:
    return {"national": {"FR": FIGURES}, "academie": {"09": FIGURES}}


def _rows(**other: Any) -> list[Any]:
    empty = {"activity": {"detected": 0}, "cohort": {"size": 0}}
    return [
        {"by": "national", "code": "FR", **FIGURES},
        {"by": "academie", "code": "09", **FIGURES, **other},
        {"by": "academie", "code": "10", **empty},
    ]


def test_equal_figures_have_no_difference() -> None:
    assert figure_differences(_expected(), _rows()) == []


def test_a_difference_is_named_to_the_unit() -> None:
    assert figure_differences(_expected(), _rows(activity={"detected": 3, "attempted": 1})) == [
        "academie 09 activity attempted: 1, expected 2"
    ]
    late = {"size": 3, "delays": {"detected_to_attempted": {"n": 2, "median": 5.0, "p90": 6}}}
    assert figure_differences(_expected(), _rows(cohort=late)) == [
        "academie 09 cohort delays detected_to_attempted median: 5.0, expected 4.5"
    ]


def test_missing_and_unexpected_units_are_differences() -> None:
    rows = _rows()
    rows[2]["activity"]["detected"] = 4
    assert figure_differences(_expected(), [*rows[:1], rows[2]]) == [
        "academie 09: no row",
        "academie 10 detected: 4, expected 0",
    ]


def test_the_counts_of_a_list_are_compared_code_by_code() -> None:
    expected = {"accepted": 2, "rejected": {"over_25": 1}, "warnings": {}}
    counts: Any = {"accepted": 2, "rejected": {"over_25": 1, "malformed": 1}, "warnings": {}}
    assert list_differences("2013-03", expected, counts) == ["list 2013-03 rejected malformed: 1, expected 0"]
    counts["rejected"] = {"over_25": 1}
    assert list_differences("2013-03", expected, counts) == []
