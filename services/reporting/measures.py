"""Measures and days as small numbers, so that a figure's place is one number: by it figures are summed and stored.

    measure   0 to 24: the names in `FIXED`; `delay:<name>:<days>` is (number of the name + 1) << 17 | days
    day       its ordinal (`date.toordinal`)
    key       leaf << 42 | day << 20 | measure; the leaf is a number in a table that goes with the keys

Numbers are stored: new names go at the end of `FIXED`, none is ever moved.
"""

from collections.abc import Mapping
from typing import Final, get_args

from services.reporting.indicators import COHORT_STEPS, DELAYS, DISMISSED, STEPS, DelayName
from services.reporting.projection import UNKNOWN_SOURCE
from shared.events.base import Source

DAY_SHIFT: Final = 20
LEAF_SHIFT: Final = 42
DELAY_SHIFT: Final = 17
MEASURE_MASK: Final = (1 << DAY_SHIFT) - 1
DAY_MASK: Final = (1 << (LEAF_SHIFT - DAY_SHIFT)) - 1
DELAY_MASK: Final = (1 << DELAY_SHIFT) - 1
"""The longest delay that can be told; longer ones, of centuries, count as this."""

FIXED: Final[tuple[str, ...]] = (
    *STEPS,
    DISMISSED,
    *(f"{DISMISSED}:{source}" for source in (*get_args(Source), UNKNOWN_SOURCE)),
    *(f"cohort:{step}" for step in COHORT_STEPS),
    f"cohort:{DISMISSED}",
)
NUMBERS: Final[Mapping[str, int]] = {name: number for number, name in enumerate(FIXED)}
DELAY_NAMES: Final[tuple[DelayName, ...]] = tuple(DELAYS)


def number_of(measure: str) -> int:
    """The number of a measure of `projection.Contribution`."""
    if measure.startswith("delay:"):
        _, name, days = measure.split(":")
        return (DELAY_NAMES.index(name) + 1) << DELAY_SHIFT | min(int(days), DELAY_MASK)
    return NUMBERS[measure]


def name_of(number: int) -> str:
    """The measure that has this number."""
    if number >> DELAY_SHIFT:
        return f"delay:{DELAY_NAMES[(number >> DELAY_SHIFT) - 1]}:{number & DELAY_MASK}"
    return FIXED[number]
