"""`foquale indicators`: the table of indicators in the terminal, or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.addresses import Addresses
from deploy.client import Client, Freshness, IndicatorRow, Indicators

ACTIVITY = (
    "detected",
    "attempted",
    "reached",
    "interviewed",
    "offered",
    "contracted",
    "returned",
    "civic_service",
    "broken",
    "dismissed",
)
COHORT = ("size", *ACTIVITY[1:-1], "not_known")
DELAYS = ("detected_to_attempted", "detected_to_interviewed", "interviewed_to_offered", "offered_to_contracted")

_WIDE = 150


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
        console.print(table(answer["rows"], view, f"{view.capitalize()}, {question.period}"))
        if view == "cohort":
            console.print(delays_table(answer["rows"], f"Cohort, {question.period}: median days (90th percentile)"))
    console.print(freshness(answer), style="dim", highlight=False)


def wide_console() -> Console:
    """A console whose tables keep all columns where output goes to a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDE, highlight=False)


def table(rows: Sequence[IndicatorRow], view: str, title: str, names: Sequence[str] = ()) -> Table:
    """The rows' figures of a view, a unit a line; `names` are the codes of the columns, all where none are given."""
    names = names or (ACTIVITY if view == "activity" else COHORT)
    figures = [(row["activity"] if view == "activity" else row["cohort"]) or {} for row in rows]
    return _table(rows, title, names, [[_number(each.get(name)) for name in names] for each in figures])


def delays_table(rows: Sequence[IndicatorRow], title: str) -> Table:
    """How long the cohort's steps took."""
    found = [(row["cohort"] or {}).get("delays") or {} for row in rows]
    names = [name.replace("_to_", " → ") for name in DELAYS]
    return _table(rows, title, names, [[_delay(each.get(name) or {}) for name in DELAYS] for each in found])


def _table(rows: Sequence[IndicatorRow], title: str, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    found = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    found.add_column("", no_wrap=True)
    found.add_column("", overflow="fold", min_width=10)
    for name in names:
        found.add_column(name.replace("_", " "), justify="right")
    level = rows[0]["by"] if rows else ""
    for row, figures in zip(rows, cells, strict=True):
        if row["by"] != level:
            found.add_section()
            level = row["by"]
        found.add_row(row["code"], row["label"], *figures, style="bold" if row["by"] == "national" else None)
    return found


def _delay(delay: dict[str, Any]) -> str:
    return f"{_number(delay.get('median'))} ({_number(delay.get('p90'))})"


def freshness(answer: Indicators) -> str:
    """How fresh the figures are, in a line."""
    return f"as of {answer['as_of']}, definition {answer['definition_version']}; " + ", ".join(
        f"{source['topic']} {_lag(source)}" for source in answer["sources"]
    )


def _lag(source: Freshness) -> str:
    if source["lag"] is None:
        return "unknown lag"
    return "up to date" if source["lag"] == 0 else f"{source['lag']} events behind"


def _number(value: float | None) -> str:
    """Grouped by thousands; a middle dot where there is none (suppressed, or nobody to measure)."""
    if value is None:
        return "·"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
