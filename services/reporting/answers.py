"""The answer to a query, ready to be sent: figures out of memory, the units it lists, and how fresh they are.

Everything is answered from an *edition*: the figures of one moment, which hold for `answer_age_s`, or less where there
is news. So answers agree with each other, and a query that comes again costs nothing. How fresh they are is told as of
`answer_age_s` ago at most, and never fresher than they are: the broker is asked once however many ask.
"""

import asyncio
from calendar import monthrange
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

import msgspec
import numpy as np
import structlog

from services.reporting import curves, freshness, hiding, small_cells
from services.reporting.board import Board, Figures
from services.reporting.definitions import Registry
from services.reporting.figures import Level, Period
from services.reporting.freshness import Partition
from services.reporting.indicators import DEFINITION_VERSION
from services.reporting.measures import NUMBERS
from services.reporting.months import Numbers
from services.reporting.queries import IndicatorsQuery
from services.reporting.readers import NATIONAL, Reader
from services.reporting.rows import views_of
from services.reporting.squeezing import Body
from services.reporting.sums import Delays, Sums, Tallies
from services.reporting.units import Units, suggestions
from shared.bus import BusError, Log
from shared.clock import Clock
from shared.mongo import StoreError
from shared.observability import describe
from shared.problems import Problem

log = structlog.get_logger(__name__)

_BROKER_PATIENCE_S: Final = 1.0
_MOST_KEPT: Final = 64
_MOST_PATTERNS: Final = 4
_LONGER: Final = 4
_LONGEST: Final = 10
"""An edition holds `_LONGER` times as long as its answers took to make, up to `_LONGEST` times `answer_age_s`: many
different queries while much comes in leave time for everything else.
"""

_SOONER: Final = 0.25
"""Of `answer_age_s`, how long an edition holds at least when there is news."""
_REST: Final = 1.0
"""After an answer was made behind its readers, for so many times as long none is."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What all answers of a moment share. `began` is monotonic, `moves` the board's."""

    began: float
    moves: int
    as_of: datetime
    figures: Figures
    sources: bytes


@dataclass(frozen=True, slots=True)
class _Sources:
    """How fresh the figures were, as it is sent, at this moment (monotonic)."""

    at: float
    told: bytes


@dataclass(slots=True, eq=False)
class Answer:
    """A query's answer as it is sent: `body` is JSON. `etag` is the same for as long as nothing but `as_of` differs."""

    query: IndicatorsQuery
    edition: Edition | None = None
    body: Body = field(default_factory=Body)
    etag: bytes = b""
    rows: bytes = b""
    rows_of: tuple[int, date] | None = None
    """The moves of the board and the day that `rows` are of."""
    renewal: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A pattern, the figures (`of`: their moves and day) that it is of, and until when it holds while they move."""

    sums: Sums
    of: tuple[int, date]
    until: float
    pattern: small_cells.Pattern


class Answers:
    """Answers queries for figures. `topics` are name on the broker -> name of the design."""

    def __init__(
        self,
        board: Board,
        broker_log: Log,
        units: Units,
        topics: Mapping[str, str],
        *,
        definitions: Registry,
        clock: Clock,
        answer_age_s: float,
        lapse_days: int = 90,
        small_cells_age_s: float = 0.0,
        reader: Reader = NATIONAL,
    ) -> None:
        self._board = board
        self._broker_log = broker_log
        self._units = units
        self._topics = topics
        self._clock = clock
        self._age_s = answer_age_s
        self.definitions = definitions
        self.lapse_days = lapse_days
        self.reader = reader
        self._small_cells_age_s = small_cells_age_s
        self._patterns: list[_Kept] = []
        self.past: Callable[[IndicatorsQuery], Awaitable[Edition]] = _no_past
        """Gives the edition of a query that asks for figures as they were known at the end of a day (`as_of`)."""
        self._edition: Edition | None = None
        self._making_s = 0.0  # what the edition's answers took so far
        self._editing = asyncio.Lock()
        self._behind = asyncio.Lock()
        self._sources: _Sources | None = None
        self._broker_away_until = 0.0
        self._kept: dict[bytes, Answer] = {}
        self._first: dict[bytes, Answer] = {}

    async def __call__(self, query: IndicatorsQuery, written: bytes | None = None) -> Answer:
        """The figures that the query asks for; kept for when the same comes again as `written`. Who asks meanwhile
        gets the same one.
        """
        answer = Answer(query)
        if written is None:
            await self._make(answer)
            return answer
        answer = self._first.setdefault(written, answer)
        try:
            await self._make(answer)
        finally:
            self._first.pop(written, None)
        self._kept.pop(written, None)
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[written] = answer
        return answer

    def known(self, written: bytes) -> Answer | None:
        """The answer that was last given to a query written so; to be renewed before it is given again."""
        return self._kept.get(written)

    def holds(self, answer: Answer) -> bool:
        """Whether the answer may be given again: it is of the edition of now, or of a moment ago and another is being
        made, so that nobody waits for what others asked as well.
        """
        now, edition = monotonic(), answer.edition
        if self._age_s and edition is not None and edition is self._edition and self._editing.locked():
            return True  # one waits for the next edition, and nobody else
        if edition is None or answer.query.as_of is not None or now >= edition.began + self._age_s * _LONGEST:
            return False
        if (edition is not self._edition or not self._is_of_now(edition)) and answer.renewal is None:
            answer.renewal = asyncio.create_task(self._make_behind(answer))
        return True

    async def renew(self, answer: Answer) -> None:
        """See to it that the answer may be given again."""
        if not self.holds(answer):
            await self._make(answer)

    async def _make_behind(self, answer: Answer) -> None:
        """Make it anew while the last one is still being given; one answer after the other, and with rests."""
        try:
            async with self._behind:
                began = monotonic()
                await self._make(answer)
                await asyncio.sleep((monotonic() - began) * _REST)
        except (Problem, StoreError) as error:
            log.info("answer_not_renewed", error=describe(error))  # whoever asks once it is old is told
        finally:
            answer.renewal = None

    async def _make(self, answer: Answer) -> None:
        """Make the answer one of the edition of now."""
        edition = await (self.edition() if answer.query.as_of is None else self.past(answer.query))
        if answer.edition is edition:
            return
        rows_of = edition.moves, edition.as_of.date()
        if answer.rows_of != rows_of:
            began = monotonic()
            answer.rows = msgspec.json.encode(self.rows(answer.query, edition))
            answer.rows_of = rows_of
            self._making_s += monotonic() - began
        head = b'{"as_of":%b,"definition_version":%d,' % (msgspec.json.encode(edition.as_of), DEFINITION_VERSION)
        period = answer.query.period()
        breaks = msgspec.json.encode(self.definitions.breaks(period.first, period.last))
        settled = b'"lapse_days":%d,"breaks":%b,' % (self.lapse_days, breaks)
        rest = b'%b"sources":%b,"rows":%b}' % (settled, edition.sources, answer.rows)
        if answer.body.write(rest, head):
            answer.etag = b'W/"%d-%b"' % (DEFINITION_VERSION, blake2b(rest, digest_size=12).hexdigest().encode())
        answer.edition = edition

    async def edition(self) -> Edition:
        """The edition of now. Its figures move on once something else is awaited: use them at once."""
        edition = self._edition
        while edition is None or not self._is_of_now(edition):
            edition = await self._next_edition()
            if edition.moves == self._board.moves:
                break  # however short it holds: nothing moves until this is done
        return edition

    def _is_of_now(self, edition: Edition) -> bool:
        shortest_s = self._age_s * _SOONER if self._board.has_news else self._age_s
        age_s = min(max(shortest_s, self._making_s * _LONGER), self._age_s * _LONGEST)
        return edition.moves == self._board.moves and monotonic() < edition.began + age_s

    async def _next_edition(self) -> Edition:
        asked = monotonic()
        async with self._editing:
            edition = self._edition
            # Whoever waited takes what was begun after he asked, however short its age.
            while edition is None or not (self._is_of_now(edition) or edition.began >= asked):
                edition = self._edition = await self._edit()
                self._making_s = 0.0
            return edition

    async def _edit(self) -> Edition:
        began = monotonic()
        figures = await self._board.figures()
        sources = self._sources
        if sources is None or began >= sources.at + self._age_s:
            self._board.settle()
            ends = await self._ends()  # asked after the figures, so that no lag is less than nothing
            told = msgspec.json.encode(freshness.sources(self._topics, figures.positions, ends))
            sources = self._sources = _Sources(began, told)
        self._board.settle()
        return Edition(began, self._board.moves, self._clock(), figures, sources.told)

    async def _ends(self) -> Mapping[Partition, int] | None:
        if monotonic() < self._broker_away_until:
            return None
        try:
            async with asyncio.timeout(_BROKER_PATIENCE_S):
                return await self._broker_log.end_offsets(list(self._topics))
        except (BusError, OSError, TimeoutError) as error:
            log.warning("lag_unknown", error=describe(error))
            self._broker_away_until = monotonic() + _BROKER_PATIENCE_S
            return None

    def rows(self, query: IndicatorsQuery, edition: Edition, reader: Reader | None = None) -> list[dict[str, Any]]:
        """The rows of the answer, as plain data (`api.Row`), with what the reader may not see hidden: that of the
        service where none is given.

        Pages, bilans and exports take their figures from here as well, so that all show the same.
        """
        reader = reader or self.reader
        sums, networks = edition.figures.sums, edition.figures.networks
        sums.lapse(edition.as_of.date().toordinal() - self.lapse_days)
        asked = query.period()
        all_own = all(self._is_own(level, query.code, edition, reader) for level in query.by)
        pattern = None if all_own else self._pattern(edition)
        closed = asked.first is not None and asked.last is not None
        period = asked if closed else _closed(asked, sums.span(), edition.as_of.date())
        labels = {level: self._units.labels(level, period, networks) for level in query.by}
        tallies = {level: sums.tallies(level, asked, query.code, delays="cohort" in query.view) for level in query.by}
        counting = {level: _counting(found) for level, found in tallies.items()}
        wanted = set(query.code)
        known = set[str]().union(*labels.values(), *counting.values())
        _refuse_unknown(sorted(wanted - known), list(labels.values()))
        rows: list[dict[str, Any]] = []
        for level, found in tallies.items():
            listed = counting[level] | self._units.always(level, period, networks)
            if wanted:
                listed = wanted & (listed | set(labels[level]))
            codes = sorted(listed)
            counts, delays = _listed(found, codes)
            units = [(level, code) for code in codes]
            mine = [self._is_own(level, (code,), edition, reader) for code in codes]
            if pattern is not None:
                counts = np.where(np.array(mine, np.bool_)[:, None], counts, pattern.counts(units, asked))
            of_level = [
                {"by": level, "code": code, "label": labels[level].get(code, code), **view}
                for code, view in zip(codes, views_of(counts, delays, query.view), strict=True)
            ]
            if pattern is not None:
                of_level = [
                    row if own else hiding.hide(row, shown)
                    for own, row, shown in zip(mine, of_level, pattern.shown(units, asked), strict=True)
                ]
            rows.extend(of_level)
        return rows

    def _is_own(self, level: Level, codes: Sequence[str], edition: Edition, reader: Reader) -> bool:
        """Whether all these units are the reader's own."""
        if reader.sees_everything:
            return True
        if not reader.academie or not codes:
            return False
        if level == "academie":
            return set(codes) == {reader.academie}
        academies_of = edition.figures.sums.academies_of
        return level != "national" and all(academies_of((level, code)) == {reader.academie} for code in codes)

    def _pattern(self, edition: Edition) -> small_cells.Pattern:
        """What outsiders are shown, and of which figures: the same for some times as long as it took to find out, up to
        `small_cells_age_s`, while figures move.
        """
        sums, now = edition.figures.sums, monotonic()
        of = edition.moves, edition.as_of.date()
        for kept in self._patterns:
            young = not self.reader.sees_everything and now < kept.until and kept.of[1] == of[1]
            if kept.sums is sums and (kept.of == of or young):
                return kept.pattern
        pattern = small_cells.Pattern(sums.monthly())
        took = monotonic() - now
        made = _Kept(sums, of, now + min(_LONGER * took, self._small_cells_age_s), pattern)
        self._patterns = [made, *[kept for kept in self._patterns if kept.sums is not sums]][:_MOST_PATTERNS]
        return made.pattern

    def curve(self, level: Level, code: str, period: Period, edition: Edition) -> dict[str, Any]:
        """The cohort curve of one unit (`curves.curve`), with its unit, its period and the day it is of."""
        sums, today = edition.figures.sums, edition.as_of.date()
        closed = period.first is not None and period.last is not None
        whole = period if closed else _closed(period, sums.span(), today)
        labels = self._units.labels(level, whole, edition.figures.networks)
        found = sums.tallies(level, period, (code,), delays=False)
        if not found.codes:
            _refuse_unknown([code] if code not in labels else [], [labels])
        size = int(found.counts[:, NUMBERS["detected"]].sum())
        shown = curves.curve(sums.curve(level, code, period), size, whole, today)
        if not (self.reader.sees_everything or (level == "academie" and self.reader.sees_all_of(code))):
            shown = curves.hidden(shown)
        unit = {"by": level, "code": code, "label": labels.get(code, code)}
        return {"day": today, **unit, "from": whole.first, "to": whole.last, **shown}


async def _no_past(_query: IndicatorsQuery) -> Edition:
    raise Problem(503, "being_computed", "the log is not asked here yet; try again in a moment", retry_after_s=2)


def _counting(found: Tallies) -> set[str]:
    """The units in which anything counts. Who has a delay has been detected as well."""
    return {found.codes[place] for place in np.flatnonzero(np.any(found.counts, axis=1)).tolist()}


def _listed(found: Tallies, codes: Sequence[str]) -> tuple[Numbers, Delays]:
    """The counts and the delays of these units, in this order."""
    row_of = {code: row for row, code in enumerate(codes)}
    rows = np.array([row_of.get(code, -1) for code in found.codes], np.int64)
    kept = rows >= 0
    counts = np.zeros((len(codes), found.counts.shape[1]), np.int64)
    counts[rows[kept]] = found.counts[kept]
    delays = found.delays
    units = rows[delays.units]
    if kept.all():
        return counts, Delays(units, delays.measures, delays.counts)
    of_kept = units >= 0
    return counts, Delays(units[of_kept], delays.measures[of_kept], delays.counts[of_kept])


def _closed(period: Period, span: tuple[int, int] | None, today: date) -> Period:
    """The period with its open ends at the first and the last month with figures; where there are none, today."""
    begin = date(span[0] // 12, span[0] % 12 + 1, 1) if span else today
    end = _last_day(span[1]) if span else today
    if period.first is None and period.last is None:
        return Period(begin, end)
    if period.first is None:
        return Period(min(begin, period.last or begin), period.last)
    return period if period.last is not None else Period(period.first, max(end, period.first))


def _last_day(month: int) -> date:
    year, number = month // 12, month % 12 + 1
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
