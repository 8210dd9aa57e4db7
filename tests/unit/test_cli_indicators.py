"""The tables of indicators in the terminal."""

import io
from typing import Any

from rich.console import Console

from deploy.cli.indicators import ACTIVITY, COHORT, DELAYS, delays_table, freshness, table
from deploy.client import IndicatorRow, Indicators


def _row(by: str, code: str, label: str, number: int | None) -> IndicatorRow:
    cohort: dict[str, Any] = dict.fromkeys(COHORT, number)
    cohort["delays"] = {name: {"n": 2, "median": 3.5, "p90": 7} for name in DELAYS[:-1]}
    cohort["delays"][DELAYS[-1]] = {"n": 0, "median": None, "p90": None}
    return {"by": by, "code": code, "label": label, "activity": dict.fromkeys(ACTIVITY, number or 0), "cohort": cohort}


ROWS = [_row("national", "FR", "France", 12_345), _row("academie", "02", "Aix-Marseille", None)]


def _text(what: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=170).print(what)
    return out.getvalue().splitlines()


def test_a_unit_has_a_line_with_all_codes() -> None:
    lines = _text(table(ROWS, "activity", "Activity, 2013"))
    assert lines[0].startswith("Activity, 2013")
    assert [name for name in ACTIVITY if name.replace("_", " ") not in lines[2]] == []
    national = next(line for line in lines if "France" in line)
    assert national.split() == ["FR", "France", *["12,345"] * len(ACTIVITY)]


def test_what_is_not_known_is_a_dot() -> None:
    lines = _text(table(ROWS, "cohort", "Cohort"))
    assert next(line for line in lines if "Aix" in line).split() == ["02", "Aix-Marseille", *["·"] * len(COHORT)]


def test_delays_are_median_and_ninetieth_percentile() -> None:
    lines = _text(delays_table(ROWS[:1], "Days"))
    assert next(line for line in lines if "France" in line).split()[2:] == ["3.5", "(7)"] * 3 + ["·", "(·)"]


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
    assert _text(table([], "activity", "Nothing"))[0].startswith("Nothing")
