"""The answer to a query: one snapshot of the figures, the units it lists, and how fresh it is."""

import asyncio
from calendar import monthrange
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import structlog

from services.reporting import cells, freshness
from services.reporting.figures import Period, figures, has_figures
from services.reporting.freshness import Partition
from services.reporting.indicators import DEFINITION_VERSION
from services.reporting.queries import IndicatorsQuery
from services.reporting.units import Units, suggestions
from shared.bus import BusError, Log
from shared.clock import Clock
from shared.mongo import Mongo
from shared.problems import Problem

log = structlog.get_logger(__name__)

_BROKER_PATIENCE_S = 1.0


class Answers:
    """Answers queries for figures. `topics` are name on the broker -> name of the design."""

    def __init__(self, mongo: Mongo, broker_log: Log, units: Units, topics: Mapping[str, str], clock: Clock) -> None:
        self._mongo = mongo
        self._broker_log = broker_log
        self._units = units
        self._topics = topics
        self._clock = clock

    async def __call__(self, query: IndicatorsQuery) -> dict[str, Any]:
        """The figures that the query asks for, all of one moment."""
        period = query.period()
        as_of = self._clock()
        snapshot = await cells.read(self._mongo, query.by, period, query.code)
        ends = await self._ends()
        return {
            "as_of": as_of,
            "definition_version": DEFINITION_VERSION,
            "sources": freshness.sources(self._topics, snapshot.positions, ends),
            "rows": self._rows(query, _closed(period, snapshot.span, as_of), snapshot),
        }

    def _rows(self, query: IndicatorsQuery, period: Period, snapshot: cells.Snapshot) -> list[dict[str, Any]]:
        labels = {level: self._units.labels(level, period, snapshot.networks) for level in query.by}
        counting = {
            level: {code for (of, code), tally in snapshot.tallies.items() if of == level and has_figures(tally)}
            for level in query.by
        }
        wanted = set(query.code)
        known = set[str]().union(*labels.values(), *counting.values())
        _refuse_unknown(sorted(wanted - known), list(labels.values()))
        rows: list[dict[str, Any]] = []
        for level in query.by:
            listed = counting[level] | self._units.always(level, period, snapshot.networks)
            if wanted:
                listed = wanted & (listed | set(labels[level]))
            rows.extend(
                {
                    "by": level,
                    "code": code,
                    "label": labels[level].get(code, code),
                    **figures(snapshot.tallies.get((level, code), Counter()), query.view),
                }
                for code in sorted(listed)
            )
        return rows

    async def _ends(self) -> Mapping[Partition, int] | None:
        try:
            async with asyncio.timeout(_BROKER_PATIENCE_S):
                return await self._broker_log.end_offsets(list(self._topics))
        except (BusError, OSError, TimeoutError) as error:
            log.warning("lag_unknown", error=repr(error))
            return None


def _closed(period: Period, span: tuple[str, str] | None, now: datetime) -> Period:
    """The period with its open ends at the first and the last month with figures; where there are none, today."""
    today = now.date()
    begin = date.fromisoformat(f"{span[0]}-01") if span else today
    end = _last_day(span[1]) if span else today
    if period.first is None and period.last is None:
        return Period(begin, end)
    if period.first is None:
        return Period(min(begin, period.last or begin), period.last)
    return period if period.last is not None else Period(period.first, max(end, period.first))


def _last_day(month: str) -> date:
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, monthrange(year, number)[1])


def _refuse_unknown(codes: Sequence[str], labels: Sequence[Mapping[str, str]]) -> None:
    if not codes:
        return
    hints = []
    for code in codes:
        close = suggestions(code, labels)
        hints.append(f"{code!r}: did you mean {', '.join(close)}?" if close else f"{code!r}: nothing is close to it")
    raise Problem(
        422,
        "unknown_code",
        f"`code` holds units that the levels in `by` do not have ({' '.join(hints)})",
        errors=[{"in": "query", "field": "code", "code": "unknown_code", "value": code} for code in codes],
    )
