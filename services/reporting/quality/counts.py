"""Counts of quality by month, and the sums of them that a reader may see. Pure.

What is counted are rows of lists, disputes and records, not youths; still a small count can point at one. So for
readers outside, a count of 1 to 4 is hidden, and so is every sum in which one is hidden: a sum is shown only where each
month's count in it is 0 or at least 5. Then no difference of what is shown, of other periods or of other sums, gives
one away.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

SMALLEST_SHOWN: Final = 5

Count = int | None
"""None: hidden."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Adds up what a reader may see: `everything` for staff."""

    everything: bool

    def total(self, counts: Iterable[int]) -> Count:
        """The sum of these months' counts; None where it would show a small one."""
        found = list(counts)
        small = any(0 < count < SMALLEST_SHOWN for count in found)
        return None if small and not self.everything else sum(found)


@dataclass(slots=True)
class Rows:
    """The rows of one upstream base: counts by month, of what became of them, of rejections and warnings by code."""

    outcomes: dict[str, list[int]] = field(default_factory=dict)
    rejected: dict[str, list[int]] = field(default_factory=dict)
    warnings: dict[str, list[int]] = field(default_factory=dict)

    def every(self) -> list[int]:
        """The counts of which each row is in exactly one."""
        return _chained(self.outcomes) + _chained(self.rejected)


@dataclass(slots=True)
class Affairs:
    """Disputes, or dead letters of one kind: counts by the month they began, and the first day of those open."""

    settled: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    oldest_open: date | None = None


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When an upstream base was last heard of, and the latest campaign that a row of it named."""

    on: date
    campaign: str | None


OUTCOMES: Final = ("accepted", "matched", "disputed", "repeated")


def rows_view(rows: Rows, shown: Shown) -> dict[str, object]:
    """The counts of one upstream base, and the shares of its rows that were accepted and rejected."""
    outcomes = {name: shown.total(rows.outcomes.get(name, ())) for name in OUTCOMES}
    total, rejected = shown.total(rows.every()), shown.total(_chained(rows.rejected))
    return {
        "rows": total,
        **outcomes,
        "rejected": by_code([rows.rejected], shown),
        "rejected_total": rejected,
        "warnings": by_code([rows.warnings], shown),
        "accepted_share": share(outcomes["accepted"], total),
        "rejected_share": share(rejected, total),
    }


def by_code(counts: Sequence[Mapping[str, Sequence[int]]], shown: Shown) -> dict[str, Count]:
    """The sums by code, over several upstream bases."""
    codes = sorted({code for each in counts for code in each})
    return {code: shown.total(count for each in counts for count in each.get(code, ())) for code in codes}


def affairs_view(affairs: Affairs, begun: str, today: date, shown: Shown) -> dict[str, object]:
    """How many began (by that name), were settled and are open: all three, or none where one is hidden."""
    settled, still_open = shown.total(affairs.settled), shown.total(affairs.open)
    if settled is None or still_open is None:
        return {begun: None, "settled": None, "open": None, "oldest_open_on": None, "oldest_open_days": None}
    oldest = affairs.oldest_open
    return {
        begun: settled + still_open,
        "settled": settled,
        "open": still_open,
        "oldest_open_on": oldest,
        "oldest_open_days": None if oldest is None else max(0, (today - oldest).days),
    }


def silence(seen: LastSeen | None, today: date) -> int | None:
    """For how many days an upstream base has not been heard of; None where it never was."""
    return None if seen is None else max(0, (today - seen.on) // timedelta(days=1))


def share(part: Count, whole: Count) -> float | None:
    """To four places; None where there is nothing to divide by, or where either is hidden."""
    return round(part / whole, 4) if part is not None and whole else None


def _chained(counts: Mapping[str, Sequence[int]]) -> list[int]:
    return [count for each in counts.values() for count in each]
