"""From tallies to the figures of an answer, pure: periods, counts, shares, medians and percentiles."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

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
from services.reporting.projection import SOURCES, Leaf

Level = Literal["national", "academie", "departement", "network"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
NATIONAL_CODE: Final = "FR"

Unit = tuple[Level, str]
"""What a row is about: a level and a code of it."""

Tally = Counter[str]
"""Measure -> number of youths (the measures of `projection.Contribution`), summed over days; and `cohort:lapsed`."""


def units_of(leaf: Leaf | None) -> tuple[Unit, ...]:
    """The units whose figures a youth of this leaf counts in; one without an owner counts for France only."""
    if leaf is None:
        return (("national", NATIONAL_CODE),)
    return (
        ("national", NATIONAL_CODE),
        ("academie", leaf.academie),
        ("departement", leaf.departement),
        ("network", leaf.network_id),
    )


@dataclass(frozen=True, slots=True)
class Period:
    """From a day to a day, both included; None is open. Months are written `YYYY-MM`."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def figures(tally: Tally, views: tuple[View, ...]) -> dict[str, Any]:
    """The views of a unit's row."""
    row: dict[str, Any] = {}
    if "activity" in views:
        row["activity"] = {code: tally[code] for code in ACTIVITY_CODES}
        row["dismissed_by_source"] = {source: tally[f"{DISMISSED}:{source}"] for source in SOURCES}
    if "cohort" in views:
        row["cohort"] = _cohort(tally)
    return row


def _cohort(tally: Tally) -> dict[str, Any]:
    size = tally["detected"]
    steps = {str(step): tally[f"cohort:{step}"] for step in COHORT_STEPS}
    not_known, lapsed = size - steps["reached"], tally[f"cohort:{LAPSED}"]
    parts = {**steps, NOT_KNOWN: not_known, LAPSED: lapsed, UNKNOWN: not_known + lapsed}
    return {
        "size": size,
        "detected": size,
        **parts,
        DISMISSED: tally[f"cohort:{DISMISSED}"],
        "shares": {code: share(count, size) for code, count in parts.items()},
        "delays": _delays(tally),
        "false_positives": {source: _false_positives(tally, source) for source in SOURCES},
    }


def _false_positives(tally: Tally, source: str) -> dict[str, Any]:
    detected, dismissed = tally[f"cohort:detected:{source}"], tally[f"cohort:{DISMISSED}:{source}"]
    return {"detected": detected, "dismissed": dismissed, "rate": share(dismissed, detected)}


def lapsed(day: date, measure: str, before: date) -> bool:
    """Whether those who count on a day in a measure are a cohort's whose situation was last verified `before` a day."""
    name, _, days = measure.removeprefix("delay:").partition(":")
    return name == DETECTED_TO_VERIFIED and day.toordinal() + int(days) < before.toordinal()


def share(part: int, whole: int) -> float | None:
    """A share between 0 and 1 with four decimals; None of nothing."""
    return round(part / whole, 4) if whole else None


def _delays(tally: Tally) -> dict[str, dict[str, Any]]:
    histograms: dict[str, dict[int, int]] = {name: {} for name in DELAYS}
    for measure, count in tally.items():
        if count and measure.startswith("delay:"):
            _, name, days = measure.split(":")
            if name in histograms:
                histograms[name][int(days)] = count
    return {
        name: {"n": sum(histogram.values()), "median": median(histogram), "p90": percentile(histogram, 90)}
        for name, histogram in histograms.items()
    }


def median(histogram: Mapping[int, int]) -> float | int | None:
    """The middle value, or the mean of the middle two, of values given as value -> how often; None of none."""
    n = sum(histogram.values())
    if n == 0:
        return None
    low, high = _ranked(histogram, (n + 1) // 2), _ranked(histogram, n // 2 + 1)
    return low if low == high else (low + high) / 2


def percentile(histogram: Mapping[int, int], percent: int) -> int | None:
    """The smallest value that at least `percent` per cent of all values do not exceed (nearest rank); None of none."""
    n = sum(histogram.values())
    return _ranked(histogram, max(1, -(-n * percent // 100))) if n else None


def _ranked(histogram: Mapping[int, int], rank: int) -> int:
    """The value of this rank, from 1, in ascending order."""
    seen = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= rank:
            return value
    raise ValueError(f"rank {rank} of {seen} values")


def has_figures(tally: Tally) -> bool:
    """Whether anything counts: a tally may hold zeros where youths moved away."""
    return any(tally.values())
