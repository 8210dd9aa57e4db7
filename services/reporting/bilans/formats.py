"""In which formats a bilan is given, and which one a request wants."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from services.reporting.bilans import csv_table, pdf, xlsx
from services.reporting.bilans.domain import ACADEMIE, canonical
from services.reporting.units import suggestions
from shared.problems import Problem

Format = Literal["json", "csv", "csv-schema", "xlsx", "pdf"]

MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "csv-schema": "application/schema+json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
_BY_ACCEPT: Final[Mapping[str, Format]] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/pdf": "pdf",
}
_WILD: Final = ("*/*", "application/*")
_MOST_KEPT: Final = 16


class Files:
    """Writes bilans. Workbooks and PDFs are made in a thread, one at a time, and the last ones are kept."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._making = asyncio.Lock()

    async def write(self, bilan: Mapping[str, Any], wanted: Format) -> bytes:
        """The bilan in this format."""
        if wanted == "json":
            return msgspec.json.encode(bilan)
        if wanted == "csv-schema":
            return csv_table.schema()
        if wanted == "csv":
            return csv_table.write(bilan)
        name = f"{sha256(canonical(bilan)).hexdigest()}.{wanted}"
        async with self._making:
            found = self._kept.pop(name, None)
            if found is None:
                found = await asyncio.to_thread(xlsx.write if wanted == "xlsx" else pdf.write, bilan)
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = found
        return found


def accepted(accept: str) -> Format:
    """The format that an Accept header wants most; 406 `not_acceptable` where there is none of those it names."""
    wanted: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name:
            wanted.append((_quality(parameters), name.lower()))
    if not wanted:
        return "json"
    for quality, name in sorted(wanted, key=lambda each: -each[0]):
        if quality > 0 and name in _BY_ACCEPT:
            return _BY_ACCEPT[name]
        if quality > 0 and name in _WILD:
            return "json"
    raise Problem(406, "not_acceptable", f"it is given as {', '.join(_BY_ACCEPT)}; or ask with ?format=")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def same(bilan: Mapping[str, Any], wanted: Format) -> bytes:
    """What two answers of the same worth have in common: all but the moment that a draft's figures are of."""
    return wanted.encode() + canonical({name: value for name, value in bilan.items() if name != "as_of"})


def headers(bilan: Mapping[str, Any], wanted: Format) -> dict[str, str]:
    """What a browser shall call the file."""
    if wanted == "json":
        return {}
    name = f"bilan-foquale-{bilan['year']}-{bilan['period']}-{bilan['academie']}-v{bilan['version']}.{wanted}"
    return {"Content_Disposition": f'{"inline" if wanted == "pdf" else "attachment"}; filename="{name}"'}


def only(bilan: dict[str, Any], network: str) -> dict[str, Any]:
    """What the bilan says of one network; 404 `unknown_network`. The hash is still that of the whole."""
    labels = {unit["code"]: unit["label"] for unit in bilan["figures"] if unit["unit"] != ACADEMIE}
    if network not in labels:
        close = suggestions(network, [labels])
        hint = f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(list(labels)[:20]) or 'none'}"
        raise Problem(404, "unknown_network", f"this bilan has no network {network!r}: {hint}")
    return {
        **bilan,
        "figures": [unit for unit in bilan["figures"] if unit["unit"] != ACADEMIE and unit["code"] == network],
        "texts": [text for text in bilan["texts"] if text["unit"] == network],
        "series": [],
    }
