"""The live projection beside one recomputed from the log: every youth and every figure that differs.

Figures are not taken from the recomputed cells but counted anew from the recomputed facts: so a fold that went wrong,
live or recomputed, shows as well.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from services.reporting.figures import units_of
from services.reporting.generations import CELLS, CHANGES, FACTS, Generation
from services.reporting.projection import contributions, leaf_of
from services.reporting.store import fact_of
from services.reporting.store import leaf_of as leaf_of_entry
from shared.mongo import Document, Mongo, Session

_MOST_SHOWN: Final = 1_000
_PAUSE_EVERY: Final = 100

Figure = tuple[str, str, str, str]
"""Level, code, day, measure. The day `YYYY-MM` stands for a month's total."""


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
    counted: Counter[Figure] = Counter()
    async for youth_id, was, is_now in _side_by_side(mongo, live, recomputed, session):
        found.youths += 1
        if found.youths % _PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # queries are answered meanwhile
        for name in sorted({*(was or {}), *(is_now or {})}):
            old, new = (was or {}).get(name), (is_now or {}).get(name)
            if old != new:
                found.add(youth_id=youth_id, field=name, live=old, recomputed=new)
        if is_now is not None:
            _count(is_now, counted)
    await _compare_figures(await _stored(mongo, live, session), counted, found)
    return found


async def _compare_figures(stored: Counter[Figure], counted: Counter[Figure], found: Differences) -> None:
    def differing() -> tuple[int, list[Figure]]:
        figures = stored.keys() | counted.keys()
        return len(figures), sorted(figure for figure in figures if stored[figure] != counted[figure])

    found.figures, different = await asyncio.to_thread(differing)  # hundreds of thousands: too long for the loop
    for level, code, day, measure in different:
        figure = level, code, day, measure
        found.add(level=level, code=code, day=day, measure=measure, live=stored[figure], recomputed=counted[figure])


async def _side_by_side(
    mongo: Mongo, live: Generation, recomputed: Generation, session: Session
) -> AsyncIterator[tuple[str, Document | None, Document | None]]:
    """Each youth's fact in both, in the order of identifiers; None where there is none."""
    left, right = (
        mongo[of.collection(FACTS)].find({}, session=session).sort("_id", 1).batch_size(5_000)
        for of in (live, recomputed)
    )
    one, other = await anext(left, None), await anext(right, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one["_id"] < other["_id"]):
            yield one["_id"], one, None
            one = await anext(left, None)
        elif other is not None and (one is None or other["_id"] < one["_id"]):
            yield other["_id"], None, other
            other = await anext(right, None)
        elif one is not None:
            yield one["_id"], one, other
            one, other = await anext(left, None), await anext(right, None)


def _count(document: Document, counted: Counter[Figure]) -> None:
    fact = fact_of(document)
    units = units_of(leaf_of(fact))
    for day, measure in contributions(fact):
        for level, code in units:
            counted[level, code, day.isoformat(), measure] += 1
            counted[level, code, day.isoformat()[:7], measure] += 1


async def _stored(mongo: Mongo, live: Generation, session: Session) -> Counter[Figure]:
    """All figures of the live cells and of the changes not yet folded into them; those that are 0 are left away."""
    stored: Counter[Figure] = Counter()
    async for cell in mongo[live.collection(CELLS)].find({}, session=session):
        await asyncio.sleep(0)
        level, code, month = cell["level"], cell["code"], cell["month"]
        for day, measures in [("", cell.get("total", {})), *cell.get("days", {}).items()]:
            for measure, number in measures.items():
                stored[level, code, f"{month}-{day}" if day else month, measure] += number
    async for row in mongo[live.collection(CHANGES)].find({}, session=session):
        await asyncio.sleep(0)
        for figure, number in _of_changes(row):
            stored[figure] += number
    return Counter({figure: number for figure, number in stored.items() if number})


def _of_changes(row: Document) -> Iterator[tuple[Figure, int]]:
    for entry in row["leaves"]:
        for level, code in units_of(leaf_of_entry(entry)):
            for day, measures in entry["days"].items():
                for measure, number in measures.items():
                    yield (level, code, day, measure), number
                    yield (level, code, day[:7], measure), number
