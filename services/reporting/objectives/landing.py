"""Where a year will land, and how sure that is; pure.

Of the year the share `s` is over, and `a` youths have returned. Returns are taken as a Poisson process of unknown
intensity that is spread over the year like `s`. With Jeffreys' prior (Gamma with shape 1/2) the intensity of the year
is, given `a`, Gamma distributed with shape a + 1/2 and rate s, and what is still to come is negative binomial:

    P(r) = C(r + a - 1/2, r) · s^(a + 1/2) · (1 - s)^r          mean (a + 1/2)(1 - s)/s, variance mean/s

The landing is a/s; its range runs from a plus the 10 % quantile of what is to come to a plus the 90 % quantile: four
years of five should land in it. It holds the uncertainty of the counts and of the intensity, not that of the season's
profile, nor of what somebody will decide in the months left.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

_LOW: Final = 0.10
_HIGH: Final = 0.90
_EARLIEST: Final = 0.01
_WIDE: Final = 6.0
"""Beyond so many standard deviations from the mean there is no probability that would show."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Youths returned at the year's end: the most likely number, and the range of 80 %."""

    value: int
    low: int
    high: int


def landing(achieved: int, share: float) -> Landing | None:
    """Where a year lands with so many youths `achieved` when a `share` of it (0 to 1) is over.

    None while that cannot be said: nothing is achieved, or less than a hundredth of the year is over.
    """
    if share >= 1:
        return Landing(achieved, achieved, achieved)
    if achieved <= 0 or share < _EARLIEST:
        return None
    value = round(achieved / share)
    low, high = _still_to_come(achieved + 0.5, share)
    return Landing(value, min(value, achieved + low), max(value, achieved + high))


def _still_to_come(shape: float, share: float) -> tuple[int, int]:
    """The low and the high quantile of the negative binomial distribution with this shape and this probability."""
    mean = shape * (1 - share) / share
    spread = _WIDE * sqrt(mean / share) + _WIDE
    first = max(0, int(mean - spread))
    numbers = np.arange(first, int(mean + 2 * spread) + 1)
    # From each to the next by P(r + 1) / P(r) = (r + shape) / (r + 1) · (1 - share).
    steps = np.log((numbers[:-1] + shape) / (numbers[:-1] + 1) * (1 - share))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    below = np.cumsum(np.exp(logs - logs.max()))
    low, high = np.searchsorted(below / below[-1], (_LOW, _HIGH)).tolist()
    return first + low, first + high
