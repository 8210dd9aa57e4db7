"""The page of the data's quality: how fresh each source is, what of it was rejected, disputed, or could not be read."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator, Field

from services.reporting.conditional import respond
from services.reporting.pages.periods import refuse_upside_down
from services.reporting.pages.route import PageQuery, asked, page_router
from services.reporting.pages.site import HTML, Site
from services.reporting.pages.writing import Writing
from services.reporting.quality.quality import Quality
from services.reporting.quality.reading import UNREADABLE
from services.reporting.queries import Day

PATH: Final = "/qualite"
_COUNTS: Final = ("rows", "accepted", "matched", "disputed", "repeated", "rejected")

State = Mapping[str, Any]


def _filled(value: Any) -> Any:
    """A form sends fields that were left empty."""
    return None if isinstance(value, str) and not value.strip() else value


class QualityQuery(PageQuery):
    """From which day to which; without them, all that was received."""

    from_: Annotated[Day | None, BeforeValidator(_filled)] = Field(None, alias="from")
    to: Annotated[Day | None, BeforeValidator(_filled)] = None


def router(site: Site, quality: Quality) -> APIRouter:
    """GET of the page."""
    routes = page_router(site)

    @routes.get(PATH)
    async def page(request: Request, query: Annotated[QualityQuery, Query()]) -> Response:
        refuse_upside_down(query.from_, query.to, query.lang)
        here = asked(request)
        state = await quality.state(query.from_, query.to)
        view = quality_view(state, site.texts(here.lang), Writing(here.lang))
        return respond(request, site.render("quality.html", here, query=query, **view), HTML)

    return routes


def quality_view(state: State, texts: Any, f: Writing) -> dict[str, Any]:
    """What the page shows of `Quality.state`; None is hidden from the reader, or there is none of it."""
    t, sources = texts.quality, state["sources"]
    return {
        "as_of": t.as_of.format(at=f.moment(_moment(state["as_of"]))),
        "headlines": _headlines(state, texts, f),
        "sources": {
            "columns": [
                *(_column(key, getattr(t, key), "text") for key in ("state", "last_on", "last_campaign")),
                _column("silence_days", t.silence_days),
                *(_column(key, getattr(t, key)) for key in _COUNTS),
                *(_column(key, getattr(t, key), "share") for key in ("rejected_share", "false_positive_rate")),
            ],
            "rows": [_source(source, texts, f) for source in sources],
        },
        "rejects": _by_reason(sources, "rejected", state["rejected"], texts),
        "warnings": _by_reason(sources, "warnings", state["warnings"], texts),
        "disputes": _facts(state["disputes"], t, f),
        "letters": {
            "columns": [
                _column("code", t.code, "text"),
                _column("kept", t.kept),
                _column("settled", t.letters_settled),
                _column("open", t.open),
                _column("oldest_open_on", t.oldest_open_on, "text"),
            ],
            "rows": [_letter(letter, f) for letter in state["dead_letters"]],
        },
        "topics": {
            "columns": [_column("last_event_time", t.last_event_time, "text"), _column("lag", t.lag)],
            "rows": [_topic(topic, f) for topic in state["topics"]],
        },
    }


def _headlines(state: State, texts: Any, f: Writing) -> list[dict[str, str]]:
    t, base, sources = texts.quality, texts.base, state["sources"]
    disputes, letters = state["disputes"], state["dead_letters"]
    silent = sum(source["silent"] for source in sources)
    rows, rejected = (_sum(source[key] for source in sources) for key in ("rows", "rejected_total"))
    share = None if rejected is None or not rows else rejected / rows
    kept, settled, waiting = (_sum(letter[key] for letter in letters) for key in ("kept", "settled", "open"))

    def shown(value: int | None) -> str:
        return base.hidden if value is None else f.number(value)

    oldest = disputes["oldest_open_days"]
    return [
        {
            "label": t.silent_sources,
            "shown": f.number(silent),
            "note": t.silent_note.format(n=len(sources), days=state["lists_silent_after_days"]),
        },
        {
            "label": t.rejected_rows,
            "shown": shown(rejected),
            "note": "" if share is None else t.rejected_note.format(share=f.percent(share)),
        },
        {
            "label": t.open_disputes,
            "shown": shown(disputes["open"]),
            "note": t.open_disputes_none if oldest is None else t.open_disputes_note.format(days=f.number(oldest)),
        },
        {
            "label": t.open_letters,
            "shown": shown(waiting),
            "note": t.open_letters_note.format(kept=shown(kept), settled=shown(settled)),
        },
    ]


def _source(source: State, texts: Any, f: Writing) -> dict[str, Any]:
    t, never = texts.quality, source["last_on"] is None
    state = "silent" if source["silent"] else "never" if never else "fresh"
    cells = {
        "state": getattr(t, state),
        "last_on": None if never else f.day(_day(source["last_on"])),
        "last_campaign": source["last_campaign"],
        "silence_days": source["silence_days"],
        **{key: source[key] for key in _COUNTS[:-1]},
        "rejected": source["rejected_total"],
        "rejected_share": source["rejected_share"],
        "false_positive_rate": source["false_positive_rate"],
    }
    absent = [key for key in ("last_on", "last_campaign", "silence_days") if cells[key] is None]
    shares = [
        key for key, of in _OF.items() if cells[key] is None and (source[of] == 0 or source["source"] == UNREADABLE)
    ]
    row = _row(_name(texts.sources, source["source"]), cells, [*absent, *shares])
    return row | {"state": state}


_OF: Final = {"rejected_share": "rows", "false_positive_rate": "detected"}
"""A share of nothing is none, and nobody is detected by rows whose source cannot be read."""


def _by_reason(sources: Sequence[State], key: str, totals: Mapping[str, int | None], texts: Any) -> dict[str, Any]:
    """A row a reason, a column a source, and all together."""
    columns = [
        *(_column(source["source"], _name(texts.sources, source["source"])) for source in sources),
        _column("total", texts.quality.total),
    ]
    rows = [
        _row(
            _name(texts.reasons, code),
            {**{source["source"]: source[key].get(code, 0) for source in sources}, "total": total},
        )
        for code, total in sorted(totals.items())
    ]
    return {"columns": columns, "rows": rows}


def _facts(disputes: State, t: Any, f: Writing) -> list[tuple[str, Any, str]]:
    oldest = disputes["oldest_open_on"]
    counts = [(getattr(t, key), disputes[key], "count") for key in ("opened", "settled", "open")]
    return [*counts, *([] if oldest is None else [(t.oldest_open_on, f.day(_day(oldest)), "text")])]


def _letter(letter: State, f: Writing) -> dict[str, Any]:
    oldest = letter["oldest_open_on"]
    cells = {key: letter[key] for key in ("code", "kept", "settled", "open")}
    cells["oldest_open_on"] = None if oldest is None else f.day(_day(oldest))
    return _row(letter["service"], cells, ["oldest_open_on"])


def _topic(topic: State, f: Writing) -> dict[str, Any]:
    last = topic["last_event_time"]
    cells = {"last_event_time": None if last is None else f.moment(_moment(last)), "lag": topic["lag"]}
    return _row(topic["topic"], cells, ["last_event_time", "lag"])


def _row(label: str, cells: Mapping[str, Any], nothing: Sequence[str] = ()) -> dict[str, Any]:
    return {"label": label, "href": None, "cells": cells, "nothing": nothing, "total": False}


def _column(key: str, label: str, kind: str = "count") -> dict[str, Any]:
    return {"key": key, "label": label, "kind": kind, "item": None, "href": None, "sorted": None}


def _name(names: Any, code: str) -> str:
    """What a code is called; as it is where it has no name."""
    return str(getattr(names, code, code))


def _sum(parts: Any) -> int | None:
    found = list(parts)
    return None if None in found else sum(found)


def _day(written: str | date) -> date:
    return date.fromisoformat(written) if isinstance(written, str) else written


def _moment(written: str | datetime) -> datetime:
    return datetime.fromisoformat(written) if isinstance(written, str) else written
