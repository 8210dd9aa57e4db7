"""Reporting over HTTP: the figures and their definitions."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from msgspec import json, to_builtins
from pydantic import BaseModel, Field

from services.reporting.answers import Answers
from services.reporting.conditional import respond
from services.reporting.figures import Level
from services.reporting.front import JSON, PATH, reply
from services.reporting.queries import CurveQuery, DefinitionsQuery, IndicatorsQuery


class Delay(BaseModel):
    """Whole days between two steps, over the cohort's youths who have both; null where there are none."""

    n: int | None
    median: float | None
    p90: int | None


class FalsePositives(BaseModel):
    """Of the youths whom a source was the first to list in the period, how many were dismissed, and their share."""

    detected: int | None
    dismissed: int | None
    rate: float | None


class Cohort(BaseModel):
    """Of the youths detected in the period, how many have so far reached each step; `dismissed` are not in `size`.

    `not_known` were never reached, `lapsed` were, but nobody verified their situation for `lapse_days` since; `unknown`
    are both.
    """

    size: int | None
    detected: int | None
    attempted: int | None
    reached: int | None
    interviewed: int | None
    offered: int | None
    contracted: int | None
    returned: int | None
    civic_service: int | None
    broken: int | None
    not_known: int | None
    dismissed: int | None
    lapsed: int | None
    unknown: int | None
    shares: dict[str, float | None]
    delays: dict[str, Delay]
    false_positives: dict[str, FalsePositives]


class Row(BaseModel):
    """The figures of one unit. For who may not see small counts, `hidden` has the paths of those that are null for
    that reason; `suppressed` where there are some; and `achieved` is the sum of those returned and in civic service,
    which may be told where its parts are not.
    """

    by: Level
    code: str
    label: str
    activity: dict[str, int | None] | None = None
    dismissed_by_source: dict[str, int | None] | None = None
    cohort: Cohort | None = None
    suppressed: bool = False
    hidden: list[str] | None = None
    achieved: int | None = None


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
    """Figures of one moment; `breaks` are the changes of definitions within the period asked for.

    After `lapse_days` a situation lapses that nobody has verified since.
    """

    as_of: datetime
    definition_version: int
    lapse_days: int
    breaks: list[SeriesBreak]
    sources: list[SourceFreshness]
    rows: list[Row]


class Curve(BaseModel):
    """Of the youths detected in the period, the share that came to each step at most so many days after.

    Null where nobody can know it yet (beyond `known_days`, the age of the oldest of the cohort), where the cohort is
    empty and, with `suppressed`, where it is hidden. Beyond `complete_days`, the age of the youngest, provisional.
    """

    day: date
    by: Level
    code: str
    label: str
    from_: date = Field(alias="from")
    to: date
    size: int | None
    days: list[int]
    known_days: int
    complete_days: int
    attempted: list[float | None]
    reached: list[float | None]
    interviewed: list[float | None]
    contracted: list[float | None]
    returned: list[float | None]
    suppressed: bool = False


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
        status, headers, body = reply(answer.etag, answer.body, request.scope["headers"], JSON)
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

    @routes.get(
        "/v1/cohort-curve",
        response_model=Curve,
        responses={304: {"description": "Nothing differs from what `If-None-Match` names"}},
    )
    async def cohort_curve(request: Request, query: Annotated[CurveQuery, Query()]) -> Response:
        """How a cohort came along: by step, the share that had reached it so many days after detection."""
        period = query.period()
        edition = await answers.edition()
        curve = answers.curve(query.by, query.code, period, edition)
        return respond(request, json.encode(curve), "application/json")

    return routes
