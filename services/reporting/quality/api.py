"""The data's quality over HTTP. No logic here."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.reporting.api import SourceFreshness
from services.reporting.quality.quality import Quality
from services.reporting.queries import Day

Count = Annotated[int | None, Field(ge=0)]
Share = Annotated[float | None, Field(ge=0, le=1)]
ByCode = dict[str, Count]


class QualityQuery(BaseModel):
    """Without `from` or `to` the period is open at that end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Day | None = Field(None, alias="from", description="First day, YYYY-MM-DD.")
    to: Day | None = Field(None, description="Last day, YYYY-MM-DD; included.")


class SourceQuality(BaseModel):
    """One upstream base; `UNREADABLE` are rows that name none that is known.

    `last_on` and `last_campaign`: the last day on which a row of it was read, and the latest campaign of one. `silent`:
    that was longer ago than `lists_silent_after_days`. Counts are of rows, a row that was read again counting again;
    null where hidden from the reader. `detected`, `dismissed`: youths whom it was the first to name.
    """

    source: str
    last_on: date | None
    last_campaign: str | None
    silence_days: int | None
    silent: bool
    rows: Count
    accepted: Count
    matched: Count
    disputed: Count
    repeated: Count
    rejected: ByCode
    rejected_total: Count
    warnings: ByCode
    accepted_share: Share
    rejected_share: Share
    detected: Count
    dismissed: Count
    false_positive_rate: Share


class Disputes(BaseModel):
    """Rows of which a person must say whom they name: opened in the period, and of those settled and open by now."""

    opened: Count
    settled: Count
    open: Count
    oldest_open_on: date | None
    oldest_open_days: int | None


class DeadLetters(BaseModel):
    """Records that a service could not apply: kept in the period, and of those settled and open by now."""

    service: str
    code: str
    kept: Count
    settled: Count
    open: Count
    oldest_open_on: date | None
    oldest_open_days: int | None


class QualityState(BaseModel):
    """How good what comes in is. `rejected` and `warnings` are of all upstream bases together."""

    as_of: datetime
    from_: date | None = Field(alias="from")
    to: date | None
    lists_silent_after_days: int
    topics: list[SourceFreshness]
    sources: list[SourceQuality]
    rejected: ByCode
    warnings: ByCode
    disputes: Disputes
    dead_letters: list[DeadLetters]


def router(quality: Quality) -> APIRouter:
    """GET of the state."""
    routes = APIRouter(tags=["quality"])

    @routes.get("/v1/quality", response_model=QualityState)
    async def state(query: Annotated[QualityQuery, Query()]) -> dict[str, Any]:
        """Lists by upstream base with their rejects and their silence, disputes, dead letters of all services."""
        return await quality.state(query.from_, query.to)

    return routes
