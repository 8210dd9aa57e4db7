"""The page of the objectives: a year's, their sum against the ministry's, their history, and a form to set one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from services.reporting.objectives.api import ObjectiveInput
from services.reporting.objectives.objectives import Objectives, Wanted
from services.reporting.pages import forms
from services.reporting.pages.forms import Wrong
from services.reporting.pages.route import PageQuery, asked, html, page_router
from services.reporting.pages.site import Asked, Site
from services.reporting.pages.sorting import head, ordered
from services.reporting.pages.writing import Writing
from services.reporting.readers import Reader
from shared.clock import random_id
from shared.commands import Answer
from shared.problems import Problem
from shared.unit_of_work import Tx

PATH: Final = "/objectifs"
_FIRST_YEAR: Final = 2013
_KEYS: Final = ("objective", "achieved", "expected", "attainment", "landing")


class ObjectivesQuery(PageQuery):
    """Which year; of which académie the history; `saved` after its objective was set."""

    year: int | None = Field(None, ge=2000, le=2100)
    academie: str | None = Field(None, max_length=20)
    sort: str = Field("label", max_length=40)
    saved: int | None = None


class ObjectiveForm(ObjectiveInput):
    """The API's input, and whose objective it is."""

    academie: str = Field(min_length=1, max_length=20)


def router(site: Site, objectives: Objectives, latest_year: Callable[[], Awaitable[int]]) -> APIRouter:
    """GET and POST of the page."""
    routes = page_router(site)

    @routes.get(PATH)
    async def page(request: Request, query: Annotated[ObjectivesQuery, Query()]) -> Response:
        return html(await shown(asked(request), query))

    @routes.post(PATH)
    async def set_objective(request: Request, query: Annotated[ObjectivesQuery, Query()]) -> Response:
        if not site.reader.is_staff:
            raise Problem(403, "not_your_academie", "only staff set objectives; read them as you like")
        form = await forms.read(request)
        page = asked(request)
        year = query.year or await latest_year()
        try:
            wanted = forms.checked(ObjectiveForm, _typed(form.values))

            async def put(tx: Tx) -> Answer:
                values = Wanted(wanted.objective, wanted.by, wanted.reason, wanted.expected_version)
                line = await objectives.put(tx, year, wanted.academie, values)
                return {"version": line["version"]}

            await form.do(request, put)
        except Problem as problem:
            if problem.status not in (404, 409, 422):
                raise
            return html(await shown(page, query, form.values, problem), problem.status)
        objectives.changed(year)
        there = page.to(PATH, year=year, academie=wanted.academie, saved=1)
        return RedirectResponse(f"{there}#history-title", 303)

    async def shown(
        page: Asked, query: ObjectivesQuery, typed: Mapping[str, str] | None = None, problem: Problem | None = None
    ) -> bytes:
        year = query.year or await latest_year()
        found = await objectives.year(year)
        texts = site.texts(page.lang)
        view = objectives_view(found, page, texts, query.sort)
        chosen = (typed or {}).get("academie") or query.academie or ""
        line = next((line for line in found["academies"] if line["academie"] == chosen), None)
        if query.academie and line is None and problem is None:
            line = await objectives.of(year, query.academie)  # says which académies there are
        writing = writing_view(found, site.reader, texts, Writing(page.lang), Tried(chosen, typed, problem))
        return site.render(
            "objectives.html", page, **view, history=line, writing=writing, saved=_saved(query, line, texts)
        )

    return routes


def objectives_view(found: Mapping[str, Any], page: Asked, texts: Any, sort: str) -> dict[str, Any]:
    """What the page shows of `Objectives.year`."""
    t, f, year, national = texts.objectives, Writing(page.lang), found["year"], found["national"]
    lines = found["academies"]
    rows = [_row(line, f, page.to(PATH, year=year, academie=line["academie"]) + "#history-title") for line in lines]
    today = found["as_of"].year
    return {
        "year": year,
        "years": sorted({*range(_FIRST_YEAR, today + 2), year}, reverse=True),
        "headlines": _headlines(national, texts, f),
        "none_set": not national["set"],
        "first": head(page, "label", t.academie, sort, kind="text"),
        "columns": [
            *(
                head(page, key, getattr(t, key), sort, kind="share" if key == "attainment" else "count")
                for key in _KEYS
            ),
            {"key": "range", "label": t.range, "kind": "text", "item": None, "href": None, "sorted": None},
            {"key": "version", "label": t.version, "kind": "count", "item": None, "href": None, "sorted": None},
        ],
        "rows": [*ordered(rows, sort, _KEYS), _row(national | {"version": None}, f, None)],
        "method": getattr(t, f"method_{national['method']}"),
    }


def _headlines(national: Mapping[str, Any], texts: Any, f: Writing) -> list[dict[str, str]]:
    t, target, landing = texts.objectives, national["target"], national["landing"]
    hidden = texts.base.hidden if national["achieved"] is None else texts.base.none
    sum_note = t.no_target if target is None else t.sum_note.format(target=f.number(target["youths"]))
    if (gap := national["gap"]) is not None:
        text = t.gap_none if gap == 0 else t.gap_above if gap > 0 else t.gap_below
        sum_note += f" ; {text.format(n=f.number(abs(gap)))}"
    share = national["attainment_of_target"]
    landed = None if landing is None else {name: f.number(landing[name]) for name in ("value", "low", "high")}
    return [
        {"label": t.sum, "shown": _number(f, national["objective"], texts.base.none), "note": sum_note},
        {"label": t.achieved, "shown": _number(f, national["achieved"], hidden), "note": t.achieved_note},
        {
            "label": t.national_attainment,
            "shown": hidden if share is None else f.percent(share),
            "note": t.national_attainment_note,
        },
        {
            "label": t.landing,
            "shown": hidden if landed is None else landed["value"],
            "note": "" if landed is None else t.landing_note.format(**landed),
        },
    ]


def _number(f: Writing, value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f.number(value)


def _row(line: Mapping[str, Any], f: Writing, href: str | None) -> dict[str, Any]:
    landing, hidden = line["landing"], line["achieved"] is None
    cells = {
        "objective": line["objective"],
        "achieved": line["achieved"],
        "expected": line["trajectory"][-1]["expected"] if line["trajectory"] else None,
        "attainment": line["attainment"],
        "landing": landing and landing["value"],
        "range": landing and f"{f.number(landing['low'])} – {f.number(landing['high'])}",
        "version": line["version"],
    }
    follows = ("attainment", "landing", "range")
    nothing = [
        key
        for key in cells
        if key != "achieved" and not (hidden and key in follows and (key != "attainment" or line["objective"]))
    ]
    return {"label": line["label"], "href": href, "cells": cells, "nothing": nothing, "total": href is None}


@dataclass(frozen=True, slots=True)
class Tried:
    """The académie that was chosen, and, where its form was sent and refused, what was typed and why."""

    academie: str
    typed: Mapping[str, str] | None = None
    problem: Problem | None = None


def writing_view(
    found: Mapping[str, Any], reader: Reader, texts: Any, f: Writing, tried: Tried
) -> dict[str, Any] | None:
    """The form, with what was typed and what is wrong with it; None for whoever may not set any objective."""
    t = texts.objectives
    mine = [line for line in found["academies"] if reader.sees_all_of(line["academie"])]
    if not mine:
        return None
    line = next((line for line in mine if line["academie"] == tried.academie), None)
    known = line is not None and line["version"] is not None
    seen = {"seen_academie": tried.academie, "seen_version": str(line["version"] or 0) if line else ""}
    empty = {"academie": tried.academie, "objective": "", "reason": "", "by": ""}
    labels = {
        "academie": ("academie", t.academie),
        "objective": ("objective", t.number),
        "reason": ("reason", t.reason),
        "by": ("by", texts.forms.by),
    }
    faults = Wrong() if tried.problem is None else forms.wrong(_of_field(tried.problem), texts, labels)
    current = t.current.format(n=f.number(line["objective"]), version=line["version"]) if line and known else ""
    return {
        "academies": [(line["academie"], line["label"]) for line in sorted(mine, key=lambda line: str(line["label"]))],
        "typed": {**empty, **(tried.typed or {}), **seen},
        "current": current,
        "once": random_id(),
        "errors": faults.errors,
        "refusal": faults.refusal,
        "of": faults.of,
    }


def _of_field(problem: Problem) -> Problem:
    """An académie that does not exist is a fault of its field."""
    if problem.code != "unknown_academie":
        return problem
    errors = [{"field": "academie", "code": "unknown_academie"}]
    return Problem(problem.status, "invalid_request", problem.detail, errors=errors)


def _typed(values: Mapping[str, str]) -> dict[str, Any]:
    """The fields as the API would have them; `expected_version` where the académie is the one that was looked at."""
    fields: dict[str, Any] = {name: value for name, value in values.items() if value}
    seen, version = fields.pop("seen_academie", None), fields.pop("seen_version", "")
    if seen and seen == fields.get("academie") and version.isdecimal():
        fields["expected_version"] = int(version)
    written = "".join(fields.get("objective", "").split())
    if written.isascii() and written.isdecimal():
        fields["objective"] = int(written)
    return fields


def _saved(query: ObjectivesQuery, line: Mapping[str, Any] | None, texts: Any) -> str:
    versions: Sequence[Any] = line["versions"] if line else ()
    if query.saved is None or line is None or not versions:
        return ""
    return str(texts.objectives.saved.format(academie=line["label"], version=line["version"]))
