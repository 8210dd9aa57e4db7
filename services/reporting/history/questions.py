"""The questions that are asked over HTTP, answered as plain data, page by page; who looks at youths is written down."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from typing import Any, Final

import msgspec
from pydantic import Field

from services.reporting.answers import Answers
from services.reporting.figures import Level, Unit
from services.reporting.history import store
from services.reporting.history.asked import Asked, Wanted, indicators_of, period_of
from services.reporting.history.cuts import Cut, end_of
from services.reporting.history.explanations import counts_of, events_of, rows_of
from services.reporting.history.history import History, Window, difference_of, lineage_of
from services.reporting.history.jobs import DifferenceJob, LineageJob
from services.reporting.indicators import DEFINITION_VERSION, View
from services.reporting.queries import CurveQuery, Day, IndicatorsQuery
from shared.clock import Clock
from shared.mongo import Document, Mongo
from shared.problems import Problem

_MOST: Final = 500
_Place = tuple[int, str]
_Cursor = tuple[str, int, str]
"""The list's token, and the key of the last item seen."""
_cursor: Final = msgspec.msgpack.Decoder(_Cursor).decode


class DifferenceQuery(IndicatorsQuery):
    """As for the indicators; `as_of` is the day to compare with now."""

    as_of: Day = Field(description="The day to compare with now: figures as they were known at its end (UTC).")
    cursor: str | None = Field(None, max_length=512, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=_MOST, description="Most events of a page.")


class LineageQuery(CurveQuery):
    """One figure: an indicator of a view of one unit, over a period."""

    view: View = Field("activity", description="activity or cohort.")
    indicator: str = Field(
        max_length=100,
        description="A count of the view: a code, `dismissed:` and a source; of cohorts also `size`, a delay (its n), "
        "`detected:` and a source.",
    )
    as_of: Day | None = Field(None, description="The figure as it was known at the end of this day (UTC).")
    cursor: str | None = Field(None, max_length=512, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=_MOST, description="Most youths of a page.")


class Questions:
    """Answers them. Problems: `*_not_for_you` where the reader does not see all of the units, those of `History`."""

    def __init__(self, history: History, answers: Answers, mongo: Mongo, *, clock: Clock) -> None:
        self._history = history
        self._answers = answers
        self._mongo = mongo
        self._clock = clock

    async def difference(self, query: DifferenceQuery) -> dict[str, Any]:
        """Figures as they were known at the end of a day, as they are known now, and the events in between."""
        history = self._history
        history.refuse_future(query.as_of)
        await history.permit(query.by, query.code)
        await self._refuse_unknown(query.by, query.code)
        token, after = _read(query.cursor)
        window = None if token is None else history.known(token)
        units: tuple[Unit, ...] = tuple((level, code) for level in query.by for code in query.code)
        asked = Asked(query.by, units, *period_of(query.period()), query.view)
        then = end_of(query.as_of)
        if window is None:
            now = await history.now()
            before = Cut(positions=now.positions, recorded_until=then)
            window = await history.difference(before, now, asked, late_until=query.as_of)
        job = window.job
        if not isinstance(job, DifferenceJob) or job.asked != asked or job.old.cut.recorded_until != then:
            raise _other_list()
        found = difference_of(window)
        traces, more = await history.page(window, after, query.limit)
        last = traces[-1] if traces else None
        await self._note("difference", query, count=found.youths, shown=len(traces))
        return {
            "as_of": end_of(query.as_of),
            "now": self._clock(),
            "definition_version": DEFINITION_VERSION,
            "rows": rows_of(found, query.view),
            "counts": counts_of(found),
            "total": sum(kind[3] for kind in found.kinds),
            "youths": found.youths,
            "events": events_of(traces, history.names),
            "next": _written(window, (last.time, last.id)) if more and last is not None else None,
        }

    async def lineage(self, query: LineageQuery) -> dict[str, Any]:
        """The pseudonymous youths behind a figure, each with the events that are known of him."""
        history = self._history
        known = indicators_of(query.view)
        if query.indicator not in known:
            raise Problem(
                422,
                "unknown_indicator",
                f"{query.indicator!r} is no count of the view {query.view}; there are {', '.join(known)}",
                errors=[{"in": "query", "field": "indicator", "code": "unknown_indicator", "value": query.indicator}],
            )
        if query.as_of is not None:
            history.refuse_future(query.as_of)
        if not await history.sees_all_of((query.by,), (query.code,)):
            raise Problem(
                403,
                "lineage_not_for_you",
                "the youths behind a figure are shown to who sees all of the unit: ask for one of your own académie",
            )
        await self._refuse_unknown((query.by,), (query.code,))
        token, after = _read(query.cursor)
        window = None if token is None else history.known(token)
        wanted = Wanted((query.by, query.code), query.indicator, query.view, *period_of(query.period()))
        if window is None:
            window = await history.lineage(wanted, as_of=query.as_of)
        if not isinstance(window.job, LineageJob) or window.job.wanted != wanted:
            raise _other_list()
        found = lineage_of(window)
        items, more = await history.page(window, after, query.limit)
        await self._note("lineage", query, count=found.count, shown=len(items))
        return {
            "indicator": query.indicator,
            "view": query.view,
            "by": query.by,
            "code": query.code,
            "definition_version": DEFINITION_VERSION,
            "as_of": end_of(query.as_of) if query.as_of is not None else self._clock(),
            "count": found.count,
            "items": [
                {
                    "youth_id": youth_id,
                    "on": date.fromordinal(day),
                    "events": events_of(traces, history.names),
                }
                for (day, youth_id), traces in items
            ],
            "next": _written(window, items[-1][0]) if more and items else None,
        }

    async def reads(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Who looked at what, the last first. Problem 403 for who is not staff."""
        reader = self._answers.reader
        if not reader.sees_everything:
            raise Problem(403, "lineage_not_for_you", "only national staff read who looked at youths")
        rows, following = await store.reads(self._mongo, cursor, limit)
        items = [{"read_id": row["_id"], **{name: row[name] for name in _READ}} for row in rows]
        return {"items": items, "next": following}

    async def _refuse_unknown(self, levels: tuple[Level, ...], codes: tuple[str, ...]) -> None:
        query = IndicatorsQuery.model_validate({"by": levels, "code": codes, "view": "activity"})
        self._answers.rows(query, await self._answers.edition())

    async def _note(self, kind: str, query: DifferenceQuery | LineageQuery, *, count: int, shown: int) -> None:
        reader = self._answers.reader
        who = f"{reader.kind}:{reader.academie}" if reader.academie else reader.kind
        what: Document = {"question": kind, **query.model_dump(mode="json", by_alias=True, exclude={"cursor", "limit"})}
        await store.note_read(self._mongo, self._clock(), who, what, count=count, shown=shown)


_READ: Final = ("at", "reader", "what", "count", "shown")


def _other_list() -> Problem:
    return Problem(422, "bad_cursor", "`cursor` is the `next` of another question; ask the same again, or without one")


def _written(window: Window, place: _Place) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode((window.token, *place))).decode().rstrip("=")


def _read(cursor: str | None) -> tuple[str | None, _Place | None]:
    """The list's token and the last item seen."""
    if cursor is None:
        return None, None
    try:
        token, place, key = _cursor(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.MsgspecError):
        raise Problem(422, "bad_cursor", "`cursor` is not the `next` of a page before; begin without one") from None
    return token, (place, key)
