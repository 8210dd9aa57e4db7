"""Reporting over HTTP: the figures and their definitions."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from msgspec import to_builtins
from pydantic import BaseModel

from services.reporting.answers import Answers
from services.reporting.figures import Level
from services.reporting.front import PATH, condition, reply
from services.reporting.queries import DefinitionsQuery, IndicatorsQuery


class Delay(BaseModel):
    """Whole days between two steps, over the cohort's youths who have both; null where there are none."""

    n: int
    median: float | None
    p90: int | None


class Cohort(BaseModel):
    """Of the youths detected in the period, how many have so far reached each step; `dismissed` are not in `size`."""

    size: int
    detected: int
    attempted: int
    reached: int
    interviewed: int
    offered: int
    contracted: int
    returned: int
    civic_service: int
    broken: int
    not_known: int
    dismissed: int
    shares: dict[str, float | None]
    delays: dict[str, Delay]


class Row(BaseModel):
    """The figures of one unit."""

    by: Level
    code: str
    label: str
    activity: dict[str, int] | None = None
    dismissed_by_source: dict[str, int] | None = None
    cohort: Cohort | None = None


class SourceFreshness(BaseModel):
    """How much of a topic is in the figures: `lag` records are not yet; null when the broker does not answer."""

    topic: str
    last_event_time: datetime | None
    lag: int | None


class Text(BaseModel):
    """A text in French and English."""

    fr: str
    en: str


class SeriesBreak(BaseModel):
    """From the day `on`, an indicator is counted by another version: figures before and after are two things."""

    code: str
    on: date
    from_version: int
    to_version: int
    change: Text


class Indicators(BaseModel):
    """Figures of one moment; `breaks` are the changes of definitions within the period asked for."""

    as_of: datetime
    definition_version: int
    breaks: list[SeriesBreak]
    sources: list[SourceFreshness]
    rows: list[Row]


class DefinitionRead(BaseModel):
    """One version of one indicator's definition; `change` says why the series breaks on `valid_from`."""

    code: str
    name: Text
    formula: Text
    source: str
    views: list[str]
    unit: str
    version: int
    valid_from: date
    valid_to: date | None = None
    change: Text | None = None


class Definitions(BaseModel):
    """All versions of all definitions, or those in force on a day, and where series break; one page."""

    items: list[DefinitionRead]
    breaks: list[SeriesBreak]
    next: None = None


def router(answers: Answers) -> APIRouter:
    """`answers` gives the figures that a query asks for."""
    routes = APIRouter(tags=["indicators"])

    @routes.get(
        PATH,
        response_model=Indicators,
        responses={304: {"description": "Nothing but `as_of` differs from what `If-None-Match` names"}},
    )
    async def indicators(request: Request, query: Annotated[IndicatorsQuery, Query()]) -> Response:
        """Figures by national, académie, département or network, of activity and of cohorts, over a period."""
        answer = await answers(query, request.scope["query_string"])
        status, headers, body = reply(answer, condition(request.scope["headers"]))
        response = Response(body, status)
        response.raw_headers = headers
        return response

    @routes.get(f"{PATH}/definitions", response_model=Definitions)
    async def definitions(query: Annotated[DefinitionsQuery, Query()]) -> dict[str, Any]:
        """Every indicator: its names, its formula in words, its source, and from when to when it is counted so."""
        register = answers.definitions
        return {
            "items": to_builtins(register.all() if query.on is None else register.at(query.on)),
            "breaks": to_builtins(register.breaks()),
        }

    return routes
