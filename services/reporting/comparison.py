"""The live projection beside one recomputed from the log: every youth, every figure and every note that differs.

Figures are not taken from the recomputed cells but counted anew from the recomputed facts: so a fold that went wrong,
live or recomputed, shows as well.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np

from services.reporting import cells, compact, store
from services.reporting.compact import Fact
from services.reporting.deltas import Deltas, of_sums, total
from services.reporting.figures import units_of
from services.reporting.generations import Generation
from services.reporting.measures import LEAF_SHIFT, name_of
from services.reporting.projection import Leaf
from services.reporting.quality.notes import COLLECTIONS as NOTES
from shared.mongo import Document, Mongo, Session

_MOST_SHOWN: Final = 1_000
_PAUSE_EVERY: Final = 100

_PLACE_MASK: Final = (1 << LEAF_SHIFT) - 1

Figure = tuple[str, str, int, int]
"""Level, code, and the numbers of day and measure."""


@dataclass
class Differences:
    """What was compared, and what differs: `items` are the first thousand of `total`."""

    youths: int = 0
    figures: int = 0
    total: int = 0
    items: list[Document] = field(default_factory=list)

    def add(self, **item: Any) -> None:
        """Note a difference."""
        self.total += 1
        if len(self.items) < _MOST_SHOWN:
            self.items.append(item)


async def compare(mongo: Mongo, live: Generation, recomputed: Generation, session: Session) -> Differences:
    """Compare all of it, in one snapshot (`session`)."""
    found = Differences()
    counted = _Counted()
    async for youth_id, was, is_now in _side_by_side(mongo, live, recomputed, session):
        found.youths += 1
        if found.youths % _PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # queries are answered meanwhile
        if was != is_now:
            _compare_fact(youth_id, was, is_now, found)
        if is_now is not None:
            counted.add(is_now)
    await _compare_notes(mongo, live, recomputed, session, found)
    stored = await cells.stored(mongo, live, session)
    await asyncio.to_thread(_compare_figures, stored, counted.figures(), found)
    return found


def _compare_fact(youth_id: str, was: Fact | None, is_now: Fact | None, found: Differences) -> None:
    """Every field that differs, as people read it."""
    live, recomputed = ({} if fact is None else compact.document(youth_id, fact) for fact in (was, is_now))
    for name in sorted({*live, *recomputed}):
        old, new = live.get(name), recomputed.get(name)
        if old != new:
            found.add(youth_id=youth_id, field=name, live=old, recomputed=new)


async def _compare_notes(
    mongo: Mongo, live: Generation, recomputed: Generation, session: Session, found: Differences
) -> None:
    """Every note (`quality.notes`) that differs."""
    for name in NOTES:
        was, is_now = [
            {row["_id"]: row async for row in mongo[of.collection(name)].find({}, session=session)}
            for of in (live, recomputed)
        ]
        for note in sorted({*was, *is_now}):
            if was.get(note) != is_now.get(note):
                found.add(note=f"{name}|{note}", live=was.get(note), recomputed=is_now.get(note))


@dataclass
class _Counted:
    """Figures counted from facts."""

    leaves: dict[Leaf | None, int] = field(default_factory=dict)
    sums: Counter[int] = field(default_factory=Counter)

    def add(self, fact: Fact) -> None:
        """Count a youth."""
        base = self.leaves.setdefault(compact.leaf_of(fact), len(self.leaves)) << LEAF_SHIFT
        self.sums.update([base | place for place in compact.places(fact)])

    def figures(self) -> Deltas:
        """The sums."""
        return of_sums(list(self.leaves), self.sums)


def _compare_figures(stored: Deltas, counted: Deltas, found: Differences) -> None:
    """Every figure of every unit that differs, where the sums of the smallest units do."""
    found.figures = max(len(stored), len(counted))
    apart = total([stored, Deltas(counted.leaves, counted.keys, -counted.counts)])
    places = np.unique(apart.keys & _PLACE_MASK)
    units = {
        (*unit, day, measure)
        for number, day, measure in zip(
            apart.leaf_numbers.tolist(), apart.days.tolist(), apart.measures.tolist(), strict=True
        )
        for unit in units_of(apart.leaves[number])
    }
    live, recomputed = _of_units(stored, places), _of_units(counted, places)
    for figure in sorted(units):
        if live[figure] != recomputed[figure]:
            level, code, day, measure = figure
            found.add(
                level=level,
                code=code,
                day=date.fromordinal(day).isoformat(),
                measure=name_of(measure),
                live=live[figure],
                recomputed=recomputed[figure],
            )


def _of_units(figures: Deltas, places: Any) -> Counter[Figure]:
    """The figures of all units at these days and measures."""
    chosen = np.isin(figures.keys & _PLACE_MASK, places)
    some = Deltas(figures.leaves, figures.keys[chosen], figures.counts[chosen])
    sums: Counter[Figure] = Counter()
    for number, day, measure, count in zip(
        some.leaf_numbers.tolist(), some.days.tolist(), some.measures.tolist(), some.counts.tolist(), strict=True
    ):
        for level, code in units_of(some.leaves[number]):
            sums[level, code, day, measure] += count
    return sums


async def _side_by_side(
    mongo: Mongo, live: Generation, recomputed: Generation, session: Session
) -> AsyncIterator[tuple[str, Fact | None, Fact | None]]:
    """Each youth's fact in both, in the order of identifiers; None where there is none."""
    left, right = (store.facts(mongo, of, session) for of in (live, recomputed))
    one, other = await anext(left, None), await anext(right, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one[0] < other[0]):
            yield *one, None
            one = await anext(left, None)
        elif other is not None and (one is None or other[0] < one[0]):
            yield other[0], None, other[1]
            other = await anext(right, None)
        elif one is not None and other is not None:
            yield *one, other[1]
            one, other = await anext(left, None), await anext(right, None)
