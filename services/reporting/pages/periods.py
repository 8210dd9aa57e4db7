"""Which period a page shows: a whole year, two months of it as in a bilan, or from a day to a day; pure."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field

from services.reporting.pages.route import PageQuery
from services.reporting.pages.writing import Lang, Writing
from services.reporting.queries import Day
from shared.problems import Problem

Part = Literal["year", "1", "2", "3", "4", "5", "6"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
FIRST_YEAR: Final = 2013
"""The year of the circular."""
_MONTHS: Final = 2


def _filled(value: Any) -> Any:
    """A form sends fields that were left empty."""
    return None if isinstance(value, str) and not value.strip() else value


class FiguresQuery(PageQuery):
    """A page of figures: `year` and `period`, or `from` and `to` instead of them; `sort` is a column of its table."""

    year: Annotated[int | None, BeforeValidator(_filled)] = Field(None, ge=1900, le=2199)
    period: Part = "year"
    from_: Annotated[Day | None, BeforeValidator(_filled)] = Field(None, alias="from")
    to: Annotated[Day | None, BeforeValidator(_filled)] = None
    sort: str = Field("", max_length=40)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The period of a page. `year` is that whose objectives are shown; `part` None where days were given."""

    year: int
    part: Part | None
    first: date
    last: date

    def name(self, writing: Writing) -> str:
        """As a heading has it: `2013`, `mars-avril 2013`, `du 1er mars 2013 au 4 mai 2013`."""
        if self.part is None:
            first, last = writing.day(self.first), writing.day(self.last)
            return f"du {first} au {last}" if writing.lang == "fr" else f"{first} to {last}"
        return str(self.year) if self.part == "year" else f"{part_name(self.part, writing)} {self.year}"

    def query(self) -> dict[str, object]:
        """The parameters that choose it again."""
        if self.part is None:
            return {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return {"year": self.year} if self.part == "year" else {"year": self.year, "period": self.part}


def chosen(query: FiguresQuery, span: tuple[int, int] | None, today: date) -> Chosen:
    """The period that is asked for; without a year, the latest with figures (`span` as `Sums.span` has it).

    422 `period_upside_down`.
    """
    if query.from_ is not None or query.to is not None:
        first = query.from_ or date(_year_of(query.to), 1, 1)
        last = query.to or date(_year_of(query.from_), 12, 31)
        if first > last:
            detail = f"`from` ({first}) is after `to` ({last}); swap them or mend one"
            raise Problem(422, "period_upside_down", detail, first=first.isoformat(), last=last.isoformat())
        return Chosen(last.year, None, first, last)
    year = query.year if query.year is not None else years(span, today)[0]
    if query.period == "year":
        return Chosen(year, "year", date(year, 1, 1), date(year, 12, 31))
    return Chosen(year, query.period, *two_months(year, int(query.period)))


def refuse_upside_down(first: date | None, last: date | None, lang: Lang) -> None:
    """422 `period_upside_down` where a period begins after its end, with both days in the page's language."""
    if first is not None and last is not None and first > last:
        writing = Writing(lang)
        detail = f"`from` ({first}) is after `to` ({last}); swap them or mend one"
        raise Problem(422, "period_upside_down", detail, first=writing.day(first), last=writing.day(last))


def _year_of(day: date | None) -> int:
    return day.year if day is not None else FIRST_YEAR


def years(span: tuple[int, int] | None, today: date) -> list[int]:
    """The years that there are figures of, the latest first; this year where there are none."""
    if span is None:
        return [today.year]
    return list(range(span[1] // 12, span[0] // 12 - 1, -1))


def part_name(part: Part, writing: Writing) -> str:
    """`mars-avril`."""
    end = int(part) * _MONTHS
    return f"{writing.month(end - 1)}–{writing.month(end)}"


def two_months(year: int, part: int) -> tuple[date, date]:
    """The first and the last day of a period of a bilan, 1 to 6."""
    return month_of(year, part * _MONTHS - 1)[0], month_of(year, part * _MONTHS)[1]


def month_of(year: int, month: int) -> tuple[date, date]:
    """The first and the last day of a month."""
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])
