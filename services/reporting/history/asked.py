"""What is asked of figures, as what a single youth adds to them: by units, a period and views, or by one indicator."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from services.reporting import compact
from services.reporting.compact import Fact
from services.reporting.figures import Level, Period, Unit, units_of
from services.reporting.indicators import (
    ACTIVITY_CODES,
    COHORT_STEPS,
    DELAYS,
    DETECTED_TO_VERIFIED,
    DISMISSED,
    LAPSED,
    NOT_KNOWN,
    UNKNOWN,
    View,
)
from services.reporting.measures import (
    DAY_SHIFT,
    DELAY_MASK,
    DELAY_NAMES,
    DELAY_SHIFT,
    MEASURE_MASK,
    NUMBERS,
    name_of,
)
from services.reporting.projection import SOURCES

SIZE: Final = "size"
COHORT_LAPSED: Final = f"cohort:{LAPSED}"
_DETECTED: Final = NUMBERS["detected"]
_REACHED: Final = NUMBERS["cohort:reached"]
_VERIFIED: Final = DELAY_NAMES.index(DETECTED_TO_VERIFIED) + 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Units of some levels, these or all; a period, as ordinals; views.

    Of the functions' `lapse`: who was verified before this day (an ordinal), and not since, has lapsed.
    """

    levels: tuple[Level, ...]
    units: tuple[Unit, ...]
    first: int
    last: int
    views: tuple[View, ...]

    def counted(self, fact: Fact, lapse: int) -> set[tuple[Unit, str]]:
        """In which figures the youth counts one."""
        units = [unit for unit in units_of(compact.leaf_of(fact)) if self._is_asked(unit)]
        if not units:
            return set()
        places = compact.places(fact)
        names = {
            _name(place & MEASURE_MASK)
            for place in places
            if self.first <= place >> DAY_SHIFT <= self.last and _is_of(place & MEASURE_MASK, self.views)
        }
        lapsed = has_lapsed(places, lapse) if "cohort" in self.views else None
        if lapsed is not None and self.first <= lapsed <= self.last:
            names.add(COHORT_LAPSED)
        return {(unit, name) for unit in units for name in names}

    def _is_asked(self, unit: Unit) -> bool:
        return unit in self.units if self.units else unit[0] in self.levels


def period_of(period: Period) -> tuple[int, int]:
    """A period's ends as ordinals."""
    return (period.first or date.min).toordinal(), (period.last or date.max).toordinal()


def has_lapsed(places: Collection[int], lapse: int) -> int | None:
    """The day of detection of a youth whose situation has lapsed, by the places he counts in; None of any other."""
    for place in places:
        if (place & MEASURE_MASK) >> DELAY_SHIFT == _VERIFIED:
            detected = place >> DAY_SHIFT
            return detected if detected + (place & DELAY_MASK) < lapse else None
    return None


@lru_cache(maxsize=100_000)
def _name(measure: int) -> str:
    return name_of(measure)


@lru_cache(maxsize=100_000)
def _is_of(measure: int, views: tuple[View, ...]) -> bool:
    """Whether a measure goes into one of these views. The detected are the size of the cohort as well."""
    of_cohort = name_of(measure).startswith(("cohort:", "delay:"))
    return ("cohort" in views and (of_cohort or measure == _DETECTED)) or ("activity" in views and not of_cohort)


def indicators_of(view: View) -> tuple[str, ...]:
    """What may be asked of a view: every count that its figures show. A delay stands for its `n`."""
    by_source = tuple(f"{DISMISSED}:{source}" for source in SOURCES)
    if view == "activity":
        return (*ACTIVITY_CODES, *by_source)
    detected_by = tuple(f"detected:{source}" for source in SOURCES)
    return (SIZE, "detected", *COHORT_STEPS, NOT_KNOWN, LAPSED, UNKNOWN, DISMISSED, *DELAYS, *detected_by, *by_source)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One count: the youths that count in an indicator of a view of a unit, over a period (ordinals)."""

    unit: Unit
    indicator: str
    view: View
    first: int
    last: int

    def day(self, fact: Fact, lapse: int) -> int | None:
        """The day by which the youth counts: of the event (activity) or of detection (cohort); None if he does not."""
        if self.unit not in units_of(compact.leaf_of(fact)):
            return None
        places = compact.places(fact)
        day = _day_of(self.indicator, self.view, places, lapse)
        return day if day is not None and self.first <= day <= self.last else None


def _day_of(indicator: str, view: View, places: set[int], lapse: int) -> int | None:
    if view == "cohort":
        if indicator in DELAYS:
            number = DELAY_NAMES.index(indicator) + 1
            return next(
                (place >> DAY_SHIFT for place in places if (place & MEASURE_MASK) >> DELAY_SHIFT == number), None
            )
        if indicator == LAPSED:
            return has_lapsed(places, lapse)
        days = {place & MEASURE_MASK: place >> DAY_SHIFT for place in places}
        if indicator in (NOT_KNOWN, UNKNOWN):
            if _REACHED not in days:
                return days.get(_DETECTED)
            return has_lapsed(places, lapse) if indicator == UNKNOWN else None
        name = "detected" if indicator in (SIZE, "detected") else f"cohort:{indicator}"
        return days.get(NUMBERS[name])
    number = NUMBERS[indicator]
    return next((place >> DAY_SHIFT for place in places if place & MEASURE_MASK == number), None)
