"""A bilan as CSV: a row a figure, with a Table Schema (Frictionless) that says what the columns are. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from services.reporting.bilans.tables import Cell, Table

_FIELDS: Final[tuple[tuple[str, str, str, str, Mapping[str, Any]], ...]] = (
    ("year", "integer", "Année", "Année civile.", {"required": True}),
    ("period", "integer", "Période", "1 : janvier et février, à 6.", {"required": True, "minimum": 1, "maximum": 6}),
    ("academie", "string", "Académie", "Code de l'académie du bilan.", {"required": True}),
    ("version", "integer", "Version", "Version du bilan.", {"required": True, "minimum": 1}),
    ("state", "string", "État", "État du bilan.", {"required": True, "enum": ["draft", "validated", "frozen"]}),
    ("unit", "string", "Unité", "Ce que la ligne compte.", {"required": True, "enum": ["academie", "network"]}),
    ("code", "string", "Code", "Code de l'académie ou identifiant du réseau.", {"required": True}),
    ("label", "string", "Nom", "Nom de l'académie ou du réseau.", {"required": True}),
    (
        "span",
        "string",
        "Durée",
        "period : les deux mois ; year : du 1er janvier à la fin de la période.",
        {"required": True, "enum": ["period", "year"]},
    ),
    (
        "view",
        "string",
        "Vue",
        "activity : au jour de l'événement ; cohort : jeunes repérés dans la durée.",
        {"required": True, "enum": ["activity", "cohort"]},
    ),
    ("indicator", "string", "Indicateur", "Code de l'indicateur au registre des définitions.", {"required": True}),
    ("name", "string", "Libellé", "Nom de l'indicateur.", {"required": True}),
    ("source", "string", "Base d'origine", "Base du SIEI, pour les indicateurs qui en dépendent.", {}),
    (
        "measure",
        "string",
        "Mesure",
        "count : effectif ; share : part de 0 à 1 ; n, median, p90 : jeunes, jours, jours.",
        {"required": True, "enum": ["count", "share", "n", "median", "p90"]},
    ),
    ("value", "number", "Valeur", "Vide quand elle n'est pas communiquée ou n'est pas définie.", {}),
    ("suppressed", "boolean", "Non communiqué", "Petit effectif, ou ce qui le révélerait.", {"required": True}),
)
COLUMNS: Final = tuple(name for name, *_ in _FIELDS)
_KEY: Final = [
    "year",
    "period",
    "academie",
    "version",
    "unit",
    "code",
    "span",
    "view",
    "indicator",
    "source",
    "measure",
]
_FORMULA: Final = ("=", "+", "-", "@", "\t")


def write(bilan: Mapping[str, Any]) -> bytes:
    """The file: UTF-8, commas, a line of column names."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(_rows(bilan))
    return out.getvalue().encode()


def _rows(bilan: Mapping[str, Any]) -> Iterator[list[Any]]:
    table = Table(bilan)
    begin = [bilan[name] for name in COLUMNS[:5]]
    for cell in table.cells:
        place = cell.place
        label = harmless(table.labels[place.unit, place.code])
        of_unit = [place.unit, harmless(place.code), label, place.span, place.view]
        yield [
            *begin,
            *of_unit,
            place.indicator,
            table.name(place.indicator),
            place.source,
            place.measure,
            *_value(cell),
        ]


def _value(cell: Cell) -> list[Any]:
    return ["" if cell.value is None else cell.value, "true" if cell.hidden else "false"]


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before one that looks like it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def schema() -> bytes:
    """The Table Schema of the file, as JSON."""
    fields = [
        {"name": name, "type": type_, "title": title, "description": description, "constraints": dict(constraints)}
        for name, type_, title, description, constraints in _FIELDS
    ]
    return msgspec.json.encode({"fields": fields, "primaryKey": _KEY, "missingValues": [""]})
