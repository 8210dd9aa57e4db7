"""A bilan as a PDF that a rector signs: typeset by Typst, tagged for screen readers (PDF/UA-1), fonts within.

What users wrote goes in as data and never becomes part of the template's source.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
import typst

from services.reporting.bilans import words
from services.reporting.bilans.tables import (
    CHANGES_HEAD,
    DELAYS_GROUPS,
    FALSE_POSITIVES_GROUPS,
    SERIES,
    SUMMARY_GROUPS,
    Cell,
    Groups,
    Table,
)

log = structlog.get_logger(__name__)

_MOST_CHANGES: Final = 60
_RARE: Final = re.compile(
    "[^\\t\\n -~\u00a0-\u017f\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f"
    "\u200b\u2010-\u2014\u2018-\u201e\u2020-\u2022\u2026\u202f\u2030\u2032\u2033\u2039\u203a\u20ac\u2190-\u2193\u2212\u2260\u2264\u2265]"
)
_INVISIBLE: Final = re.compile("[\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_TEMPLATE: Final = Path(__file__).with_name("bilan.typ")


def write(bilan: Mapping[str, Any]) -> bytes:
    """The file. The same bilan gives the same bytes.

    PDF/UA allows no character that the fonts within do not have, such as an emoji: where there is one, those that they
    may not have are written by their names. Should that not do either, the file is given without that standard.
    """
    data = json.dumps(_data(bilan), ensure_ascii=False)
    for said, standards in ((data, ["ua-1"]), (spelt_out(data), ["ua-1"]), (data, [])):
        try:
            found: bytes = _compile(bilan, said, format="pdf", pdf_standards=standards)
            return found
        except typst.TypstError:
            if not standards:
                raise
            log.info("pdf_compiled_again", reason="a character that PDF/UA or its fonts do not take")
    raise AssertionError("the last way either returns or raises")


def pages(bilan: Mapping[str, Any], *, dots_per_inch: int = 80) -> list[bytes]:
    """The pages as pictures (PNG)."""
    found = _compile(bilan, json.dumps(_data(bilan), ensure_ascii=False), format="png", ppi=dots_per_inch)
    return found if isinstance(found, list) else [found]


def spelt_out(text: str) -> str:
    """The text with every character that the fonts within may not have written by its name: `[GRINNING FACE]`."""
    return _RARE.sub(
        lambda found: f"[{unicodedata.name(found[0], f'U+{ord(found[0]):04X}')}]", _INVISIBLE.sub("", text)
    )


def _compile(bilan: Mapping[str, Any], data: str, **how: Any) -> Any:
    return typst.compile(
        _TEMPLATE.read_bytes(),
        ignore_system_fonts=True,
        sys_inputs={"bilan": data},
        timestamp=int(datetime.fromisoformat(bilan["as_of"]).timestamp()),
        **how,
    )


def _data(bilan: Mapping[str, Any]) -> dict[str, Any]:
    """All that the template shows, written out."""
    table = Table(bilan)
    focus = table.focus
    return {
        "title": words.title(bilan),
        "signer": words.signer(bilan),
        "period": words.period(bilan),
        "facts": words.facts(bilan),
        "state": bilan["state"],
        "label": bilan["label"],
        "version": bilan["version"],
        "hash": bilan["hash"],
        "of": words.focus(bilan),
        "summary": _block("Indicateur", SUMMARY_GROUPS, table.summary(*focus)),
        "delays": _block("Délai", DELAYS_GROUPS, table.delays(*focus)),
        "false_positives": _block("Base d'origine", FALSE_POSITIVES_GROUPS, table.false_positives(*focus)),
        "correction": _correction(bilan, table),
        "funnel": [{"name": name, "value": cell.value, "shown": cell.shown()} for name, cell in table.funnel(*focus)],
        "series": _series(bilan, table),
        "networks": _block("Réseau", table.networks_groups(), table.of_networks()),
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
                "formula": item["formula"]["fr"].replace("`", ""),
                "source": item["source"],
                "version": item["version"],
            }
            for item in bilan["definitions"]
        ],
    }


def _block(first: str, groups: Groups, rows: Sequence[tuple[str, list[Cell]]]) -> dict[str, Any]:
    return {
        "first": first,
        "groups": groups,
        "rows": [[name, *(cell.shown() for cell in cells)] for name, cells in rows],
    }


def _correction(bilan: Mapping[str, Any], table: Table) -> dict[str, Any] | None:
    """What this version corrects, and the first of the figures that differ."""
    correction = bilan["correction"]
    if correction is None:
        return None
    rows = table.changes(correction["changes"])
    return {
        "of": correction["of"],
        "reason": correction["reason"],
        "at": words.moment(correction["at"]),
        "heads": CHANGES_HEAD,
        "rows": [[*texts, *(cell.shown() for cell in cells)] for texts, cells in rows[:_MOST_CHANGES]],
        "more": max(0, len(rows) - _MOST_CHANGES),
        "events": words.events(correction),
    }


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
