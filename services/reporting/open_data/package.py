"""What describes the open-data tables, from the columns' texts and the register of definitions; pure.

Table Schema and Data Package, version 1 (specs.frictionlessdata.io); texts are French, and in both languages under
`titles` and `descriptions`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from services.reporting.definitions import Registry
from services.reporting.indicators import View
from services.reporting.open_data.periods import Period
from services.reporting.open_data.tables import ALL
from services.reporting.projection import SOURCES

Json = dict[str, Any]
Table = Literal["indicators", "definitions"]
Columns = Mapping[Table, Sequence[Json]]

LICENCE: Final[Json] = {
    "name": "etalab-2.0",
    "title": "Licence Ouverte / Open Licence 2.0",
    "path": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
}
_SOURCES: Final[tuple[Json, ...]] = (
    {"title": "Réseaux « Formation Qualification Emploi » et plateformes de suivi et d'appui aux décrocheurs"},
    {"title": "Circulaire n° 2013-035 du 29-3-2013 (NOR MENE1306159C)"},
)
_TITLES: Final[Mapping[Table, Mapping[str, str]]] = {
    "indicators": {"fr": "Indicateurs des réseaux FOQUALE par académie", "en": "FOQUALE indicators by académie"},
    "definitions": {"fr": "Définitions des indicateurs", "en": "Definitions of the indicators"},
}
_KEYS: Final[Mapping[Table, Sequence[str]]] = {
    "indicators": ("level", "code", "view", "indicator", "source"),
    "definitions": ("code", "version"),
}
_REFERENCE: Final[Json] = {
    "fields": ["indicator", "definition_version"],
    "reference": {"resource": "definitions", "fields": ["code", "version"]},
}


def columns() -> Columns:
    """The columns of both tables, out of the file beside this module."""
    found = tomllib.loads(Path(__file__).with_name("columns.toml").read_text(encoding="utf-8"))
    return {table: found[table] for table in _TITLES}


def names(of: Columns, table: Table) -> list[str]:
    """The columns' names, in order."""
    return [column["name"] for column in of[table]]


def schema(of: Columns, table: Table, definitions: Registry) -> Json:
    """The Table Schema of a table."""
    return {
        "$schema": "https://specs.frictionlessdata.io/schemas/table-schema.json",
        "name": f"foquale-{table}",
        **_texts(_TITLES[table], None),
        "fields": [_field(table, column, definitions) for column in of[table]],
        "primaryKey": list(_KEYS[table]),
        "missingValues": [""],
    }


def _field(table: Table, column: Json, definitions: Registry) -> Json:
    constraints: Json = {"required": column.get("required", True)}
    field: Json = {"name": column["name"], "type": column["type"], **_texts(column["title"], column["description"])}
    match table, column["name"]:
        case "indicators", "level":
            constraints["enum"] = ["national", "academie"]
        case "indicators", "view":
            constraints["enum"] = list(get_args(View))
        case "indicators", "source":
            constraints["enum"] = [ALL, *SOURCES]
        case "indicators", "indicator":
            latest = {each.code: each for each in definitions.all()}
            constraints["enum"] = list(latest)
            field["categories"] = [
                {"value": each.code, "label": each.name["fr"], "labels": each.name, "descriptions": each.formula}
                for each in latest.values()
            ]
        case "indicators", "count" | "median_days" | "p90_days":
            constraints["minimum"] = 0
        case "indicators", "share":
            constraints |= {"minimum": 0, "maximum": 1}
    return {**field, "constraints": constraints}


def _texts(title: Mapping[str, str], description: Mapping[str, str] | None) -> Json:
    texts: Json = {"title": title["fr"], "titles": dict(title)}
    return (
        texts if description is None else {**texts, "description": description["fr"], "descriptions": dict(description)}
    )


def package(period: Period, files: Mapping[str, bytes], created: datetime, of: Columns, definitions: Registry) -> Json:
    """The Data Package of a period: what its `files` hold, their size and hash. `created`: since when they are so."""
    suffix = period.path.replace("/", "-")
    days = {"fr": f"du {period.first} au {period.last}", "en": f"{period.first} to {period.last}"}
    titles = {lang: f"{text}, {days[lang]}" for lang, text in _TITLES["indicators"].items()}
    return {
        "profile": "tabular-data-package",
        "name": f"foquale-indicators-{suffix}",
        **_texts(titles, None),
        "description": (
            "Chaque jeune est compté une fois. Les nombres de 1 à 4, et ce qui les révélerait, ne sont pas publiés. "
            "Each youth is counted once. Counts of 1 to 4, and whatever would reveal them, are not published."
        ),
        "created": created.isoformat(),
        "temporal": {"start": period.first.isoformat(), "end": period.last.isoformat()},
        "licenses": [LICENCE],
        "sources": list(_SOURCES),
        "keywords": ["décrochage scolaire", "FOQUALE", "académies", "indicateurs"],
        "breaks": msgspec.to_builtins(definitions.breaks(period.first, period.last)),
        "resources": [
            _resource(
                name, body, schema(of, "definitions" if name.startswith("definitions") else "indicators", definitions)
            )
            for name, body in files.items()
        ],
    }


def _resource(path: str, body: bytes, table: Json) -> Json:
    name, _, form = path.partition(".")
    if name == "indicators":
        table = {**table, "foreignKeys": [_REFERENCE]}
    return {
        "profile": "tabular-data-resource",
        "name": name if form == "csv" else f"{name}-{form}",
        "path": path,
        "title": table["title"],
        "titles": table["titles"],
        "format": form,
        "mediatype": "text/csv" if form == "csv" else "application/json",
        "encoding": "utf-8",
        "bytes": len(body),
        "hash": f"sha256:{sha256(body).hexdigest()}",
        "schema": table,
    }
