"""GET /v1/indicators' parameters as they may be written, and what is wrong with them where they may not."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.reporting.figures import NATIONAL_CODE, Level, Period
from services.reporting.indicators import View
from shared.identifiers import parse_iso_date
from shared.problems import Problem


def _parts(value: Any) -> Any:
    """`a,b` and `a`, `b` given twice are the same list; each item once, in order."""
    texts = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(text, str) for text in texts):
        return value
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))


def _day(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    day = parse_iso_date(value)
    if day is None:
        raise ValueError(f"{value[:40]!r} is no day of the calendar written YYYY-MM-DD")
    return day


Day = Annotated[date, BeforeValidator(_day)]


class IndicatorsQuery(BaseModel):
    """Lists are written with commas. Without `from` or `to` the period is open at that end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Annotated[tuple[Level, ...], BeforeValidator(_parts)] = Field(
        ("national",), description="Levels of the rows: national, academie, departement, network."
    )
    view: Annotated[tuple[View, ...], BeforeValidator(_parts)] = Field(
        ("activity", "cohort"), description="activity: by the day of the event; cohort: of the youths detected then."
    )
    code: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], BeforeValidator(_parts)] = Field(
        (), description="Only the units with these codes; without it, all."
    )
    from_: Day | None = Field(None, alias="from", description="First day, YYYY-MM-DD.")
    to: Day | None = Field(None, description="Last day, YYYY-MM-DD; included.")
    as_of: Day | None = Field(
        None, description="All figures as they were known at the end of this day (UTC), YYYY-MM-DD; without it, as now."
    )

    def period(self) -> Period:
        """The period asked for."""
        return _period(self.from_, self.to)


def _period(first: date | None, last: date | None) -> Period:
    if first is not None and last is not None and first > last:
        raise Problem(422, "period_upside_down", f"`from` ({first}) is after `to` ({last}); swap them or mend one")
    return Period(first, last)


class CurveQuery(BaseModel):
    """Without `from` or `to` the period is open at that end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Level = Field("national", description="Level of the unit: national, academie, departement, network.")
    code: str = Field(NATIONAL_CODE, min_length=1, max_length=200, description="Code of the unit.")
    from_: Day | None = Field(None, alias="from", description="First day of detection, YYYY-MM-DD.")
    to: Day | None = Field(None, description="Last day of detection, YYYY-MM-DD; included.")

    def period(self) -> Period:
        """The period asked for."""
        return _period(self.from_, self.to)


class DefinitionsQuery(BaseModel):
    """Without a day, all versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: Day | None = Field(None, description="Only what holds on this day, YYYY-MM-DD.")
