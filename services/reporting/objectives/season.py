"""Which share of a year's returns to expect by a day; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

Method = Literal["seasonal", "linear"]

LEAST: Final = 100
"""Fewer returns than this in the year before say nothing of the season."""


@dataclass(frozen=True, slots=True)
class Season:
    """How a year's returns are spread. `shares`: of the year, expected by the end of each of its months (12)."""

    year: int
    shares: tuple[float, ...]
    method: Method

    def share(self, day: date) -> float:
        """The share expected by the end of a day: 0 before the year, 1 after; within a month linear in days."""
        if day.year != self.year:
            return float(day.year > self.year)
        before = self.shares[day.month - 2] if day.month > 1 else 0.0
        return before + (self.shares[day.month - 1] - before) * day.day / last_day(day.year, day.month).day


def season(year: int, year_before: Sequence[int | None]) -> Season:
    """As in the year before, where France had `LEAST` returns then, else linear in days.

    `year_before`: how many had returned by the end of each of its months (12), None where that is not shown.
    """
    shown = [count for count in year_before if count is not None]
    if len(shown) == 12 and shown[-1] >= LEAST:
        return Season(year, tuple(count / shown[-1] for count in shown), "seasonal")
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    first = date(year, 1, 1)
    shares = ((last_day(year, month) - first).days + 1 for month in range(1, 13))
    return Season(year, tuple(count / days for count in shares), "linear")


def last_day(year: int, month: int) -> date:
    """The last day of a month."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)
