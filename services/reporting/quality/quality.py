"""How good what comes in is: figures of lists, disputes and dead letters, and how fresh all of it is."""

import asyncio
from calendar import monthrange
from datetime import date
from time import monotonic
from typing import Any, Final, NamedTuple, get_args

import msgspec

from services.reporting import generations
from services.reporting.answers import Answers
from services.reporting.generations import Generation
from services.reporting.quality import reading
from services.reporting.quality.counts import Affairs, LastSeen, Rows, Shown, affairs_view, by_code, rows_view, silence
from services.reporting.quality.reading import UNREADABLE, Span
from services.reporting.queries import IndicatorsQuery
from shared.clock import Clock
from shared.events.base import Source
from shared.mongo import Mongo
from shared.problems import Problem

SOURCES: Final[tuple[str, ...]] = get_args(Source)


class Quality:
    """The state of the data's quality for the reader that `answers` answers.

    `silent_after_days`: an upstream base that was not heard of for longer counts as silent. `age_s`: how long what was
    read is given again, so that the store is asked once however many ask.
    """

    def __init__(
        self,
        mongo: Mongo,
        answers: Answers,
        service: str,
        *,
        clock: Clock,
        silent_after_days: int,
        age_s: float,
    ) -> None:
        self._mongo = mongo
        self._answers = answers
        self._service = service
        self._clock = clock
        self._silent_after_days = silent_after_days
        self._age_s = age_s
        self._kept: dict[Span, tuple[float, _Found]] = {}
        self._reading = asyncio.Lock()

    async def state(self, first: date | None = None, last: date | None = None) -> dict[str, Any]:
        """What came in from the first day to the last, both included, and how all stands now; see `api.QualityState`.

        Lists count by the day they were read, disputes and dead letters by the day they began. Silence and freshness
        are of now. Problems (422): `period_upside_down`; `period_not_whole_months` for readers outside.
        """
        span, reader = (first, last), self._answers.reader
        _refuse(span, outside=not reader.is_staff)
        shown = Shown(everything=reader.is_staff)
        rows, seen, disputes, letters = await self._found(span)
        now = self._clock()
        today = now.date()
        false_positives = await self._false_positives(first, last)
        edition = await self._answers.edition()
        return {
            "as_of": now,
            "from": first,
            "to": last,
            "lists_silent_after_days": self._silent_after_days,
            "topics": msgspec.json.decode(edition.sources),
            "sources": [
                {
                    "source": source,
                    "last_on": seen[source].on if source in seen else None,
                    "last_campaign": seen[source].campaign if source in seen else None,
                    "silence_days": (days := silence(seen.get(source), today)),
                    "silent": source in SOURCES and days is not None and days > self._silent_after_days,
                    **rows_view(rows.get(source, Rows()), shown),
                    **false_positives.get(source, _NO_FALSE_POSITIVES),
                }
                for source in (*SOURCES, *([UNREADABLE] if UNREADABLE in seen else []))
            ],
            "rejected": by_code([each.rejected for each in rows.values()], shown),
            "warnings": by_code([each.warnings for each in rows.values()], shown),
            "disputes": affairs_view(disputes, "opened", today, shown),
            "dead_letters": [
                {"service": service, "code": code, **affairs_view(affairs, "kept", today, shown)}
                for (service, code), affairs in sorted(letters.items())
            ],
        }

    async def silences(self) -> dict[str, int]:
        """For how many days each upstream base has not been heard of; without those never heard of."""
        seen = await reading.last_seen(self._mongo, await generations.live(self._mongo))
        today = self._clock().date()
        return {source: days for source in SOURCES if (days := silence(seen.get(source), today)) is not None}

    async def _found(self, span: Span) -> "_Found":
        """What is noted of that span, at most `age_s` old."""
        async with self._reading:
            at, found = self._kept.pop(span, (0.0, None))
            if found is None or monotonic() > at + self._age_s:
                at, found = monotonic(), await self._read(span)
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[span] = at, found
            return found

    async def _read(self, span: Span) -> "_Found":
        of = await generations.live(self._mongo)
        while True:
            found = await self._read_of(of, span)
            live = await generations.live(self._mongo)
            if live == of:
                return found
            of = live  # a rebuild has switched, and may have dropped what was being read

    async def _read_of(self, of: Generation, span: Span) -> "_Found":
        mongo = self._mongo
        letters = await reading.told_dead_letters(mongo, of, span)
        letters |= await reading.own_dead_letters(mongo, self._service, span)
        return _Found(
            await reading.rows(mongo, of, span),
            await reading.last_seen(mongo, of),
            await reading.disputes(mongo, of, span),
            letters,
        )

    async def _false_positives(self, first: date | None, last: date | None) -> dict[str, dict[str, Any]]:
        """Of those whom each upstream base was the first to name in those days, how many were dismissed."""
        query = IndicatorsQuery.model_validate({"view": ("cohort",), "from": first, "to": last})
        edition = await self._answers.edition()
        [row] = self._answers.rows(query, edition)
        return {
            source: {
                "detected": counts["detected"],
                "dismissed": counts["dismissed"],
                "false_positive_rate": counts["rate"],
            }
            for source, counts in (row["cohort"].get("false_positives") or {}).items()
        }


class _Found(NamedTuple):
    """What is noted."""

    rows: dict[str, Rows]
    seen: dict[str, LastSeen]
    disputes: Affairs
    letters: dict[tuple[str, ...], Affairs]


_MOST_KEPT: Final = 16
_NO_FALSE_POSITIVES: Final = {"detected": None, "dismissed": None, "false_positive_rate": None}


def _refuse(span: Span, *, outside: bool) -> None:
    first, last = span
    if first is not None and last is not None and first > last:
        raise Problem(422, "period_upside_down", f"`from` ({first}) is after `to` ({last}); swap them or mend one")
    begins = first is None or first.day == 1
    ends = last is None or last.day == monthrange(last.year, last.month)[1]
    if outside and not (begins and ends):
        raise Problem(
            422,
            "period_not_whole_months",
            "outside the académies, only whole months are shown: begin on the first day of a month, end on a last one",
        )
