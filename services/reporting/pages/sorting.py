"""Tables that links sort: `?sort=name`, and `?sort=-name` for the greatest first; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.reporting.pages.site import Asked
from shared.problems import Problem

LABEL = "label"
"""Sorts by what the row is called."""


def head(page: Asked, key: str, label: str, sort: str, *, kind: str = "count", item: Any = None) -> dict[str, Any]:
    """The head of a column that a link sorts: first the greatest, of names the first."""
    turned = f"-{key}" if sort == key else key
    unsorted = key if kind == "text" else f"-{key}"
    return {
        "key": key,
        "label": label,
        "kind": kind,
        "item": item,
        "href": page.here(sort=turned if sort.removeprefix("-") == key else unsorted),
        "sorted": {key: "ascending", f"-{key}": "descending"}.get(sort),
    }


def ordered(rows: Sequence[Mapping[str, Any]], sort: str, keys: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows in this order, what is hidden or missing last; 422 for a column that is none of `keys`."""
    key = sort.removeprefix("-")
    if not key:
        return list(rows)
    if key not in (LABEL, *keys):
        raise Problem(
            422, "invalid_request", f"`sort` is one of {', '.join((LABEL, *keys))}, or one with a - before it"
        )
    by_label = sorted(rows, key=lambda row: str(row["label"]).casefold())
    if key == LABEL:
        return by_label[::-1] if sort.startswith("-") else by_label
    known = [row for row in by_label if row["cells"][key] is not None]
    missing = [row for row in by_label if row["cells"][key] is None]
    return sorted(known, key=lambda row: row["cells"][key], reverse=sort.startswith("-")) + missing
