"""What the rows of a list tell of where they come from: counts by upstream base and campaign, no person. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple, cast

from services.referral.eligibility import SOURCES, Row
from services.referral.intake import Taken
from shared.events.base import Source
from shared.events.referral import ListTakenIn, RowCounts
from shared.identifiers import parse_campaign


class Origin(NamedTuple):
    """How rows came: on which day, as which list (or, of SIEI events, as which batch), and as what."""

    on: date
    list_id: str
    way: Literal["list", "events"]


class Refusal(NamedTuple):
    """A rejected row, of which nothing is kept but this: an under-16 leaves no more behind."""

    source: Source | None
    campaign: str | None
    code: str


def refusal(values: Mapping[str, Any], code: str) -> Refusal:
    """The refusal of a row with these fields: what they say of source and campaign counts where it can be read."""
    source, campaign = (_text(values.get(name)) for name in ("source", "campaign"))
    return Refusal(
        cast(Source, source) if source in SOURCES else None,
        campaign if parse_campaign(campaign) is not None else None,
        code,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def taken_in(
    origin: Origin, rows: Sequence[Row], taken: Sequence[Taken], refusals: Iterable[Refusal]
) -> list[ListTakenIn]:
    """The event that tells of these rows; none where there are none. `taken` is what became of `rows`, in their order.

    A row that is read again counts again, as repeated or as rejected: these are counts of rows, not of youths.
    """
    counted: dict[tuple[Source | None, str | None], Counter[str]] = {}
    rejected: dict[tuple[Source | None, str | None], Counter[str]] = {}
    warnings: dict[tuple[Source | None, str | None], Counter[str]] = {}
    for row, result in zip(rows, taken, strict=True):
        key = row.source, row.campaign
        counted.setdefault(key, Counter())[result.outcome] += 1
        if row.warnings:
            warnings.setdefault(key, Counter()).update(row.warnings)
    for source, campaign, code in refusals:
        rejected.setdefault((source, campaign), Counter())[code] += 1
    keys = sorted({*counted, *rejected}, key=lambda key: (key[0] or "", key[1] or ""))
    counts = [_counts(key, counted.get(key), rejected.get(key), warnings.get(key)) for key in keys]
    return [ListTakenIn(on=origin.on, list_id=origin.list_id, way=origin.way, counts=tuple(counts))] if counts else []


def _counts(
    key: tuple[Source | None, str | None],
    outcomes: Counter[str] | None,
    rejected: Counter[str] | None,
    warnings: Counter[str] | None,
) -> RowCounts:
    outcomes, rejected, warnings = outcomes or Counter(), rejected or Counter(), warnings or Counter()
    return RowCounts(
        source=key[0],
        campaign=key[1],
        rows=outcomes.total() + rejected.total(),
        accepted=outcomes["accepted"],
        matched=outcomes["matched"],
        disputed=outcomes["disputed"],
        repeated=outcomes["repeated"],
        rejected=dict(sorted(rejected.items())),
        warnings=dict(sorted(warnings.items())),
    )
