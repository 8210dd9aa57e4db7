"""What pages show, as plain data: made of rows as `Answers.rows` gives them, and of objectives; pure.

None stands for what the reader may not see, everywhere; a sum with a hidden part is hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.reporting.indicators import DELAYS
from services.reporting.pages.writing import Writing

Row = Mapping[str, Any]

CLASSES: Final = (0.25, 0.5, 0.75, 1.0)
"""Attainment below the first is class 0, from the last on class 4."""

FUNNEL: Final = ("detected", "attempted", "reached", "interviewed", "offered", "contracted", "returned")
NATIONAL_COLUMNS: Final = ("detected", "reached", "interviewed", "contracted", "returned", "civic_service")
NETWORK_COLUMNS: Final = ("detected", "reached", "interviewed", "contracted", "returned", "civic_service", "broken")
CURVE: Final = ("reached", "contracted", "returned")
MONTHLY: Final = ("detected", "interviewed", "contracted", "returned")


@dataclass(frozen=True, slots=True)
class Place:
    """An académie on the map: its class of attainment (None: no objective, or hidden) and what is said of it."""

    code: str
    label: str
    attainment: float | None
    kind: int | None
    objective: int | None


def class_of(attainment: float | None) -> int | None:
    """The class of the map that an attainment falls in."""
    return None if attainment is None else sum(attainment >= bound for bound in CLASSES)


def national_rows(rows: Sequence[Row], lines: Mapping[str, Row]) -> list[dict[str, Any]]:
    """The table of académies (`rows` of the level académie, `lines` of their objectives by code)."""
    return [_table_row(row, lines.get(row["code"])) for row in rows]


def total_row(row: Row, line: Row | None) -> dict[str, Any]:
    """France below its académies."""
    return _table_row(row, line) | {"total": True, "code": None}


def places(rows: Sequence[Mapping[str, Any]]) -> dict[str, Place]:
    """The académies of the table, for the map."""
    return {
        row["code"]: Place(
            row["code"],
            row["label"],
            row["cells"]["attainment"],
            class_of(row["cells"]["attainment"]),
            row["cells"]["objective"],
        )
        for row in rows
    }


def _table_row(row: Row, line: Row | None) -> dict[str, Any]:
    activity, cohort = row["activity"], row["cohort"]
    cells: dict[str, Any] = {code: activity[code] for code in NATIONAL_COLUMNS}
    cells["unknown"] = cohort["shares"]["unknown"]
    cells |= {name: line[name] if line else None for name in ("objective", "achieved", "attainment")}
    return {"code": row["code"], "label": row["label"], "cells": cells, "nothing": _nothing(cohort, line)}


def _nothing(cohort: Row, line: Row | None) -> list[str]:
    """The columns in which None is nothing, and not something hidden."""
    nothing = ["unknown"] if cohort["size"] == 0 else []
    if line is None or line["objective"] is None:
        nothing += ["objective", "attainment"]
    return [*nothing, "achieved"] if line is None else nothing


def network_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The networks of an académie."""
    return [
        {
            "code": row["code"],
            "label": row["label"],
            "cells": {code: row["activity"][code] for code in NETWORK_COLUMNS}
            | {"unknown": row["cohort"]["shares"]["unknown"]},
            "nothing": _nothing(row["cohort"], None),
        }
        for row in rows
    ]


def funnel(cohort: Row) -> list[tuple[str, int | None, float | None]]:
    """Of the cohort, how many came to each step: code, number, share of the cohort."""
    return [
        (code, cohort[code], (1.0 if cohort["size"] else None) if code == "detected" else cohort["shares"][code])
        for code in FUNNEL
    ]


def back(activity: Row) -> int | None:
    """Who is back: returns to training and civic service."""
    returned, civic = activity["returned"], activity["civic_service"]
    return None if returned is None or civic is None else returned + civic


def delay_rows(cohort: Row) -> list[dict[str, Any]]:
    """Median and 90th percentile of each delay, with the number of youths it is of."""
    return [
        {"code": name, "cells": dict(cohort["delays"][name]), "nothing": _no_delay(cohort["delays"][name])}
        for name in DELAYS
    ]


def _no_delay(delay: Row) -> list[str]:
    return ["median", "p90"] if delay["n"] == 0 else []


def false_positive_rows(cohort: Row) -> list[dict[str, Any]]:
    """By source: how many were detected, how many of them dismissed, and the rate; sources without any are left out."""
    return [
        {"code": source, "cells": dict(of), "nothing": ["rate"] if of["detected"] == 0 else []}
        for source, of in cohort["false_positives"].items()
        if of["detected"] != 0 or of["dismissed"] != 0
    ]


def trajectory(line: Row, writing: Writing) -> list[dict[str, Any]]:
    """By month of the year: returned so far, expected so far; None for months to come, and for what is hidden."""
    achieved = {each["month"]: each["achieved"] for each in line["trajectory"]}
    return [
        {
            "label": f"{writing.month(int(each['month'][5:]))} {each['month'][:4]}",
            "cells": {"achieved": achieved.get(each["month"]), "expected": each["expected"]},
            "nothing": [
                *([] if each["month"] in achieved else ["achieved"]),
                *(["expected"] if each["expected"] is None else []),
            ],
        }
        for each in line["path"]
    ]


def curve_rows(curve: Row) -> list[dict[str, Any]]:
    """The cohort curve as a table: by days since detection, the share that had come to each step; none where empty."""
    if curve.get("suppressed") or not curve["size"]:
        return []
    return [
        {"label": str(days), "cells": {step: curve[step][place] for step in CURVE}}
        for place, days in enumerate(curve["days"])
        if days <= curve["known_days"]
    ]
