"""From sums in memory to the rows of an answer: what `figures.figures` says of one unit, of many at once."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from services.reporting.figures import share
from services.reporting.indicators import (
    ACTIVITY_CODES,
    COHORT_STEPS,
    DELAYS,
    DISMISSED,
    LAPSED,
    NOT_KNOWN,
    UNKNOWN,
    View,
)
from services.reporting.measures import DELAY_MASK, DELAY_SHIFT, LAPSED_COLUMN, NUMBERS
from services.reporting.months import Numbers
from services.reporting.projection import SOURCES
from services.reporting.sums import Delays

_ACTIVITY: Final = [NUMBERS[code] for code in ACTIVITY_CODES]
_BY_SOURCE: Final = [NUMBERS[f"{DISMISSED}:{source}"] for source in SOURCES]
_STEPS: Final = [NUMBERS[f"cohort:{step}"] for step in COHORT_STEPS]
_PARTS: Final = (*COHORT_STEPS, NOT_KNOWN, LAPSED, UNKNOWN)
_SIZE: Final = NUMBERS["detected"]
_REACHED: Final = COHORT_STEPS.index("reached")
_COHORT_DISMISSED: Final = NUMBERS[f"cohort:{DISMISSED}"]
_DETECTED_BY: Final = [NUMBERS[f"cohort:detected:{source}"] for source in SOURCES]
_DISMISSED_BY: Final = [NUMBERS[f"cohort:{DISMISSED}:{source}"] for source in SOURCES]
_DELAY_NAMES: Final = tuple(DELAYS)
_WIDEST: Final = 512
"""Up to so many days a histogram has a column for every one; beyond, for those that occur."""


def views_of(counts: Numbers, delays: Delays, views: Sequence[View]) -> list[dict[str, Any]]:
    """The views of each row: counts are (rows, `measures.COLUMNS`), the units of `delays` are rows. None of a view
    that is not asked for.
    """
    found: list[dict[str, Any]] = [{"activity": None, "dismissed_by_source": None, "cohort": None} for _ in counts]
    if "activity" in views:
        for row, activity, by_source in zip(
            found, counts[:, _ACTIVITY].tolist(), counts[:, _BY_SOURCE].tolist(), strict=True
        ):
            row["activity"] = dict(zip(ACTIVITY_CODES, activity, strict=True))
            row["dismissed_by_source"] = dict(zip(SOURCES, by_source, strict=True))
    if "cohort" in views:
        for row, cohort in zip(found, _cohorts(counts, delays), strict=True):
            row["cohort"] = cohort
    return found


def _cohorts(counts: Numbers, delays: Delays) -> Iterator[dict[str, Any]]:
    sizes, steps = counts[:, _SIZE], counts[:, _STEPS]
    not_known, lapsed = sizes - steps[:, _REACHED], counts[:, LAPSED_COLUMN]
    parts = np.column_stack([steps, not_known, lapsed, not_known + lapsed])
    columns = (sizes.tolist(), parts.tolist(), counts[:, _COHORT_DISMISSED].tolist(), _shares(parts, sizes))
    more = _delays(len(counts), delays), _false_positives(counts)
    for size, of_unit, dismissed, shares, delay, by_source in zip(*columns, *more, strict=True):
        yield {
            "size": size,
            "detected": size,
            **dict(zip(_PARTS, of_unit, strict=True)),
            DISMISSED: dismissed,
            "shares": dict(zip(_PARTS, shares, strict=True)),
            "delays": delay,
            "false_positives": by_source,
        }


def _shares(parts: Numbers, wholes: Numbers) -> list[list[float | None]]:
    """`figures.share` of each part."""
    exact = parts / np.maximum(wholes, 1)[:, None] * 10_000
    rounded: list[list[float | None]] = (np.rint(exact) / 10_000).tolist()
    # So near the middle of two, only the exact value of the quotient decides.
    for row, column in zip(*np.nonzero(np.abs(exact % 1 - 0.5) < 1e-6), strict=True):
        rounded[row][column] = share(int(parts[row, column]), int(wholes[row]))
    for row in np.flatnonzero(wholes == 0).tolist():
        rounded[row] = [None] * parts.shape[1]
    return rounded


def _false_positives(counts: Numbers) -> Iterator[dict[str, Any]]:
    detected, dismissed = counts[:, _DETECTED_BY], counts[:, _DISMISSED_BY]
    rates = _shares(dismissed.reshape(-1, 1), detected.reshape(-1))
    each = zip(detected.reshape(-1).tolist(), dismissed.reshape(-1).tolist(), rates, strict=True)
    told = [{"detected": n, "dismissed": wrong, "rate": rate} for n, wrong, [rate] in each]
    for begin in range(0, len(told), len(SOURCES)):
        yield dict(zip(SOURCES, told[begin : begin + len(SOURCES)], strict=True))


def _delays(rows: int, delays: Delays) -> list[dict[str, Any]]:
    values, places = _columns(delays.measures & DELAY_MASK)
    shape = (rows, len(_DELAY_NAMES), len(values))
    # In place: half a million of them, and new memory costs more than the sum.
    places += (delays.measures >> DELAY_SHIFT) * len(values)
    places += delays.units * (len(_DELAY_NAMES) * len(values))
    places -= len(values)  # the first name has number 1
    seen = np.bincount(places, delays.counts, minlength=rows * len(_DELAY_NAMES) * len(values))
    below = seen.astype(np.int64).reshape(shape).cumsum(axis=2)
    n = below[:, :, -1]

    def ranked(rank: Numbers) -> Numbers:
        """The value of this rank, from 1, of each histogram; anything of an empty one."""
        places: Numbers = np.minimum((below < rank[:, :, None]).sum(axis=2), len(values) - 1)
        return values[places]

    medians = (ranked((n + 1) // 2) + ranked(n // 2 + 1)) / 2
    p90 = ranked(np.maximum(1, -(-n * 90 // 100)))
    return [
        {
            name: {"n": number, "median": middle, "p90": high} if number else {"n": 0, "median": None, "p90": None}
            for name, number, middle, high in zip(_DELAY_NAMES, *of_row, strict=True)
        }
        for of_row in zip(n.tolist(), medians.tolist(), p90.tolist(), strict=True)
    ]


def _columns(days: Numbers) -> tuple[Numbers, Numbers]:
    """The days that a histogram has columns for, at least one, in order; and of each of these the column."""
    most = int(days.max(initial=0))
    if most < _WIDEST:
        return np.arange(most + 1), days
    occurs = np.zeros(most + 1, np.bool_)
    occurs[days] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[days]
