"""What the services answer, as far as the command line and the demo lean on it; more fields may come along."""

from typing import Any, Literal, TypedDict

JsonObject = dict[str, Any]
View = Literal["activity", "cohort"]


class ImportCounts(TypedDict):
    """What became of a list's rows so far."""

    import_id: str
    state: Literal["running", "done", "failed"]
    reason: str | None
    rows: int
    accepted: int
    matched: int
    disputed: int
    repeated: int
    rejected: dict[str, int]
    warnings: dict[str, int]


class Sighting(TypedDict):
    """A row that named a youth."""

    campaign: str
    source: str | None
    source_row: str


class Youth(TypedDict):
    """A youth as on the worklist; more fields may come along."""

    youth_id: str
    state: str
    platform_id: str
    academie: str
    sightings: list[Sighting]


class Freshness(TypedDict):
    """How much of a topic is not yet in the figures; None when nobody can tell."""

    topic: str
    last_event_time: str | None
    lag: int | None


class IndicatorRow(TypedDict):
    """The figures of a unit."""

    by: str
    code: str
    label: str
    activity: dict[str, int] | None
    cohort: dict[str, Any] | None


class Indicators(TypedDict):
    """An answer of reporting."""

    as_of: str
    definition_version: int
    sources: list[Freshness]
    rows: list[IndicatorRow]


class Publication(TypedDict):
    """A service publishes its journal again: how far it has come."""

    publication_id: str
    state: Literal["running", "done", "replaced"]
    events: int
    published: int


class Replayed(TypedDict):
    """What became of dead letters that were replayed; `next` goes on behind them."""

    replayed: int
    failed: dict[str, int]
    remaining: int
    next: str | None


class Build(TypedDict):
    """A projection that reporting builds beside the live one, to switch to it or to compare."""

    state: Literal["running", "done", "refused", "failed"]
    generation: int
    read: int
    of: int
    youths: int
    held_ms: int | None
    reason: str | None
    figures: int | None
    differences: JsonObject | None
