"""Open data over HTTP. No logic here."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from services.reporting.conditional import respond
from services.reporting.open_data import package
from services.reporting.open_data.periods import PERIODS, Period
from services.reporting.open_data.publications import DATA_PACKAGE, Publications

PATH: Final = "/v1/open-data"
_MEDIA: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_FILES: Final = {
    "indicators.csv": "The indicator table as CSV (RFC 4180, UTF-8), as the public sees it whoever asks.",
    "indicators.json": "The same rows as a list of objects.",
    "definitions.csv": "The definitions that the table goes by.",
    DATA_PACKAGE: "The Data Package: what the files hold, their size, their hash, their Table Schema, the licence.",
}

Year = Annotated[int, Path(ge=2000, le=2100, description="A calendar year.")]
Number = Annotated[int, Path(ge=1, le=PERIODS, description="Two months: 1 is January and February.")]


class PublishedPeriod(BaseModel):
    """Where the files of a period are. `period` is null for the whole year; `complete`: it is over."""

    year: int
    period: int | None
    first: date = Field(description="Its first day.")
    last: date = Field(description="Its last day.")
    complete: bool
    csv: str
    json_: str = Field(alias="json")
    definitions: str
    datapackage: str


class OpenData(BaseModel):
    """What is published."""

    licence: dict[str, Any]
    table_schema: str
    periods: list[PublishedPeriod]


def router(publications: Publications) -> APIRouter:
    """The files of all periods."""
    routes = APIRouter(prefix=PATH, tags=["open data"])

    @routes.get("", response_model=OpenData)
    async def open_data(request: Request) -> Response:
        """All periods that have begun, and where their files are."""
        today, periods = await publications.periods()
        listed = [
            {
                "year": period.year,
                "period": period.number,
                "first": period.first,
                "last": period.last,
                "complete": period.last < today,
                "csv": f"{PATH}/{period.path}/indicators.csv",
                "json": f"{PATH}/{period.path}/indicators.json",
                "definitions": f"{PATH}/{period.path}/definitions.csv",
                "datapackage": f"{PATH}/{period.path}/{DATA_PACKAGE}",
            }
            for period in periods
        ]
        body = {"licence": package.LICENCE, "table_schema": f"{PATH}/schema.json", "periods": listed}
        return _respond(request, msgspec.json.encode(body), _MEDIA["json"])

    @routes.get("/schema.json", response_model=dict[str, Any])
    async def table_schema(request: Request) -> Response:
        """The Table Schema of the indicator table."""
        return _respond(request, msgspec.json.encode(publications.schema()), _MEDIA["json"])

    for name, says in _FILES.items():
        media = _MEDIA[name.rpartition(".")[2]]
        responses: dict[int | str, dict[str, Any]] = {
            200: {"content": {media.partition(";")[0]: {}}},
            304: {"description": "The caller has these bytes"},
        }
        of_period, of_year = _endpoints(publications, name, media)
        operation = name.replace(".", "_")
        for path, endpoint in (("/{year}/{period}", of_period), ("/{year}", of_year)):
            routes.add_api_route(
                f"{path}/{name}",
                endpoint,
                name=f"{operation}_of_{'period' if endpoint is of_period else 'year'}",
                description=says,
                response_class=Response,
                responses=responses,
            )
    return routes


Endpoint = Callable[..., Awaitable[Response]]


def _endpoints(publications: Publications, name: str, media: str) -> tuple[Endpoint, Endpoint]:
    async def file(request: Request, period: Period) -> Response:
        body = publications.file(period, await publications.of(period), name)
        return _respond(request, body, media)

    async def of_period(request: Request, year: Year, period: Number) -> Response:
        return await file(request, Period(year, period))

    async def of_year(request: Request, year: Year) -> Response:
        return await file(request, Period(year))

    return of_period, of_year


def _respond(request: Request, body: bytes, media: str) -> Response:
    """Any site's page may read it."""
    schema = f'<{PATH}/schema.json>; rel="describedby"'
    return respond(request, body, media, Access_Control_Allow_Origin="*", Link=schema)
