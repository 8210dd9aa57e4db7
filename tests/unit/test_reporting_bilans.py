"""The rules of a bilan: its life, its seal, what its texts may hold, and how its figures are laid out."""

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import pytest

from services.reporting.bilans import csv_table, domain, words
from services.reporting.bilans.domain import Key, NotAllowed, Text, Version, canonical, plain
from services.reporting.bilans.formats import accepted
from services.reporting.bilans.tables import Cell, Place, Table, decimal, difference
from services.reporting.bilans.texts import clean, faults
from shared.problems import Problem

KEY = Key(2013, 1, "09")
BEFORE = datetime(2013, 2, 28, 12, tzinfo=UTC)
AFTER = datetime(2013, 3, 1, tzinfo=UTC)
TEXT = Text("Les ateliers.", "", "", "M. Martin")


def validated() -> Version:
    return domain.validate(Version(KEY), "Mme Durand", "rectrice", BEFORE)


def refusal(do: Any) -> str:
    with pytest.raises(NotAllowed) as refused:
        do()
    return refused.value.code


def test_the_six_periods_are_two_months_each_and_fill_the_year() -> None:
    keys = [Key(2016, period, "09") for period in range(1, 7)]
    assert [(key.first.month, key.last.month) for key in keys] == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12)]
    assert keys[0].last == date(2016, 2, 29)
    assert len(keys[5].months()) == 12


def test_a_bilan_is_frozen_only_once_it_is_validated_and_its_period_over() -> None:
    assert refusal(lambda: domain.freeze(validated(), "x", BEFORE)) == "period_not_over"
    assert refusal(lambda: domain.freeze(Version(KEY), "x", AFTER)) == "not_validated"
    frozen = domain.freeze(validated(), "x", AFTER)
    assert frozen.state == "frozen"
    assert refusal(lambda: domain.freeze(frozen, "x", AFTER)) == "bilan_frozen"
    assert refusal(lambda: domain.write_text(frozen, "academie", TEXT, AFTER)) == "bilan_frozen"
    assert refusal(lambda: domain.validate(frozen, "x", "y", AFTER)) == "bilan_frozen"


def test_a_text_that_changes_takes_the_visas_away_and_says_so() -> None:
    twice = domain.validate(validated(), "M. Petit", "chef de la MLDS", BEFORE)
    assert [visa.role for visa in twice.visas] == ["rectrice", "chef de la MLDS"]
    again = domain.write_text(twice, "FOQ-59-01", TEXT, BEFORE)
    assert (again.state, again.visas) == ("draft", ())
    assert [entry.act for entry in again.journal] == ["validated", "validated", "text", "back_to_draft"]


def test_a_correction_is_a_new_version_with_the_same_texts_and_only_of_a_frozen_one() -> None:
    written = domain.write_text(Version(KEY), "academie", TEXT, BEFORE)
    assert refusal(lambda: domain.correct(written, "x", "y", AFTER)) == "not_frozen"
    frozen = domain.freeze(domain.validate(written, "a", "b", BEFORE), "x", AFTER)
    second = domain.correct(frozen, "M. Martin", "liste tardive", AFTER)
    assert (second.number, second.state, second.visas) == (2, "draft", ())
    assert second.texts == frozen.texts


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    content = plain({"b": 12.0, "a": [0.1234, None, True, 0.0], "é": 'x"\n\u0007€'})
    # From RFC 8785, section 3.2: no blanks, keys in order, shortest numbers, only what must be escaped is.
    assert canonical(content).decode() == '{"a":[0.1234,null,true,0],"b":12,"é":"x\\"\\n\\u0007€"}'
    assert domain.digest(canonical(content)) == sha256(canonical(content)).hexdigest()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("écrire à jean.dupont@ac-lille.fr", "looks_like_email"),
        ("jean.dupont @ exemple.fr", "looks_like_email"),
        ("au 06 12 34 56 78.", "looks_like_phone"),
        ("au 0612345678", "looks_like_phone"),
        ("+33 (0)6 12 34 56 78", "looks_like_phone"),
        ("+33.6.12.34.56.78", "looks_like_phone"),
        ("0262-12-34-56 puis 02 62 12 34 56", "looks_like_phone"),
        ("INE 1234567890a", "looks_like_ine"),
        ("1234 A 56789 B", "looks_like_ine"),
        ("123456789 AB", "looks_like_ine"),
        ("x\u0000", "control_character"),
        ("x" * 4_001, "string_too_long"),
    ],
)
def test_what_tells_who_a_youth_is_or_cannot_be_printed_is_refused(text: str, code: str) -> None:
    assert code in [fault["code"] for fault in faults({"needs": text})]


@pytest.mark.parametrize(
    "text",
    [
        "12 500 jeunes, soit 3,5 % de 357 000 ; 20 000 retours en 2013",
        "Lycée 0590011S, réseau FOQ-59-02, du 01/03/2013 au 30/04/2013",
        "Un budget de 1 234 567 890,12 € pour 2013",
        "ligne\n\tretrait, « guillemets », œuvre, 1er avril",
        "x" * 4_000,
    ],
)
def test_ordinary_figures_and_codes_may_be_written(text: str) -> None:
    assert list(faults({"worked": text})) == []


def test_line_ends_are_made_plain() -> None:
    assert clean(" a\r\nb\rc \n") == "a\nb\nc"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("application/pdf;q=0.5, text/csv;q=0.9", "csv"),
        ("application/pdf, */*;q=0.1", "pdf"),
        ("text/csv;q=0, application/pdf;q=0.1", "pdf"),
    ],
)
def test_the_format_is_what_accept_wants_most(accept: str, wanted: str) -> None:
    assert accepted(accept) == wanted


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "text/csv;q=much"])
def test_a_format_that_there_is_not_is_refused(accept: str) -> None:
    with pytest.raises(Problem) as refused:
        accepted(accept)
    assert (refused.value.status, refused.value.code) == (406, "not_acceptable")


def test_a_cell_is_written_as_a_french_reader_writes_it() -> None:
    count = Place("academie", "09", "year", "activity", "detected")
    share = Place("academie", "09", "year", "cohort", "reached", measure="share")
    assert Cell(count, 12_345).shown() == "12\u202f345"
    assert Cell(share, 0.8333).shown() == "83,3 %"
    assert Cell(share, 1).shown() == "100 %"
    assert Cell(count, None, hidden=True).shown() == "n.c."
    assert Cell(share, None).shown() == "–"
    assert decimal(12.5) == "12,5"


def row(**counts: int | None) -> dict[str, Any]:
    hidden = [f"activity.{code}" for code, count in counts.items() if count is None]
    return {"activity": counts, "dismissed_by_source": {}, "cohort": {}, "suppressed": bool(hidden), "hidden": hidden}


def unit(of_period: dict[str, Any], of_year: dict[str, Any]) -> dict[str, Any]:
    return {"unit": "academie", "code": "09", "label": "@Lille", "period": of_period, "year": of_year}


def test_hidden_cells_are_empty_and_marked_in_the_csv_and_names_are_no_formulas() -> None:
    bilan = {
        "year": 2013,
        "period": 1,
        "academie": "09",
        "version": 1,
        "state": "frozen",
        "audience": "public",
        "figures": [unit(row(detected=9, broken=None), row(detected=9))],
        "definitions": [],
    }
    lines = csv_table.write(bilan).decode().splitlines()
    columns = lines[0].split(",")
    found = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    assert [(line["indicator"], line["span"], line["value"], line["suppressed"]) for line in found] == [
        ("detected", "period", "9", "false"),
        ("broken", "period", "", "true"),
        ("detected", "year", "9", "false"),
    ]
    assert {line["label"] for line in found} == {"'@Lille"}
    assert [field["name"] for field in json.loads(csv_table.schema())["fields"]] == columns


def test_only_figures_that_differ_are_told_and_a_hidden_one_has_no_difference() -> None:
    old = [unit(row(detected=9, broken=None, returned=7), row(detected=9))]
    new = [unit(row(detected=12, broken=5, returned=7), row(detected=9))]
    told = [
        (change["span"], change["indicator"], change["old"], change["new"], change["difference"])
        for change in difference(old, new)
    ]
    assert told == [("period", "detected", 9, 12, 3), ("period", "broken", None, 5, None)]


def test_a_figure_of_a_unit_that_was_not_there_is_undefined() -> None:
    figures = [unit(row(detected=9), row(detected=9))]
    table = Table({"figures": figures, "definitions": [], "audience": "staff"})
    assert table.cell(Place("network", "FOQ-1", "year", "activity", "detected")).shown() == "–"


@pytest.mark.parametrize(
    ("label", "kind", "spoken"),
    [
        ("Lille", "academie", "académie de Lille"),
        ("Amiens", "academie", "académie d'Amiens"),
        ("Martinique", "academie", "académie de la Martinique"),
        ("La Réunion", "academie", "académie de La Réunion"),
        ("Polynésie française", "vice_rectorat", "vice-rectorat de la Polynésie française"),
    ],
)
def test_an_academie_is_called_as_one_speaks(label: str, kind: str, spoken: str) -> None:
    assert words.academie({"label": label, "kind": kind}) == spoken
    assert words.title({"label": label, "kind": kind}) == f"Bilan FOQUALE – {spoken}"


def test_days_and_moments_are_written_in_french() -> None:
    assert words.day("2013-03-01") == "1er mars 2013"
    assert words.moment("2013-05-06T09:30:00Z") == "6 mai 2013 à 09:30 UTC"
    assert words.month("2013-08") == "août 2013"
    assert words.period({"period": 4, "year": 2013}) == "Juillet et août 2013"
