"""The open-data tables out of the rows of an answer, and their bytes; pure.

One row for each unit, view, indicator and upstream base; `hidden` says where something is not published.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from services.reporting.definitions import Definition, Registry
from services.reporting.open_data.periods import Period

ALL: Final = "ALL"
"""All upstream bases together."""

Record = dict[str, Any]


def indicators(period: Period, rows: Sequence[Mapping[str, Any]], definitions: Registry) -> list[Record]:
    """The table of a period from the rows of both views (`api.Row`) as the public sees them."""
    versions = {each.code: definitions.by_code(each.code, period.last).version for each in definitions.all()}
    return [
        {
            "year": period.year,
            "period": period.number,
            "level": row["by"],
            "code": row["code"],
            "label": row["label"],
            "definition_version": versions[cell["indicator"]],
            **cell,
        }
        for row in rows
        for cell in _cells(row)
    ]


def _cells(row: Mapping[str, Any]) -> Iterator[Record]:
    for code, count in row["activity"].items():
        yield _cell("activity", code, count)
    for source, count in row["dismissed_by_source"].items():
        yield _cell("activity", "dismissed", count, source=source)
    cohort = row["cohort"]
    for code, count in cohort.items():
        if code not in ("size", "shares", "delays", "false_positives"):  # the size is `detected`
            # Each has a share but those that are no part of the cohort; of nobody there is none.
            share = cohort["shares"].get(code)
            unpublished = code in cohort["shares"] and share is None and cohort["size"] != 0
            yield _cell("cohort", code, count, share=share, hidden=unpublished)
    for code, delay in cohort["delays"].items():
        unpublished = delay["median"] is None and delay["n"] != 0
        yield _cell("cohort", code, delay["n"], median_days=delay["median"], p90_days=delay["p90"], hidden=unpublished)
    for source, wrong in cohort["false_positives"].items():
        unpublished = wrong["rate"] is None and wrong["detected"] != 0
        yield _cell("cohort", "detected", wrong["detected"], source=source)
        yield _cell(
            "cohort", "false_positive_rate", wrong["dismissed"], source=source, share=wrong["rate"], hidden=unpublished
        )


def _cell(
    view: str, indicator: str, count: int | None, *, source: str = ALL, hidden: bool = False, **more: Any
) -> Record:
    return {
        "view": view,
        "indicator": indicator,
        "source": source,
        "count": count,
        "share": None,
        "median_days": None,
        "p90_days": None,
        **more,
        "hidden": hidden or count is None,
    }


def definitions_of(records: Sequence[Record], definitions: Registry) -> list[Record]:
    """The definitions that the table's rows go by."""
    used = {(record["indicator"], record["definition_version"]) for record in records}
    return [_definition(each) for each in definitions.all() if (each.code, each.version) in used]


def _definition(definition: Definition) -> Record:
    change = definition.change or {}
    return {
        "code": definition.code,
        "version": definition.version,
        **{f"name_{lang}": text for lang, text in definition.name.items()},
        **{f"formula_{lang}": text for lang, text in definition.formula.items()},
        "source": definition.source,
        "unit": definition.unit,
        "views": " ".join(definition.views),
        "valid_from": definition.valid_from,
        "valid_to": definition.valid_to,
        "change_fr": change.get("fr"),
        "change_en": change.get("en"),
    }


def as_csv(records: Sequence[Record], columns: Sequence[str]) -> bytes:
    """RFC 4180: UTF-8 without a byte order mark, commas, CRLF, a header line; nothing stands for null."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_text(record[column]) for column in columns] for record in records)
    return out.getvalue().encode()


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else value


def as_json(records: Sequence[Record], columns: Sequence[str]) -> bytes:
    """A list of objects, in UTF-8."""
    return msgspec.json.encode([{column: record[column] for column in columns} for record in records])
