"""Measures and days as small numbers, so that a figure's place is one number: by it figures are summed and stored.

    measure   0 to 36: the names in `FIXED`; `delay:<name>:<days>` is (number of the name + 1) << 16 | days
    day       its ordinal (`date.toordinal`)
    key       leaf << 42 | day << 20 | measure; the leaf is a number in a table that goes with the keys

Numbers are stored: new names go at the end of `FIXED`, none is ever moved.
"""

from collections.abc import Mapping
from typing import Final

from services.reporting.indicators import COHORT_STEPS, DETECTED_TO_VERIFIED, DISMISSED, KEPT_DELAYS, LAPSED, STEPS
from services.reporting.projection import SOURCES

DAY_SHIFT: Final = 20
LEAF_SHIFT: Final = 42
DELAY_SHIFT: Final = 16
MEASURE_MASK: Final = (1 << DAY_SHIFT) - 1
DAY_MASK: Final = (1 << (LEAF_SHIFT - DAY_SHIFT)) - 1
DELAY_MASK: Final = (1 << DELAY_SHIFT) - 1
"""The longest delay that can be told; longer ones, of 180 years, count as this."""

FIXED: Final[tuple[str, ...]] = (
    *STEPS,
    DISMISSED,
    *(f"{DISMISSED}:{source}" for source in SOURCES),
    *(f"cohort:{step}" for step in COHORT_STEPS),
    f"cohort:{DISMISSED}",
    *(f"cohort:detected:{source}" for source in SOURCES),
    *(f"cohort:{DISMISSED}:{source}" for source in SOURCES),
)
NUMBERS: Final[Mapping[str, int]] = {name: number for number, name in enumerate(FIXED)}
DELAY_NAMES: Final[tuple[str, ...]] = (*KEPT_DELAYS, DETECTED_TO_VERIFIED)
LAPSED_COLUMN: Final = len(FIXED)
"""Where sums in memory count the lapsed, behind the measures of `FIXED`: it depends on the day and is never stored."""
COLUMNS: Final[tuple[str, ...]] = (*FIXED, f"cohort:{LAPSED}")


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
