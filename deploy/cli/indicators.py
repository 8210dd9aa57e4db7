"""`foquale indicators`: the table of indicators in the terminal, or as JSON."""

import json
from dataclasses import dataclass

import typer

from deploy.addresses import Addresses
from deploy.answers import Freshness, Indicators
from deploy.cli.tables import print_delays, print_figures, wide_console
from deploy.client import Client


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask reporting; lists are separated by commas."""

    by: str
    first: str | None = None
    last: str | None = None
    view: str = "activity"
    code: str = ""

    @property
    def period(self) -> str:
        """In words."""
        return f"{self.first or 'the beginning'} to {self.last or 'today'}"


async def run(question: Question, addresses: Addresses, *, as_json: bool) -> None:
    """Ask reporting and show the answer."""
    async with Client(addresses) as client:
        answer = await client.indicators(
            by=_split(question.by),
            first=question.first,
            last=question.last,
            view=_split(question.view),
            code=_split(question.code),
        )
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    console = wide_console()
    for view in _split(question.view) or ["activity", "cohort"]:
        print_figures(console, answer["rows"], view, f"{view.capitalize()}, {question.period}")
        if view == "cohort":
            print_delays(console, answer["rows"], f"Cohort, {question.period}: median days (90th percentile)")
    console.print(freshness(answer), style="dim", highlight=False)


def freshness(answer: Indicators) -> str:
    """How fresh the figures are, in a line."""
    return f"as of {answer['as_of']}, definition {answer['definition_version']}; " + ", ".join(
        f"{source['topic']} {_lag(source)}" for source in answer["sources"]
    )


def _lag(source: Freshness) -> str:
    if source["lag"] is None:
        return "unknown lag"
    return "up to date" if source["lag"] == 0 else f"{source['lag']} events behind"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
