"""The cohort curve, pure: of the youths detected in a period, what share had come to each step so long after detection.

Youths detected yesterday cannot have been reached after a month. So the curve is empty beyond the age of the oldest of
the cohort, and provisional beyond that of the youngest, where it still rises as the others' time comes.
"""

from datetime import date
from itertools import accumulate
from typing import Any

from services.reporting.figures import Period, share
from services.reporting.indicators import CURVE
from services.reporting.months import CURVE_DAYS, Numbers


def curve(spans: Numbers, size: int, period: Period, today: date) -> dict[str, Any]:
    """The curve of a cohort of `size` youths; `spans` as `Sums.curve` has them, `period` is closed.

    `days`: after how many days; by step the share so far, None where nobody can know it yet or the cohort is empty.
    `known_days` is the age of the oldest of the cohort, `complete_days` that of the youngest: 0 while more may come.
    """
    first, last = period.first or date.min, period.last or date.max
    known, complete = max(0, (today - first).days), max(0, (today - last).days)
    return {
        "size": size,
        "days": list(CURVE_DAYS),
        "known_days": known,
        "complete_days": complete,
        **{
            step: [
                share(count, size) if day <= known else None
                for day, count in zip(CURVE_DAYS, accumulate(of_step), strict=False)
            ]
            for step, of_step in zip(CURVE, spans.tolist(), strict=True)
        },
    }


def hidden(shown: dict[str, Any]) -> dict[str, Any]:
    """The same for who may not see the unit's small counts: from a curve and its size any of them can be had."""
    return {**shown, "size": None, **{step: [None] * len(CURVE_DAYS) for step in CURVE}, "suppressed": True}
