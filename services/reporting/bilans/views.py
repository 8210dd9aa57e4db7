"""The shapes in which bilans are answered."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.reporting.bilans.domain import Act, State

Number = int | float


class Line(BaseModel):
    """A version, in short."""

    version: int
    state: State
    hash: str | None
    frozen_on: date | None
    corrects: int | None


class Item(Line):
    """A version in a list."""

    year: int
    period: int
    academie: str


class Page(BaseModel):
    """Versions; `next` goes into `cursor`."""

    items: list[Item]
    next: str | None = None


class Unit(BaseModel):
    """The figures of the académie or of a network; a span is a row of `/v1/indicators` without its code."""

    unit: Literal["academie", "network"]
    code: str
    label: str
    period: dict[str, Any] | None
    year: dict[str, Any] | None


class Objective(BaseModel):
    """The year's objective, and how much of it was attained by the period's end; null where that is hidden."""

    objective: int
    version: int
    achieved: int | None
    attainment: float | None


class TextView(BaseModel):
    """What a network's head, or the académie (`academie`), says. `by` is for staff."""

    unit: str
    worked: str
    needs: str
    obstacles: str
    by: str | None
    at: datetime | None


class VisaView(BaseModel):
    """Who stands for it, and as what."""

    by: str
    role: str
    at: datetime


class EntryView(BaseModel):
    """What was done. `note`: the unit of a text, the role of a visa, the reason of a correction."""

    at: datetime
    by: str
    act: Act
    note: str


class Frozen(BaseModel):
    """By whom (for staff) and when."""

    by: str | None
    at: datetime


class ChangedFigure(BaseModel):
    """A figure that differs from that of the version which is corrected."""

    unit: str
    code: str
    span: str
    view: str
    indicator: str
    source: str | None
    measure: str
    old: Number | None
    new: Number | None
    difference: Number | None


class Correction(BaseModel):
    """What it corrects, why, and which figures differ; `events`: which events made the difference, for staff."""

    of: int
    by: str | None
    reason: str
    at: datetime
    changes: list[ChangedFigure]
    events: list[dict[str, Any]] | None = Field(None, description="The first of them, in the order of recording.")
    events_total: int | None = None
    events_by: Literal["positions", "time"] | None = Field(
        None, description="By positions in the log; by the time of recording where the log was made anew."
    )
    counts: list[dict[str, Any]] | None = Field(None, description="How many events of each type and reason.")
    youths: int | None = Field(None, description="How many youths they are about.")
    events_missing: dict[str, Any] | None = Field(None, description="Why `events` is null.")


class Bilan(BaseModel):
    """A bilan. `hash` is over the fields that `sealed` names, as they stand in the answer: see docs/bilans.md."""

    year: int
    period: int
    academie: str
    label: str
    kind: Literal["academie", "vice_rectorat"]
    from_: date = Field(alias="from")
    to: date
    version: int
    state: State
    audience: Literal["staff", "public"]
    as_of: datetime
    figures: list[Unit]
    series: list[dict[str, Any]]
    objective: Objective | None
    definitions: list[dict[str, Any]]
    position: dict[str, int]
    texts: list[TextView]
    visas: list[VisaView]
    hash: str | None
    sealed: list[str]
    frozen: Frozen | None
    journal: list[EntryView]
    correction: Correction | None
    versions: list[Line]
    editable: bool


class Done(BaseModel):
    """What a command left behind."""

    year: int
    period: int
    academie: str
    version: int
    state: State
    back_to_draft: bool | None = None
    hash: str | None = None
    public_hash: str | None = None
    corrects: int | None = None
