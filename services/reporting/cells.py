"""The figures as the store has them: folded into cells, one an académie and month, and what is not folded yet.

    cells   `_id` académie|month; figures as in `deltas`

A batch only inserts `changes`; `fold` adds them to the cells and deletes them, in one transaction, so that a change
counts exactly once, whoever folds. Queries are answered from memory (`board.py`), which holds the sum of both: it does
not depend on when a fold comes, which only keeps the changes few.
"""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Final

from services.reporting import generations
from services.reporting.deltas import Deltas, of_document, total
from services.reporting.generations import CELLS, CHANGES, Generation
from shared.mongo import Document, Mongo, Session
from shared.unit_of_work import Tx, UnitOfWork

_DOCUMENTS_A_FOLD: Final = 500
_FIGURES_A_FOLD: Final = 200_000
_CELLS_AT_ONCE: Final = 15
_LONGEST_REST_S: Final = 0.05


async def fold(unit_of_work: UnitOfWork, generation: Generation | None = None) -> bool:
    """Fold the oldest changes into the cells, of the live generation or of this one. True when more may be left."""

    async def work(tx: Tx) -> bool:
        return await _fold(tx, generation or await generations.live(tx.mongo, tx.session))

    return await unit_of_work.run(work)


async def _fold(tx: Tx, of: Generation) -> bool:
    taken: list[str] = []
    parts: list[Deltas] = []
    figures = 0
    changes = tx[of.collection(CHANGES)].find({}, session=tx.session).sort("_id", 1).limit(_DOCUMENTS_A_FOLD)
    async for row in changes:
        taken.append(row["_id"])
        parts.append(of_document(row))
        figures += len(parts[-1])
        if figures >= _FIGURES_A_FOLD:
            break
    if not taken:
        return False
    added = await asyncio.to_thread(lambda: total(parts).split())
    places = list(added)
    for begin in range(0, len(places), _CELLS_AT_ONCE):
        began = perf_counter()
        some = {"|".join(place): added[place] for place in places[begin : begin + _CELLS_AT_ONCE]}
        await _add(tx, of.collection(CELLS), some)
        # Events that are to be shown soon come in between.
        await asyncio.sleep(min(perf_counter() - began, _LONGEST_REST_S))
    await tx[of.collection(CHANGES)].delete_many({"_id": {"$in": taken}}, session=tx.session)
    # What comes in meanwhile can wait: for a few figures more, all these cells would be written again.
    return len(taken) == _DOCUMENTS_A_FOLD or figures >= _FIGURES_A_FOLD


async def _add(tx: Tx, cells: str, added: Mapping[str, Deltas]) -> None:
    """Add to these cells, by `_id`."""
    before = {row["_id"]: row async for row in tx[cells].find({"_id": {"$in": list(added)}}, session=tx.session)}

    def sums() -> list[Document]:
        return [
            {"_id": id_, **total([of_document(before[id_]), part] if id_ in before else [part]).document()}
            for id_, part in added.items()
        ]

    documents = await asyncio.to_thread(sums)
    if before:
        await tx[cells].delete_many({"_id": {"$in": list(before)}}, session=tx.session)
    await tx[cells].insert_many(documents, session=tx.session)


async def stored(mongo: Mongo, of: Generation, session: Session) -> Deltas:
    """All figures that the store has, cells and changes together."""
    parts = [
        of_document(row)
        for name in (CELLS, CHANGES)
        async for row in mongo[of.collection(name)].find({}, session=session)
    ]
    return await asyncio.to_thread(total, parts)
