"""`foquale quality`: how good what comes in is, in the terminal, or as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.addresses import Addresses
from deploy.cli.tables import wide_console
from deploy.client import Client

_COUNTS = ("rows", "accepted", "matched", "disputed", "repeated")


async def run(first: str | None, last: str | None, addresses: Addresses, *, as_json: bool) -> None:
    """Ask reporting and show the answer."""
    async with Client(addresses) as client:
        state = await client.quality(first=first, last=last)
    if as_json:
        typer.echo(json.dumps(state, ensure_ascii=False, indent=2))
        return
    show(wide_console(), state)


def show(console: Console, state: dict[str, Any]) -> None:
    """The upstream bases, the rejects by reason, disputes and dead letters."""
    period = f"{state['from'] or 'the beginning'} to {state['to'] or 'today'}"
    sources = [
        (
            source["source"],
            _silence(source),
            source["last_campaign"] or "·",
            *(_number(source[name]) for name in (*_COUNTS, "rejected_total")),
            _share(source["rejected_share"]),
            _share(source["false_positive_rate"]),
        )
        for source in state["sources"]
    ]
    head = ("source", "last heard of", "campaign", *_COUNTS, "rejected", "share", "false\npositives")
    _print(console, f"Rows of lists, {period}", head, sources)
    reasons = [("rejected", *reason) for reason in state["rejected"].items()]
    reasons += [("warning", *reason) for reason in state["warnings"].items()]
    _print(console, "Why", ("", "code", "rows"), [(kind, code, _number(count)) for kind, code, count in reasons])
    letters = [
        (letter["service"], letter["code"], *_affairs(letter, "kept"), _days(letter))
        for letter in state["dead_letters"]
    ]
    _print(console, "Dead letters", ("service", "code", "kept", "settled", "open", "oldest open"), letters)
    opened, settled, still_open = _affairs(state["disputes"], "opened")
    oldest = "" if state["disputes"]["oldest_open_on"] is None else f", the oldest for {_days(state['disputes'])}"
    console.print(f"disputes: {opened} opened, {settled} settled, {still_open} open{oldest}")
    lags = ", ".join(f"{topic['topic']} {_lag(topic['lag'])}" for topic in state["topics"])
    console.print(f"as of {state['as_of']}; {lags}", style="dim", highlight=False)


def _silence(source: dict[str, Any]) -> str:
    days = source["silence_days"]
    if days is None:
        return "never"
    return f"{_days_of(days)} ago{', SILENT' if source['silent'] else ''}"


def _affairs(of: dict[str, Any], begun: str) -> tuple[str, str, str]:
    return _number(of[begun]), _number(of["settled"]), _number(of["open"])


def _days(of: dict[str, Any]) -> str:
    return "·" if of["oldest_open_days"] is None else _days_of(of["oldest_open_days"])


def _days_of(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"


def _lag(lag: int | None) -> str:
    return "unknown lag" if lag is None else "up to date" if lag == 0 else f"{lag} events behind"


def _number(count: int | None) -> str:
    """A middle dot where it is hidden."""
    return "·" if count is None else f"{count:,}"


def _share(share: float | None) -> str:
    return "·" if share is None else f"{share:.1%}"


def _print(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for name in head:
        words = name in ("", "source", "last heard of", "campaign", "code", "service")
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    for row in rows or [("none", *[""] * (len(head) - 1))]:
        table.add_row(*row)
    console.print(table)
