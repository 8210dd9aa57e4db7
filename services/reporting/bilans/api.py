"""Bilans over HTTP. No logic here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.reporting.bilans import csv_table, formats
from services.reporting.bilans.bilans import Bilans
from services.reporting.bilans.domain import ACADEMIE, Key, State, Text
from services.reporting.bilans.formats import Files, Format
from services.reporting.bilans.texts import MOST_CHARACTERS
from services.reporting.bilans.views import Bilan, Done, Page
from services.reporting.conditional import respond
from shared.commands import CommandOf
from shared.http import Cursor, Input, Limit

Year = Annotated[int, Path(description="A calendar year.")]
Period = Annotated[int, Path(description="1: January and February, to 6: November and December.")]
Academie = Annotated[str, Path(max_length=10, description="Code of the académie.")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[
    str,
    StringConstraints(max_length=MOST_CHARACTERS),
    Field(description="Read by everybody once the bilan is frozen: nothing that says who a youth is."),
]


class TextInput(Input):
    """What the head of a network, or the académie, says of the period."""

    worked: Words = ""
    needs: Words = ""
    obstacles: Words = ""
    by: Name


class ValidationInput(Input):
    """A visa."""

    by: Name
    role: Name = Field(description="As what: the rector, the head of the academic mission.")


class FreezingInput(Input):
    """Who freezes it."""

    by: Name


class CorrectionInput(Input):
    """Why a frozen bilan has to be corrected."""

    by: Name
    reason: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]


class ListQuery(BaseModel):
    """Which bilans to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    year: int | None = None
    academie: str | None = None
    state: State | None = None
    limit: Limit = 100
    cursor: Cursor = None


class BilanQuery(BaseModel):
    """Which version, of which network, in which format."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int | None, Field(ge=1, description="Without it, the latest.")] = None
    network: Annotated[str | None, Field(max_length=200, description="Only this network's figures and text.")] = None
    format: Annotated[Format | None, Field(description="Without it, by `Accept`; JSON where that says nothing.")] = None


def router(bilans: Bilans) -> APIRouter:
    """Reading bilans, and what may be done to them."""
    routes = APIRouter(prefix="/v1/bilans", tags=["bilans"])

    def key_of(year: Year, period: Period, academie: Academie) -> Key:
        return bilans.key(year, period, academie)

    KeyOf = Annotated[Key, Depends(key_of)]  # noqa: N806  a type
    files = Files()
    documents: dict[int | str, dict[str, Any]] = {
        200: {"content": {media_type: {} for media_type in formats.MEDIA_TYPES.values()}},
        304: {"description": "The same as what If-None-Match names"},
    }

    @routes.get("")
    async def list_bilans(query: Annotated[ListQuery, Query()]) -> Page:
        """Versions to which anything was done, in order of year, period, académie, version."""
        items, following = await bilans.page(**query.model_dump())
        return Page.model_validate({"items": items, "next": following})

    @routes.get("/table-schema.json", responses={200: {"content": {"application/json": {}}}})
    async def table_schema(request: Request) -> Response:
        """The Table Schema (Frictionless) of the CSV."""
        return respond(request, csv_table.schema(), "application/json")

    @routes.get("/{year}/{period}/{academie}", response_model=Bilan, responses=documents)
    async def get_bilan(request: Request, key: KeyOf, query: Annotated[BilanQuery, Query()]) -> Response:
        """A bilan: the latest version that the reader may see. A draft's figures are those of now."""
        wanted = query.format or formats.accepted(request.headers.get("accept", ""))
        if wanted == "csv-schema":
            return respond(request, csv_table.schema(), formats.MEDIA_TYPES[wanted])
        bilan = await bilans.read(key, query.version)
        if query.network is not None:
            bilan = formats.only(bilan, query.network)
        body = await files.write(bilan, wanted)
        return respond(
            request,
            body,
            formats.MEDIA_TYPES[wanted],
            same=formats.same(bilan, wanted),
            Vary="Accept",
            **formats.headers(bilan, wanted),
        )

    @routes.put("/{year}/{period}/{academie}/texts/{unit}", response_model=Done)
    async def write_text(
        key: KeyOf,
        unit: Annotated[str, Path(max_length=200, description=f"A network's identifier, or `{ACADEMIE}`.")],
        body: TextInput,
        command: CommandOf,
    ) -> JSONResponse:
        """Write or replace a text of a draft; a validated bilan becomes a draft again (`back_to_draft`)."""
        text = Text(body.worked, body.needs, body.obstacles, body.by)
        return await command(lambda tx: bilans.write_text(tx, key, unit, text), status=200)

    @routes.post("/{year}/{period}/{academie}/validation", status_code=201, response_model=Done)
    async def validate(key: KeyOf, body: ValidationInput, command: CommandOf) -> JSONResponse:
        """Put a visa on it; several people may."""
        return await command(lambda tx: bilans.validate(tx, key, body.by, body.role))

    @routes.post("/{year}/{period}/{academie}/freezing", status_code=201, response_model=Done)
    async def freeze(key: KeyOf, body: FreezingInput, command: CommandOf) -> JSONResponse:
        """Freeze a validated bilan once its period is over: figures, definitions, position, texts, visas, for good."""
        prepared = await bilans.prepare(key)
        return await command(lambda tx: bilans.freeze(tx, key, body.by, prepared), alone=True)

    @routes.post("/{year}/{period}/{academie}/corrections", status_code=201, response_model=Done)
    async def correct(key: KeyOf, body: CorrectionInput, command: CommandOf) -> JSONResponse:
        """Open the version that corrects a frozen one: a draft beside it, with its texts and the figures of now."""
        return await command(lambda tx: bilans.correct(tx, key, body.by, body.reason))

    return routes
