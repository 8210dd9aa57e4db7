"""The open-data tables and the ministry's targets, of what they are made of."""

import csv
import io
from collections import Counter
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.reporting.definitions import Registry, registry
from services.reporting.figures import figures
from services.reporting.objectives import targets
from services.reporting.open_data import package, tables
from services.reporting.open_data.periods import PERIODS, Period, begun, latest


def row(**tally: int) -> dict[str, Any]:
    counted = Counter({name.replace("__", ":"): count for name, count in tally.items()})
    return {"by": "academie", "code": "09", "label": "Lille", **figures(counted, ("activity", "cohort"))}


def cell(records: list[tables.Record], view: str, indicator: str, source: str = tables.ALL) -> tables.Record:
    (found,) = (r for r in records if (r["view"], r["indicator"], r["source"]) == (view, indicator, source))
    return found


def test_what_is_hidden_is_empty_and_says_so() -> None:
    shown = row(detected=60, returned=3, cohort__reached=58)
    shown["activity"]["returned"] = None
    shown["cohort"]["reached"] = None
    shown["cohort"]["shares"]["reached"] = None
    shown["cohort"]["delays"]["detected_to_attempted"] = {"n": None, "median": None, "p90": None}
    records = tables.indicators(Period(2013, 2), [shown], registry())
    for view, indicator in (("activity", "returned"), ("cohort", "reached"), ("cohort", "detected_to_attempted")):
        hidden = cell(records, view, indicator)
        assert (hidden["count"], hidden["share"], hidden["hidden"]) == (None, None, True)
    assert cell(records, "activity", "detected")["hidden"] is False
    lines = tables.as_csv(records, package.names(package.columns(), "indicators")).decode().split("\r\n")
    assert "2013,2,academie,09,Lille,activity,returned,ALL,1,,,,,true" in lines


def test_a_share_that_is_hidden_beside_its_count_is_hidden_and_one_of_nobody_is_not() -> None:
    shown = row(detected=60, cohort__attempted=20)
    shown["cohort"]["shares"]["attempted"] = None
    assert cell(tables.indicators(Period(2013), [shown], registry()), "cohort", "attempted")["hidden"] is True
    nobody = tables.indicators(Period(2013), [row()], registry())
    assert {record["hidden"] for record in nobody} == {False}
    assert cell(nobody, "cohort", "attempted")["share"] is None


def test_rows_go_by_the_definition_of_the_periods_last_day() -> None:
    plain = registry()
    changed = [
        each
        for definition in plain.all()
        for each in (
            (definition,)
            if definition.code != "reached"
            else (
                definition,
                msgspec.structs.replace(
                    definition, version=2, valid_from=date(2013, 4, 1), change={"fr": "Autrement.", "en": "Otherwise."}
                ),
            )
        )
    ]
    definitions = Registry(changed)
    versions = [
        cell(tables.indicators(Period(2013, number), [row()], definitions), "cohort", "reached")["definition_version"]
        for number in (1, 2, 3)
    ]
    assert versions == [1, 2, 2]
    records = tables.indicators(Period(2013, 2), [row()], definitions)
    described = tables.definitions_of(records, definitions)
    assert [(d["version"], d["change_en"]) for d in described if d["code"] == "reached"] == [(2, "Otherwise.")]


def test_texts_with_commas_quotes_and_lines_stay_one_cell() -> None:
    records = tables.indicators(Period(2013), [{**row(), "label": 'Lille, dite "la\r\nflamande"'}], registry())
    written = tables.as_csv(records, ["label", "count"]).decode()
    assert next(iter(list(csv.reader(io.StringIO(written, newline="")))[1:]))[0] == 'Lille, dite "la\r\nflamande"'


def test_periods_are_two_months_and_fill_the_year() -> None:
    periods = [Period(2016, number) for number in range(1, PERIODS + 1)]
    assert (periods[0].first, periods[0].last) == (date(2016, 1, 1), date(2016, 2, 29))
    assert (periods[-1].first, periods[-1].last) == (date(2016, 11, 1), date(2016, 12, 31))
    assert all((two.first - one.last).days == 1 for one, two in pairwise(periods))
    assert (Period(2016).first, Period(2016).last) == (periods[0].first, periods[-1].last)
    assert [latest(date(2016, month, 1)).number for month in range(1, 13)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert [period.path for period in begun(2015, date(2016, 3, 1))][5:] == [
        "2015/6",
        "2015",
        "2016/1",
        "2016/2",
        "2016",
    ]


def test_the_ministrys_target_of_2013_is_twenty_thousand_by_the_circular() -> None:
    known = targets.read()
    assert known[2013].youths == 20_000
    assert "2013-035" in known[2013].source
    assert 2012 not in known


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[target]]\nyear = 2013\nyouths = 20_000\n", "give `year`, `youths`"),
        ('[[target]]\nyear = 2013\nyouths = 0\nsource = "x"\n', "above 0"),
        ('[[target]]\nyear = "2013"\nyouths = 1\nsource = "x"\n', "target 1"),
        ('[[target]]\nyear = 2013\nyouths = 1\nsource = "x"\nwhy = "y"\n', "no more"),
        ('[[target]]\nyear = 2013\nyouths = 1\nsource = "x"\n' * 2, "two of 2013"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        targets.read(file)
