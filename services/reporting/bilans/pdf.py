"""A bilan as a PDF that a rector signs: typeset by Typst, tagged for screen readers (PDF/UA-1), fonts within.

What users wrote goes in as data and never becomes part of the template's source.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typst

from services.reporting.bilans import words
from services.reporting.bilans.domain import ACADEMIE
from services.reporting.bilans.tables import DELAYS_HEAD, SERIES, SUMMARY_HEAD, Cell, Table

_TEMPLATE: Final = Path(__file__).with_name("bilan.typ")


def write(bilan: Mapping[str, Any]) -> bytes:
    """The file. The same bilan gives the same bytes."""
    found: bytes = _compile(bilan, format="pdf", pdf_standards=["ua-1"])
    return found


def pages(bilan: Mapping[str, Any], *, dots_per_inch: int = 80) -> list[bytes]:
    """The pages as pictures (PNG)."""
    found = _compile(bilan, format="png", ppi=dots_per_inch)
    return found if isinstance(found, list) else [found]


def _compile(bilan: Mapping[str, Any], **how: Any) -> Any:
    return typst.compile(
        _TEMPLATE.read_bytes(),
        ignore_system_fonts=True,
        sys_inputs={"bilan": json.dumps(_data(bilan), ensure_ascii=False)},
        timestamp=int(datetime.fromisoformat(bilan["as_of"]).timestamp()),
        **how,
    )


def _data(bilan: Mapping[str, Any]) -> dict[str, Any]:
    """All that the template shows, written out."""
    table = Table(bilan)
    academie = ACADEMIE, bilan["academie"]
    whole = any(unit["unit"] == ACADEMIE for unit in bilan["figures"])
    return {
        "title": words.title(bilan),
        "period": words.period(bilan),
        "facts": words.facts(bilan),
        "state": bilan["state"],
        "label": bilan["label"],
        "version": bilan["version"],
        "hash": bilan["hash"],
        "summary": _block(("Indicateur", *SUMMARY_HEAD), table.summary(*academie)) if whole else None,
        "delays": _block(("Délai", *DELAYS_HEAD), table.delays(*academie)) if whole else None,
        "funnel": [{"name": name, "value": cell.value, "shown": cell.shown()} for name, cell in table.funnel(*academie)]
        if whole
        else None,
        "series": _series(bilan, table),
        "networks": _block(("Réseau", *table.networks_head()), table.of_networks()),
        "texts": [
            {
                "unit": words.unit(bilan, text["unit"]),
                "by": text["by"],
                "parts": list(zip(words.TEXT_HEADS, words.of_text(text), strict=True)),
            }
            for text in bilan["texts"]
        ],
        "visas": [{"by": visa["by"], "role": visa["role"], "at": words.moment(visa["at"])} for visa in bilan["visas"]],
        "definitions": [
            {
                "name": item["name"]["fr"],
                "formula": item["formula"]["fr"],
                "source": item["source"],
                "version": item["version"],
            }
            for item in bilan["definitions"]
        ],
    }


def _block(heads: Sequence[str], rows: Sequence[tuple[str, list[Cell]]]) -> dict[str, Any]:
    return {"heads": list(heads), "rows": [[name, *(cell.shown() for cell in cells)] for name, cells in rows]}


def _series(bilan: Mapping[str, Any], table: Table) -> dict[str, Any] | None:
    """The months, and of each indicator its counts; None where one is not shown."""
    if not bilan["series"]:
        return None
    return {
        "months": [words.month(month["month"]) for month in bilan["series"]],
        "lines": [
            {"name": table.name(code), "values": [month["activity"][code] for month in bilan["series"]]}
            for code in SERIES
        ],
    }
