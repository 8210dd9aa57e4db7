"""Objectives over HTTP. No logic here."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from services.reporting.conditional import respond
from services.reporting.objectives.objectives import Objectives, Wanted
from shared.commands import Answer, CommandOf
from shared.http import Input
from shared.unit_of_work import Tx

Year = Annotated[int, Path(ge=2000, le=2100, description="A calendar year.")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Share = Annotated[float, Field(ge=0)]


class ObjectiveInput(Input):
    """An objective as somebody sets it."""

    objective: int = Field(ge=0, le=1_000_000, strict=True, description="Youths to bring back in the year.")
    by: Annotated[Text, Field(max_length=200)] = Field(description="Who sets it.")
    reason: Text = Field(description="Why: the letter, the dialogue de gestion, the correction.")
    expected_version: int | None = Field(
        None, ge=0, strict=True, description="The version that it replaces, 0 for none; refused where another holds."
    )


class Version(BaseModel):
    """An objective as it was set; `by` is shown to staff."""

    version: int
    objective: int
    by: str | None
    reason: str
    at: datetime


class Objective(BaseModel):
    """An académie's objective and its history; null and empty where none was set."""

    year: int
    academie: str
    label: str
    objective: int | None
    version: int | None
    versions: list[Version]


class Point(BaseModel):
    """Youths returned from the year's beginning to the end of a month, at most to today (`on`).

    `expected`: how many the objective asks for by then. `achieved` is null where it is hidden.
    """

    month: str
    on: date
    achieved: int | None
    expected: float | None


class Expected(BaseModel):
    """How many the objective asks for by the end of a month."""

    month: str
    expected: float | None


class Landing(BaseModel):
    """Youths returned by the year's end, with a range of 80 %. `final`: the year is over."""

    value: int
    low: int
    high: int
    method: Literal["seasonal", "linear", "final"]


class Progress(BaseModel):
    """How far it has come. `method`: how the year's returns are expected to be spread over its months."""

    achieved: int | None
    attainment: Share | None
    method: Literal["seasonal", "linear"]
    trajectory: list[Point]
    path: list[Expected]
    landing: Landing | None


class AcademieLine(Objective, Progress):
    """An académie's year."""


class AcademieObjective(AcademieLine):
    """An académie's year, and the moment it is of."""

    as_of: datetime


class Target(BaseModel):
    """What the ministry set out to reach in the year, and where it says so."""

    youths: int
    source: str


class NationalLine(Progress):
    """France's year: the sum of the objectives that are `set`, and its `gap` to the ministry's target."""

    year: int
    academie: str
    label: str
    objective: int | None
    set: int
    target: Target | None
    gap: int | None
    attainment_of_target: Share | None


class YearOfObjectives(BaseModel):
    """All académies of a year."""

    year: int
    as_of: datetime
    national: NationalLine
    academies: list[AcademieLine]


def router(objectives: Objectives) -> APIRouter:
    """Reading and setting objectives."""
    routes = APIRouter(prefix="/v1/objectives", tags=["objectives"])
    unchanged: dict[int | str, dict[str, Any]] = {
        304: {"description": "Nothing but `as_of` differs from If-None-Match"}
    }

    @routes.get("/{year}", response_model=YearOfObjectives, responses=unchanged)
    async def year_of_objectives(request: Request, year: Year) -> Response:
        """Every académie's objective, its trajectory and landing; and their sum against the ministry's target."""
        return _respond(request, await objectives.year(year))

    @routes.get("/{year}/{academie}", response_model=AcademieObjective, responses=unchanged)
    async def objective(request: Request, year: Year, academie: str) -> Response:
        """An académie's objective with its history, the trajectory to date and the projected landing."""
        return _respond(request, await objectives.of(year, academie))

    @routes.put("/{year}/{academie}", response_model=Objective)
    async def set_objective(year: Year, academie: str, body: ObjectiveInput, command: CommandOf) -> JSONResponse:
        """Set or correct an objective: always a new version, unless nothing differs from the one that holds."""
        wanted = Wanted(body.objective, body.by, body.reason, body.expected_version)

        async def put(tx: Tx) -> Answer:
            line = await objectives.put(tx, year, academie, wanted)
            return Objective.model_validate(line).model_dump(mode="json")

        answer = await command(put, status=200)
        objectives.changed(year)
        return answer

    return routes


def _respond(request: Request, found: dict[str, Any]) -> Response:
    as_of = found.pop("as_of")
    same = msgspec.json.encode(found)
    return respond(request, msgspec.json.encode({**found, "as_of": as_of}), "application/json", same=same)
