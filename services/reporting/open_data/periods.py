"""The periods that open data come by: two months, or a whole year; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = 2
PERIODS = 12 // MONTHS


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a year, 1 (January and February) to 6; `number` None is the year."""

    year: int
    number: int | None = None

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, 1 if self.number is None else self.number * MONTHS - 1, 1)

    @property
    def last(self) -> date:
        """The last day."""
        if self.number in (None, PERIODS):
            return date(self.year, 12, 31)
        return date(self.year, self.number * MONTHS + 1, 1) - timedelta(days=1)

    @property
    def path(self) -> str:
        """`2013/2`, or `2013`."""
        return f"{self.year}" if self.number is None else f"{self.year}/{self.number}"


def latest(today: date) -> Period:
    """The period of two months that a day is in."""
    return Period(today.year, (today.month - 1) // MONTHS + 1)


def begun(first_year: int, today: date) -> Iterator[Period]:
    """All that have begun since a year's beginning, each year after its periods."""
    for year in range(first_year, today.year + 1):
        last = latest(today).number if year == today.year else PERIODS
        yield from (Period(year, number) for number in range(1, (last or PERIODS) + 1))
        yield Period(year)
