"""The table of objectives in the terminal."""

import io
from typing import Any

import httpx
from rich.console import Console

from deploy.addresses import addresses
from deploy.cli.objectives import show
from deploy.client import Client


def line(code: str, label: str, objective: int | None, achieved: int | None, **more: Any) -> dict[str, Any]:
    landed = (
        None if achieved is None else {"value": 2 * achieved, "low": achieved, "high": 3 * achieved, "method": "linear"}
    )
    share = None if objective is None or achieved is None else round(achieved / objective, 4)
    shown = {"academie": code, "label": label, "objective": objective, "achieved": achieved, "attainment": share}
    return {**shown, "landing": landed, "method": "linear", **more}


ANSWER: dict[str, Any] = {
    "year": 2013,
    "as_of": "2013-07-02T12:00:00Z",
    "academies": [line("09", "Lille", 1_350, 600, version=2), line("27", "Corse", None, None, version=None)],
    "national": line(
        "FR",
        "France",
        1_350,
        640,
        target={"youths": 20_000, "source": "circulaire"},
        gap=-18_650,
        attainment_of_target=0.032,
    ),
}


def shown(answer: dict[str, Any]) -> list[str]:
    out = io.StringIO()
    show(Console(file=out, width=120), answer)
    return [text.rstrip() for text in out.getvalue().splitlines()]


def test_each_academie_has_a_line_and_france_the_last() -> None:
    lines = [text for text in shown(ANSWER) if text]
    assert lines[0].strip() == "Objectives, 2013"
    lille, corse, france = (next(text for text in lines if name in text) for name in ("Lille", "Corse", "France"))
    assert lille.split() == ["09", "Lille", "1,350", "2", "600", "44.4%", "1,200", "600", "to", "1,800"]
    assert corse.split() == ["27", "Corse", *["·"] * 6]
    assert france.split()[:6] == ["FR", "France", "1,350", "·", "640", "47.4%"]
    assert lines.index(france) > lines.index(corse)
    assert "the ministry's target 20,000: 3.2%, the objectives' sum less it -18,650" in lines


def test_without_a_target_nothing_is_said_of_one() -> None:
    national = {**ANSWER["national"], "target": None, "gap": None, "attainment_of_target": None}
    assert not any("target" in text for text in shown({**ANSWER, "national": national}))


async def test_the_client_asks_for_a_year() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json=ANSWER)

    async with Client(addresses({}), transport=httpx.MockTransport(answer)) as client:
        assert await client.objectives(2013) == ANSWER
    assert asked == ["/v1/objectives/2013"]
