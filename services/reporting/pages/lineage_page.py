"""The page of the youths behind a figure: pseudonymous, with the events by which they count. Each look is noted."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from services.reporting.answers import Answers
from services.reporting.history.questions import LineageQuery, Questions
from services.reporting.pages.periods import refuse_upside_down
from services.reporting.pages.route import PageQuery, asked, html, page_router
from services.reporting.pages.site import Asked, Site
from services.reporting.pages.writing import Writing
from services.reporting.queries import IndicatorsQuery
from shared.http import Limit

PATH: Final = "/lignee"
_A_PAGE: Final = 50


class LineagePageQuery(LineageQuery, PageQuery):
    """One figure, as for GET /v1/lineage."""

    limit: Limit = _A_PAGE


def router(site: Site, answers: Answers, questions: Questions) -> APIRouter:
    """GET of the page; nothing of it is kept, as it shows youths. Problems as `Questions.lineage` has them."""
    routes = page_router(site)

    @routes.get(PATH)
    async def page(request: Request, query: Annotated[LineagePageQuery, Query()]) -> Response:
        refuse_upside_down(query.from_, query.to, query.lang)
        here = asked(request)
        found = await questions.lineage(query)
        view = lineage_view(found, here, site.texts(here.lang), Writing(here.lang))
        label = await _label(answers, query)
        name = _name(answers, query.indicator, here)
        response = html(site.render("lineage.html", here, query=query, label=label, name=name, **view))
        response.headers["cache-control"] = "no-store"
        return response

    return routes


def lineage_view(found: Mapping[str, Any], page: Asked, texts: Any, f: Writing) -> dict[str, Any]:
    """What the page shows of an answer of GET /v1/lineage."""
    t = texts.lineage
    return {
        "count": found["count"],
        "as_of": t.as_of.format(at=f.moment(found["as_of"])),
        "youths": [
            {
                "youth_id": youth["youth_id"],
                "on": f.day(youth["on"]),
                "events": [
                    {
                        "on": f.day(event["on"]),
                        "name": getattr(texts.events, event["type"].split(".")[3].replace("-", "_"), event["type"]),
                        "reason": event["reason"],
                        "place": t.place.format(**event),
                    }
                    for event in youth["events"]
                ],
            }
            for youth in found["items"]
        ],
        "next": page.here(cursor=found["next"]) if found["next"] else None,
    }


async def _label(answers: Answers, query: LineagePageQuery) -> str:
    unit = IndicatorsQuery.model_validate({"by": (query.by,), "code": (query.code,), "view": "activity"})
    rows = answers.rows(unit, await answers.edition())
    return next((str(row["label"]) for row in rows), query.code)


def _name(answers: Answers, indicator: str, page: Asked) -> str:
    """The indicator's name; one that is part of another (by source) by its code."""
    try:
        return answers.definitions.by_code("detected" if indicator == "size" else indicator).name[page.lang]
    except KeyError:
        return indicator
