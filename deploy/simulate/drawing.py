"""Seeded choices and days as numbers."""

from bisect import bisect
from collections.abc import Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

Day = int
"""A day as `date.toordinal` counts it."""


@cache
def iso(day: Day) -> str:
    """The day as `YYYY-MM-DD`."""
    return date.fromordinal(day).isoformat()


class Weighted(Generic[T]):
    """Draws values in proportion to their weights."""

    def __init__(self, values: Sequence[tuple[T, float]]) -> None:
        self._values = [value for value, _ in values]
        self._ends = list(accumulate(weight for _, weight in values))

    def draw(self, rng: Random) -> T:
        """One of the values."""
        return self._values[min(bisect(self._ends, rng.random() * self._ends[-1]), len(self._values) - 1)]
