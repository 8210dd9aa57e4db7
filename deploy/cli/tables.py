"""Tables of figures in the terminal. Where it is too narrow for all columns there are several tables."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from deploy.answers import IndicatorRow

ACTIVITY: Final = (
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
COHORT: Final = ("size", *ACTIVITY[1:-1], "not_known")
DELAYS: Final = ("detected_to_attempted", "detected_to_interviewed", "interviewed_to_offered", "offered_to_contracted")

_WIDE: Final = 150
_LABEL: Final = 12


def wide_console() -> Console:
    """A console whose tables keep all columns where output goes to a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDE, highlight=False)


def print_figures(
    console: Console, rows: Sequence[IndicatorRow], view: str, title: str, names: Sequence[str] = ()
) -> None:
    """The rows' figures of a view, a unit a line; `names` are the codes of the columns, all where none are given."""
    names = names or (ACTIVITY if view == "activity" else COHORT)
    figures = [(row["activity"] if view == "activity" else row["cohort"]) or {} for row in rows]
    _print(
        console, rows, title, {name.replace("_", "\n"): [_number(each.get(name)) for each in figures] for name in names}
    )


def print_delays(console: Console, rows: Sequence[IndicatorRow], title: str) -> None:
    """How long the cohort's steps took."""
    found = [(row["cohort"] or {}).get("delays") or {} for row in rows]
    columns = {name.replace("_to_", " → "): [_delay(each.get(name) or {}) for each in found] for name in DELAYS}
    _print(console, rows, title, columns)


def _print(console: Console, rows: Sequence[IndicatorRow], title: str, columns: dict[str, list[str]]) -> None:
    """One table, or as many as the width needs, the columns shared out evenly."""
    names = list(columns)
    unbounded = console.options.update(width=10_000)
    for parts in range(1, len(names) + 1):
        size = -(-len(names) // parts)
        groups = [names[start : start + size] for start in range(0, len(names), size)]
        tables = [_table(rows, title, {name: columns[name] for name in group}) for group in groups]
        if all(Measurement.get(console, unbounded, each).minimum <= console.width for each in tables):
            break
    for each in tables:
        console.print(each)


def _table(rows: Sequence[IndicatorRow], title: str, columns: dict[str, list[str]]) -> Table:
    found = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    found.add_column("", no_wrap=True)
    found.add_column("", overflow="fold", min_width=_LABEL)
    for name in columns:
        # Not to be wrapped: rich narrows only columns that may be, here the labels, and has no mercy with numbers.
        found.add_column(name, justify="right", no_wrap=True)
    numbered = list(enumerate(rows))
    for level, group in groupby(numbered, key=lambda item: item[1]["by"]):
        for place, row in group:
            figures = [cells[place] for cells in columns.values()]
            found.add_row(row["code"], row["label"], *figures, style="bold" if level == "national" else None)
        found.add_section()
    return found


def _delay(delay: dict[str, Any]) -> str:
    return f"{_number(delay.get('median'))} ({_number(delay.get('p90'))})"


def _number(value: float | None) -> str:
    """Grouped by thousands; a middle dot where there is none (suppressed, or nobody to measure)."""
    if value is None:
        return "·"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
