"""The tables of indicators in the terminal."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from deploy.answers import IndicatorRow, Indicators
from deploy.cli.indicators import freshness
from deploy.cli.tables import ACTIVITY, COHORT, DELAYS, print_delays, print_figures


def _row(by: str, code: str, label: str, number: int | None) -> IndicatorRow:
    cohort: dict[str, Any] = dict.fromkeys(COHORT, number)
    cohort["delays"] = {name: {"n": 2, "median": 3.5, "p90": 7} for name in DELAYS[:-1]}
    cohort["delays"][DELAYS[-1]] = {"n": 0, "median": None, "p90": None}
    return {"by": by, "code": code, "label": label, "activity": dict.fromkeys(ACTIVITY, number or 0), "cohort": cohort}


ROWS = [_row("national", "FR", "France", 12_345), _row("academie", "02", "Aix-Marseille", None)]
OVERSEAS = _row("academie", "41", "Polynésie française", 123)


def _lines(width: int, show: Callable[[Console], None]) -> list[str]:
    out = io.StringIO()
    show(Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_unit_has_a_line_with_all_codes() -> None:
    lines = _lines(170, lambda console: print_figures(console, ROWS, "activity", "Activity, 2013"))
    assert lines[0] == "Activity, 2013"
    heading = f"{lines[2]} {lines[3]}".split()
    assert [word for name in ACTIVITY for word in name.split("_") if word not in heading] == []
    national = next(line for line in lines if "France" in line)
    assert national.split() == ["FR", "France", *["12,345"] * len(ACTIVITY)]


def test_what_is_not_known_is_a_dot() -> None:
    lines = _lines(170, lambda console: print_figures(console, ROWS, "cohort", "Cohort"))
    assert next(line for line in lines if "Aix" in line).split() == ["02", "Aix-Marseille", *["·"] * len(COHORT)]


def test_delays_are_median_and_ninetieth_percentile() -> None:
    lines = _lines(170, lambda console: print_delays(console, ROWS[:1], "Days"))
    assert next(line for line in lines if "France" in line).split()[2:] == ["3.5", "(7)"] * 3 + ["·", "(·)"]


def test_columns_may_be_chosen() -> None:
    lines = _lines(80, lambda console: print_figures(console, ROWS, "activity", "Some", ["detected", "broken"]))
    assert lines[2].split() == ["detected", "broken"]


@pytest.mark.parametrize("width", [60, 80, 100, 110, 115, 120, 130])
def test_on_a_narrow_terminal_no_figure_is_cut(width: int) -> None:
    lines = _lines(width, lambda console: print_figures(console, [*ROWS, OVERSEAS], "activity", "2013"))
    figures = [word for line in lines if "France" in line for word in line.split()[2:]]
    assert figures == ["12,345"] * len(ACTIVITY)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= width


def test_nothing_to_show_is_shown_as_well() -> None:
    assert _lines(80, lambda console: print_figures(console, [], "activity", "Nothing"))[0] == "Nothing"


def test_freshness_names_what_is_behind() -> None:
    answer: Indicators = {
        "as_of": "2013-12-31T12:00:00Z",
        "definition_version": 1,
        "sources": [
            {"topic": "referral.events", "last_event_time": None, "lag": 0},
            {"topic": "catalogue.events", "last_event_time": None, "lag": 7},
            {"topic": "tracking.events", "last_event_time": None, "lag": None},
        ],
        "rows": [],
    }
    text = freshness(answer)
    assert "referral.events up to date" in text
    assert "catalogue.events 7 events behind" in text
    assert "tracking.events unknown lag" in text
