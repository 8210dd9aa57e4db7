"""History: figures as they were known, what made them others since, and who is behind them."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from typing import Any, Final

import msgspec

from services.reporting import deltas
from services.reporting.answers import Answers, Edition
from services.reporting.figures import Level, Period, Unit
from services.reporting.freshness import Partition
from services.reporting.history import jobs, store
from services.reporting.history.asked import Asked, Wanted, period_of
from services.reporting.history.cuts import Cut, end_of
from services.reporting.history.decoding import Trace
from services.reporting.history.desk import Desk
from services.reporting.history.differences import Side
from services.reporting.history.explanations import Explanation, counts_of, events_of, rows_of
from services.reporting.history.lineage import Key
from services.reporting.history.process import LogProcess
from services.reporting.history.readings import Past, Readings, summed
from services.reporting.indicators import View
from services.reporting.queries import IndicatorsQuery
from services.reporting.settings import ReportingSettings
from services.reporting.sums import Sums
from shared.bus import Log
from shared.clock import Clock
from shared.mongo import Mongo
from shared.problems import Problem

_MOST_KEPT: Final = 16
_WINDOW: Final = 2_000
"""How many youths or events a pass brings back: the next pages come without another one."""


@dataclass(slots=True)
class Window:
    """A part of a long list, brought back by one pass over the log: what follows `after`. `token` names the list."""

    token: str
    job: jobs.LineageJob | jobs.DifferenceJob
    after: tuple[int, str] | None
    found: jobs.Lineage | jobs.Difference


@dataclass(slots=True)
class _Shown:
    past: Past
    sources: bytes
    networks: dict[str, str]
    edition: Edition


class History:
    """Asks the log. `topics` are name on the broker -> name of the design."""

    def __init__(
        self,
        mongo: Mongo,
        answers: Answers,
        broker_log: Log,
        settings: ReportingSettings,
        topics: Mapping[str, str],
        *,
        clock: Clock,
    ) -> None:
        self.names = topics
        self._mongo = mongo
        self._answers = answers
        self._log = broker_log
        self._lapse_days = settings.lapse_days
        self._clock = clock
        self._process = LogProcess(settings)
        self._desk = Desk(settings.history_patience_s)
        self._readings = Readings(
            mongo,
            broker_log,
            list(topics),
            self._process,
            self._desk,
            clock=clock,
            age_s=settings.history_age_s,
        )
        self._shown: OrderedDict[date, _Shown] = OrderedDict()
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._moves = 0

    async def run(self) -> None:
        """Hold the process that reads the log for as long as the service runs, and end it then."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._desk.close()
            await self._process.close()

    async def edition(self, query: IndicatorsQuery) -> Edition:
        """What `Answers` answers from, as it was known at the end of the query's day; today, as it is known now.

        Problem 403 where the reader does not see all of what is asked for.
        """
        await self.permit(query.by, query.code)
        return await self._edition(query.as_of or self._clock().date())

    async def permit(self, levels: Sequence[Level], codes: Sequence[str]) -> None:
        """Problem 403 where the reader does not see all of these units: no codes are all of a level.

        Two days' figures, though each hides its small counts, would show them in their difference.
        """
        if not await self.sees_all_of(levels, codes):
            raise Problem(
                403,
                "history_not_for_you",
                "this is for those who see all of the units asked for: give `by` and `code` of your own académie, or "
                "read the published bilans and the open data",
            )

    async def sees_all_of(self, levels: Sequence[Level], codes: Sequence[str]) -> bool:
        """Whether the reader sees all of these units; no codes are all of a level."""
        reader = self._answers.reader
        if reader.sees_everything:
            return True
        if "national" in levels or not codes:
            return False
        sums = (await self._answers.edition()).figures.sums
        within = [
            {code} if level == "academie" else sums.academies_of((level, code)) for level in levels for code in codes
        ]
        return all(within) and all(reader.sees_all_of(academie) for of in within for academie in of)

    async def _edition(self, day: date) -> Edition:
        self.refuse_future(day)
        if day == self._clock().date():
            return await self._answers.edition()
        past = await self._readings.of(day)
        live = await self._answers.edition()
        shown = self._shown.get(day)
        same = shown is not None and shown.past is past and shown.networks == live.figures.networks
        if shown is not None and same and shown.sources == live.sources:
            return shown.edition
        if not same:
            self._moves -= 1  # the board's are never less than 0
        moves = shown.edition.moves if shown is not None and same else self._moves
        edition = Edition(live.began, moves, end_of(day), replace(live.figures, sums=past.sums), live.sources)
        self._shown[day] = _Shown(past, live.sources, dict(live.figures.networks), edition)
        while len(self._shown) > _MOST_KEPT:
            self._shown.popitem(last=False)
        return edition

    async def sums(self, cut: Cut) -> Sums:
        """All figures of a cut. Problem `log_made_anew` where its positions belong to another log."""
        ends = await self._ends(cut)
        job = jobs.SumsJob(ends, cut)

        async def count() -> Sums:
            result = await self._process.do(job)
            if not isinstance(result, jobs.Sums):
                raise TypeError(f"no figures: {type(result).__name__}")
            return await summed([deltas.of_document(piece) for piece in result.pieces])

        return await self._desk.get(_token(job), count)

    async def explain(
        self,
        before: Cut,
        after: Cut,
        units: Sequence[Unit],
        period: Period,
        views: tuple[View, ...],
        *,
        late_until: date | None = None,
        most: int = 500,
    ) -> Explanation:
        """Why the units' figures differ between two cuts, with the first `most` events that made the difference.

        An event is late when it happened until `late_until`; without it, until the period's end. Problem
        `log_made_anew` where positions belong to another log, `being_computed` where it takes longer than patience.
        """
        levels: tuple[Level, ...] = tuple(dict.fromkeys(level for level, _ in units))
        first, last = period_of(period)
        asked = Asked(levels, tuple(units), first, last, views)
        found = difference_of(await self.difference(before, after, asked, late_until=late_until))
        return Explanation(
            rows=rows_of(found, views),
            counts=counts_of(found),
            events=events_of(found.events[:most], self.names),
            total=sum(kind[3] for kind in found.kinds),
            youths=found.youths,
        )

    async def difference(self, before: Cut, after: Cut, asked: Asked, *, late_until: date | None = None) -> Window:
        """The same as a window of all events that made the difference."""
        ends = await self._ends(before, after)
        old, new = (Side(cut, self._lapse(cut)) for cut in (before, after))
        until = asked.last if late_until is None else late_until.toordinal()
        return await self._window(jobs.DifferenceJob(ends, old, new, asked, until, None, _WINDOW), None)

    async def lineage(self, wanted: Wanted, *, as_of: date | None = None) -> Window:
        """The youths behind a figure, now or as it was known at the end of a day: a window of them."""
        if as_of is None or as_of == self._clock().date():
            cut = await self.now()
            ends = await self._ends(cut)
        else:
            ends = await self._ends()
            cut = Cut(positions=ends, recorded_until=end_of(as_of))
        return await self._window(jobs.LineageJob(ends, cut, wanted, self._lapse(cut), None, _WINDOW), None)

    async def now(self) -> Cut:
        """Everything that is in the live figures."""
        edition = await self._answers.edition()
        applied = edition.figures.positions
        return Cut(positions={partition: position.next_offset for partition, position in applied.items()})

    async def page(self, window: Window, after: tuple[int, str] | None, limit: int) -> tuple[list[Any], bool]:
        """At most `limit` of a window's list that follow `after`, and whether there are more."""
        items: list[tuple[tuple[int, str], Any]] = []
        more = True
        at = after
        while more and len(items) < limit:
            if not _covers(window, at):
                window = await self._window(window.job, at)
            found = _listed(window.found)
            following = [item for item in found if at is None or item[0] > at]
            items += following
            more = window.found.more
            if not following:
                break
            at = following[-1][0]
        return [item for _, item in items[:limit]], more or len(items) > limit

    def known(self, token: str) -> Window | None:
        """The window of a list that was asked for before, if it is still kept."""
        return self._windows.get(token)

    def refuse_future(self, day: date) -> None:
        """Problem 422 where the day is not over and not today."""
        today = self._clock().date()
        if day > today:
            raise Problem(
                422, "as_of_in_future", f"`as_of` ({day}) is after today ({today}, UTC); give a day until then"
            )

    async def _window(self, job: jobs.LineageJob | jobs.DifferenceJob, after: tuple[int, str] | None) -> Window:
        token = _token(job)
        kept = self._windows.get(token)
        if kept is not None and _covers(kept, after):
            self._windows.move_to_end(token)
            return kept

        async def read() -> Window:
            found = await self._process.do(msgspec.structs.replace(job, after=after))
            if not isinstance(found, jobs.Lineage | jobs.Difference):
                raise TypeError(f"no list: {type(found).__name__}")
            window = self._windows[token] = Window(token, job, after, found)
            self._windows.move_to_end(token)
            while len(self._windows) > _MOST_KEPT:
                self._windows.popitem(last=False)
            return window

        return await self._desk.get((token, after), read)

    async def _ends(self, *cuts: Cut) -> dict[Partition, int]:
        """How far the log is to be read for these cuts: to its end, but where all of them end before."""
        ends = dict(await self._log.end_offsets(list(self.names)))
        for cut in cuts:
            beyond = cut.positions is not None and any(
                upto > ends.get(partition, 0) for partition, upto in cut.positions.items()
            )
            if beyond or (cut.had_at is not None and await store.made_anew_since(self._mongo, cut.had_at)):
                raise made_anew()
        if cuts and all(cut.positions is not None for cut in cuts):
            upto = [cut.positions or {} for cut in cuts]
            ends = {partition: max(of.get(partition, 0) for of in upto) for partition in ends}
        return ends

    def _lapse(self, cut: Cut) -> int:
        """The day before which a last verification had lapsed when the cut was made."""
        moment = cut.recorded_until or cut.had_at or self._clock()
        return moment.date().toordinal() - self._lapse_days


def made_anew() -> Problem:
    """The log is not the one that was read then, or no longer all of it."""
    return Problem(
        409,
        "log_made_anew",
        "the log was made anew since then, so positions in it say nothing, or it does not hold all that was applied: "
        "publish the journals again (foquale republish), and ask by day (`as_of`), which goes by the time of recording",
    )


def difference_of(window: Window) -> jobs.Difference:
    """What a window of a difference holds."""
    if not isinstance(window.found, jobs.Difference):
        raise TypeError(f"no difference: {type(window.found).__name__}")
    return window.found


def lineage_of(window: Window) -> jobs.Lineage:
    """What a window of a lineage holds."""
    if not isinstance(window.found, jobs.Lineage):
        raise TypeError(f"no lineage: {type(window.found).__name__}")
    return window.found


def _token(job: jobs.SumsJob | jobs.LineageJob | jobs.DifferenceJob) -> str:
    return blake2b(jobs.encode(job), digest_size=12).hexdigest()


def _listed(found: jobs.Lineage | jobs.Difference) -> list[tuple[tuple[int, str], Any]]:
    """The items of a list with their keys, in its order."""
    if isinstance(found, jobs.Lineage):
        items: list[tuple[Key, list[Trace]]] = found.items
        return [(key, (key, traces)) for key, traces in items]
    return [((trace.time, trace.id), trace) for trace in found.events]


def _covers(window: Window, after: tuple[int, str] | None) -> bool:
    """Whether what follows `after` is in the window, or it is the end of the list."""
    if after is None:
        return window.after is None
    if window.after is not None and window.after > after:
        return False
    listed = _listed(window.found)
    return not window.found.more or (bool(listed) and listed[-1][0] > after)
