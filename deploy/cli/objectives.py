"""`foquale objectives`: what académies are to reach in a year, and where it will land: a table, or JSON."""

import json
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.addresses import Addresses
from deploy.cli.tables import wide_console
from deploy.client import Client

_COLUMNS: Final = ("objective", "version", "achieved", "attained", "landing", "80 % range")


async def run(year: int, addresses: Addresses, *, as_json: bool) -> None:
    """Ask reporting and show the answer."""
    async with Client(addresses) as client:
        answer = await client.objectives(year)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    show(wide_console(), answer)


def show(console: Console, answer: dict[str, Any]) -> None:
    """An académie a line, then France, then the ministry's target."""
    national = answer["national"]
    table = Table(title=f"Objectives, {answer['year']}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold", min_width=12)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for line in answer["academies"]:
        table.add_row(line["academie"], line["label"], *_cells(line))
    table.add_section()
    table.add_row(national["academie"], national["label"], *_cells(national), style="bold")
    console.print(table)
    target = national["target"]
    if target is not None:
        gap = "" if national["gap"] is None else f", the objectives' sum less it {national['gap']:+,}"
        console.print(f"the ministry's target {target['youths']:,}: {_percent(national['attainment_of_target'])}{gap}")
    console.print(f"as of {answer['as_of']}; landing {national['method']}", style="dim", highlight=False)


def _cells(line: dict[str, Any]) -> list[str]:
    landing = line["landing"]
    return [
        _number(line["objective"]),
        _number(line.get("version")),
        _number(line["achieved"]),
        _percent(line["attainment"]),
        _number(landing and landing["value"]),
        f"{_number(landing['low'])} to {_number(landing['high'])}" if landing else "·",
    ]


def _number(value: int | None) -> str:
    """A middle dot where there is none: nothing set, too early to say, or not shown."""
    return "·" if value is None else f"{value:,}"


def _percent(share: float | None) -> str:
    return "·" if share is None else f"{share:.1%}"
