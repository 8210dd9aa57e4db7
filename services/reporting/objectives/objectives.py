"""What each académie is to reach in a year, how far it has come, where it will land; and France against the target.

Achieved are `returned` and `civic_service` of the year's activity, as `Answers.rows` gives them to whoever reads: what
is hidden from him is None here, and so is all that would follow from it. Objectives themselves are public.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from services.reporting.answers import Answers, Edition
from services.reporting.figures import NATIONAL_CODE, Level, share
from services.reporting.objectives import store
from services.reporting.objectives.landing import landing
from services.reporting.objectives.season import Season, last_day, season
from services.reporting.objectives.store import Version, Versions, current
from services.reporting.objectives.targets import Target
from services.reporting.queries import IndicatorsQuery
from services.reporting.readers import Reader
from services.reporting.units import suggestions
from shared.problems import Problem
from shared.reference import Academie, Reference
from shared.unit_of_work import Tx

Line = dict[str, Any]

_ACHIEVED: Final = ("returned", "civic_service")

Counts = Mapping[str, Sequence[int | None]]
"""Of each unit, how many had returned by the end of each month asked for; None where that is hidden."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An objective that somebody sets. `expected_version`: the one he saw, 0 for none; None for whichever holds."""

    objective: int
    by: str
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The figures of a moment as a reader sees them."""

    answers: Answers
    edition: Edition
    reader: Reader
    kept: dict[tuple[Any, ...], Counts]
    """What was already counted of the same figures."""

    def by_month(self, year: int, months: int, level: Level, code: str | None = None) -> Counts:
        """Returned by the end of each of so many months, each counted from the year's beginning, and in the whole year.

        Each is asked for as such: a sum of months would show what is hidden, or hide what is shown.
        """
        asked = (self.reader, year, months, level, code)
        if asked not in self.kept:
            self.kept[asked] = self._by_month(year, months, level, code)
        return self.kept[asked]

    def _by_month(self, year: int, months: int, level: Level, code: str | None) -> Counts:
        ends = [last_day(year, month) for month in range(1, months + 1)]
        if months < 12:
            ends.append(last_day(year, 12))
        found: list[dict[str, int | None]] = []
        for end in ends:
            query = {"by": level, "view": "activity", "code": code or (), "from": date(year, 1, 1), "to": end}
            rows = self.answers.rows(IndicatorsQuery.model_validate(query), self.edition, self.reader)
            found.append({row["code"]: _achieved_of(row) for row in rows})
        if months == 12:
            found.append(found[-1])
        return {unit: [counts.get(unit, 0) for counts in found] for unit in found[-1]}


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all lines of an answer share."""

    seen: _Seen
    season: Season

    @property
    def as_of(self) -> datetime:
        return self.seen.edition.as_of

    @property
    def today(self) -> date:
        return self.as_of.date()

    def months(self, level: Level, code: str | None = None) -> Counts:
        """By month up to now, and at last for the whole year."""
        year, today = self.season.year, self.today
        begun = 12 if year < today.year else today.month if year == today.year else 0
        return self.seen.by_month(year, begun, level, code)


class Objectives:
    """Objectives of calendar years. `targets`: the ministry's, by year."""

    def __init__(
        self, versions: Versions, answers: Answers, reference: Reference, targets: Mapping[int, Target]
    ) -> None:
        self._versions = versions
        self._answers = answers
        self._reference = reference
        self._targets = targets
        self._kept: dict[tuple[Any, ...], Counts] = {}
        self._kept_of = -1

    async def of(self, year: int, academie: str, reader: Reader | None = None) -> Line:
        """The line of an académie; 404 `unknown_academie`."""
        record = self._academie(year, academie)
        versions = await self._versions.of(year)
        moment = await self._moment(year, reader)
        months = moment.months("academie", academie)
        return {
            **self._line(moment, academie, record.name, _current(versions, academie), months[academie]),
            **_history(versions.get(academie, []), moment.seen.reader),
            "as_of": moment.as_of,
        }

    async def year(self, year: int, reader: Reader | None = None) -> dict[str, Any]:
        """The lines of all académies that there were in the year, and the national one."""
        versions = await self._versions.of(year)
        moment = await self._moment(year, reader)
        months = moment.months("academie")
        academies = [
            self._line(moment, code, record.name, _current(versions, code), months[code])
            | _history(versions.get(code, []), moment.seen.reader)
            for code, record in self._academies(year).items()
        ]
        return {
            "year": year,
            "as_of": moment.as_of,
            "national": self._national(moment, [line["objective"] for line in academies]),
            "academies": academies,
        }

    async def latest_year(self) -> int:
        """The last year with figures so far; this year where there are none."""
        edition = await self._answers.edition()
        span, today = edition.figures.sums.span(), edition.as_of.date()
        return today.year if span is None else min(span[1] // 12, today.year)

    async def put(self, tx: Tx, year: int, academie: str, wanted: Wanted) -> Line:
        """Set an objective: a new version, unless the current one says the same. The objective and its history.

        404 `unknown_academie`; 403 `not_your_academie`; 409 `version_moved` where another version holds than expected.
        """
        record = self._academie(year, academie)
        reader = self._answers.reader
        if not reader.sees_all_of(academie):
            raise Problem(403, "not_your_academie", f"the staff of académie {academie} and national staff may do this")
        known = await store.versions(tx, year, academie)
        before = current(known)
        number = before.version if before else 0
        if wanted.expected_version not in (None, number):
            raise Problem(
                409,
                "version_moved",
                f"version {number} holds, not {wanted.expected_version}: read it, then expect version {number}",
                version=number,
            )
        if before is None or (before.objective, before.by, before.reason) != (
            wanted.objective,
            wanted.by,
            wanted.reason,
        ):
            at = tx.now.replace(microsecond=tx.now.microsecond // 1_000 * 1_000)  # as the store has it
            made = Version(year, academie, number + 1, wanted.objective, wanted.by, wanted.reason, at)
            await store.insert(tx, made)
            known.append(made)
        line = {"year": year, "academie": academie, "label": record.name, "objective": known[-1].objective}
        return line | _history(known, reader)

    def changed(self, year: int) -> None:
        """Call it when a `put` is committed."""
        self._versions.forget(year)

    async def _moment(self, year: int, reader: Reader | None) -> _Moment:
        """The figures of now: to be used at once."""
        edition = await self._answers.edition()
        if self._kept_of != edition.moves:
            self._kept_of, self._kept = edition.moves, {}
        seen = _Seen(self._answers, edition, reader or self._answers.reader, self._kept)
        return _Moment(seen, season(year, seen.by_month(year - 1, 12, "national")[NATIONAL_CODE][:12]))

    def _national(self, moment: _Moment, objectives: Sequence[int | None]) -> Line:
        set_ = [objective for objective in objectives if objective is not None]
        months = moment.months("national")[NATIONAL_CODE]
        year = moment.season.year
        line = self._line(moment, NATIONAL_CODE, "France", sum(set_) if set_ else None, months)
        target = self._targets.get(year)
        gap = None if target is None or not set_ else sum(set_) - target.youths
        return {
            **line,
            "set": len(set_),
            "target": None if target is None else asdict(target),
            "gap": gap,
            "attainment_of_target": _attainment(line["achieved"], target.youths if target else None),
        }

    def _line(
        self, moment: _Moment, code: str, label: str, objective: int | None, months: Sequence[int | None]
    ) -> Line:
        year, today, achieved = moment.season.year, moment.today, months[-1]
        landed = None if achieved is None else landing(achieved, moment.season.share(today))
        method = "final" if year < today.year else moment.season.method
        return {
            "year": year,
            "academie": code,
            "label": label,
            "objective": objective,
            "achieved": achieved,
            "attainment": _attainment(achieved, objective),
            "method": moment.season.method,
            "trajectory": [
                {
                    "month": f"{year}-{number:02}",
                    "on": (on := min(last_day(year, number), today)),
                    "achieved": count,
                    "expected": _expected(objective, moment.season.share(on)),
                }
                for number, count in enumerate(months[:-1], start=1)
            ],
            "path": [
                {"month": f"{year}-{number:02}", "expected": _expected(objective, part)}
                for number, part in enumerate(moment.season.shares, start=1)
            ],
            "landing": None if landed is None or year > today.year else {**asdict(landed), "method": method},
        }

    def _academies(self, year: int) -> dict[str, Academie]:
        found = self._reference.academies_between(date(year, 1, 1), date(year, 12, 31), "academie")
        return {academie.code: academie for academie in found}

    def _academie(self, year: int, code: str) -> Academie:
        academies = self._academies(year)
        if code not in academies:
            ever = {found.code: found.name for found in self._reference.academies_between(date.min, date.max)}
            close = suggestions(code, [{known: academie.name for known, academie in academies.items()}])
            if code in ever:
                hint = f"{ever[code]} was none then; GET /v1/objectives/{year} lists those of the year"
            elif close:
                hint = f"did you mean {', '.join(close)}?"
            else:
                hint = f"GET /v1/objectives/{year} lists all"
            raise Problem(404, "unknown_academie", f"{code!r} is no code of an académie of {year}: {hint}", value=code)
        return academies[code]


def _achieved_of(row: Mapping[str, Any]) -> int | None:
    """Those returned and in civic service; an outsider may be told their sum and not its parts."""
    return row["achieved"] if "achieved" in row else _sum([row["activity"][name] for name in _ACHIEVED])


def _sum(parts: Sequence[int | None]) -> int | None:
    shown = [part for part in parts if part is not None]
    return sum(shown) if len(shown) == len(parts) else None


def _current(versions: Mapping[str, Sequence[Version]], academie: str) -> int | None:
    version = current(versions.get(academie, []))
    return None if version is None else version.objective


def _attainment(achieved: int | None, objective: int | None) -> float | None:
    return None if achieved is None or objective is None else share(achieved, objective)


def _expected(objective: int | None, part: float) -> float | None:
    return None if objective is None else round(objective * part, 1)


def _history(versions: Sequence[Version], reader: Reader) -> dict[str, Any]:
    """Who set it is for staff to know: he is a person."""
    return {
        "version": versions[-1].version if versions else None,
        "versions": [
            {
                "version": version.version,
                "objective": version.objective,
                "by": version.by if reader.is_staff else None,
                "reason": version.reason,
                "at": version.at.astimezone(UTC),
            }
            for version in versions
        ],
    }
