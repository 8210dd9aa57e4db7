"""History over HTTP: what made figures others, the youths and events behind a figure, and who looked at them."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.reporting.figures import Level
from services.reporting.history.questions import DifferenceQuery, LineageQuery, Questions
from services.reporting.indicators import View
from shared.http import Cursor, Limit


class LogEvent(BaseModel):
    """An event in the log: where it is, and what it says but for its details."""

    id: str
    type: str
    youth_id: str
    on: date
    time: datetime
    reason: str | None
    topic: str
    partition: int
    offset: int


class Change(BaseModel):
    """A figure then and now. `by_time`: it may differ without any event, as situations lapse by the calendar."""

    view: View
    indicator: str
    old: float | None
    new: float | None
    difference: float | None
    by_time: bool


class ChangedRow(BaseModel):
    """What differs of a unit."""

    by: Level
    code: str
    changes: list[Change]


class KindOfEvents(BaseModel):
    """How many events of a kind made the difference; `late` ones happened within the period or before."""

    type: str
    reason: str | None
    late: bool
    events: int


class Difference(BaseModel):
    """Only what differs. `total` events of `youths` youths made the difference; `events` are a page of them."""

    as_of: datetime
    now: datetime
    definition_version: int
    rows: list[ChangedRow]
    counts: list[KindOfEvents]
    total: int
    youths: int
    events: list[LogEvent]
    next: str | None


class Youth(BaseModel):
    """A youth behind a figure: the day by which he counts (of the event, or of detection), and his events."""

    youth_id: str
    on: date
    events: list[LogEvent]


class Lineage(BaseModel):
    """The `count` youths of a figure; `items` are a page of them, in the order of days."""

    indicator: str
    view: View
    by: Level
    code: str
    definition_version: int
    as_of: datetime
    count: int
    items: list[Youth]
    next: str | None


class Read(BaseModel):
    """Somebody looked at the youths behind figures."""

    read_id: str
    at: datetime
    reader: str
    what: dict[str, Any]
    count: int
    shown: int


class Reads(BaseModel):
    """The last first."""

    items: list[Read]
    next: str | None


def router(questions: Questions) -> APIRouter:
    """`questions` asks the log."""
    routes = APIRouter(tags=["history"])

    @routes.get("/v1/indicators/difference", response_model=Difference)
    async def difference(query: Annotated[DifferenceQuery, Query()]) -> dict[str, Any]:
        """Figures as they were known at the end of a day beside those of now, and which events made the difference."""
        return await questions.difference(query)

    @routes.get("/v1/lineage", response_model=Lineage)
    async def lineage(query: Annotated[LineageQuery, Query()]) -> dict[str, Any]:
        """From a figure to the pseudonymous youths and the events behind it. Each look is written down."""
        return await questions.lineage(query)

    @routes.get("/v1/lineage/reads", response_model=Reads)
    async def reads(cursor: Cursor = None, limit: Limit = 100) -> dict[str, Any]:
        """Who looked at the youths behind which figures."""
        return await questions.reads(cursor, limit)

    return routes
