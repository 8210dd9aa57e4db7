"""The figures ready to be read: one cell a unit and month, and what is not folded into them yet.

    cells   `_id` level|code|month; `total` holds measure -> number for the month, `days` the same by day (`01`..`31`)

A batch only inserts `changes`; `fold` adds them up, writes the sums to the cells and deletes them, in one transaction,
so that a change counts exactly once, whoever folds. A reader adds the cells and the changes of one snapshot: it never
waits for a fold, and all rows of an answer agree.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.reporting import generations, store
from services.reporting.figures import NATIONAL_CODE, Level, Period, Tally, Unit, month_of, units_of
from services.reporting.freshness import Partition, Position
from services.reporting.generations import CELLS, CHANGES, Generation
from services.reporting.store import leaf_of
from shared.mongo import Collection as Cells
from shared.mongo import Document, Mongo, Session, UpdateOne
from shared.unit_of_work import Tx, UnitOfWork

_DOCUMENTS_A_FOLD = 20


async def fold(unit_of_work: UnitOfWork, generation: Generation | None = None) -> int:
    """Fold the oldest changes into the cells, of the live generation or of this one; how many documents there were."""

    async def work(tx: Tx) -> int:
        return await _fold(tx, generation or await generations.live(tx.mongo, tx.session))

    return await unit_of_work.run(work)


async def _fold(tx: Tx, of: Generation) -> int:
    rows = (
        await tx[of.collection(CHANGES)]
        .find({}, session=tx.session)
        .sort("_id", 1)
        .limit(_DOCUMENTS_A_FOLD)
        .to_list(None)
    )
    if not rows:
        return 0
    # Unit and month -> day -> measure -> number; a plain dict of ints where it is hot.
    sums: dict[tuple[Unit, str], dict[str, dict[str, int]]] = defaultdict(dict)
    for row in rows:
        for entry in row["leaves"]:
            units = units_of(leaf_of(entry))
            for day, measures in entry["days"].items():
                for unit in units:
                    _add_to(sums[unit, day[:7]].setdefault(day[8:], {}), measures)
    writes = [
        UpdateOne(
            {"_id": f"{level}|{code}|{month}"},
            {"$inc": increments, "$setOnInsert": {"level": level, "code": code, "month": month}},
            upsert=True,
        )
        for ((level, code), month), days in sums.items()
        if (increments := _increments(days))
    ]
    if writes:
        await tx[of.collection(CELLS)].bulk_write(writes, ordered=False, session=tx.session)
    await tx[of.collection(CHANGES)].delete_many({"_id": {"$in": [row["_id"] for row in rows]}}, session=tx.session)
    return len(rows)


def _increments(days: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """What to add to which fields of a cell."""
    increments: dict[str, int] = {}
    totals: dict[str, int] = {}
    for day, measures in days.items():
        prefix = f"days.{day}."
        for measure, count in measures.items():
            if count:
                increments[prefix + measure] = count
                totals[measure] = totals.get(measure, 0) + count
    increments |= {f"total.{measure}": count for measure, count in totals.items() if count}
    return increments


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures, positions and names as they were together at one moment.

    `span`: first and last month with figures; None where there are none.
    """

    tallies: dict[Unit, Tally]
    positions: dict[Partition, Position]
    networks: dict[str, str]
    span: tuple[str, str] | None


async def read(mongo: Mongo, levels: Sequence[Level], period: Period, codes: Collection[str] = ()) -> Snapshot:
    """The tallies of the units of these levels over the period, and what goes with them; of all units without codes."""

    async def work(session: Session) -> tuple[Generation, Snapshot]:
        live = await generations.live(mongo, session)
        changes = await mongo[live.collection(CHANGES)].find({}, session=session).to_list(None)
        stored = mongo[live.collection(CELLS)]
        tallies: dict[Unit, Tally] = defaultdict(Counter)
        await _read_cells(stored, session, _of(levels, codes), period, tallies)
        _add_changes(changes, levels, codes, period, tallies)
        return live, Snapshot(
            tallies,
            await store.positions(mongo, live, session),
            await store.names(mongo, live, "networks", session),
            await _span(stored, session, changes),
        )

    while True:
        read_of, snapshot = await mongo.transaction(work)
        # A collection that was dropped meanwhile reads as an empty one. It is dropped only when it is no longer live.
        if await generations.live(mongo) == read_of:
            return snapshot


def _of(levels: Sequence[Level], codes: Collection[str]) -> Document:
    wanted: Document = {"level": {"$in": list(levels)}}
    return wanted | ({"code": {"$in": list(codes)}} if codes else {})


async def _read_cells(
    cells: Cells, session: Session, wanted: Document, period: Period, tallies: dict[Unit, Tally]
) -> None:
    months: dict[str, Any] = {}
    if period.first is not None:
        months["$gte"] = month_of(period.first)
    if period.last is not None:
        months["$lte"] = month_of(period.last)
    edges = period.edge_months()
    whole = wanted | ({"month": {**months, "$nin": sorted(edges)}} if months else {})
    async for row in cells.find(whole, {"level": 1, "code": 1, "total": 1}, session=session):
        _add_to(tallies[row["level"], row["code"]], row["total"])
    if not edges:
        return
    partly = wanted | {"month": {"$in": sorted(edges)}}
    async for row in cells.find(partly, session=session):
        for number, measures in row["days"].items():
            if date.fromisoformat(f"{row['month']}-{number}") in period:
                _add_to(tallies[row["level"], row["code"]], measures)


def _add_changes(
    changes: Sequence[Document],
    levels: Sequence[Level],
    codes: Collection[str],
    period: Period,
    tallies: dict[Unit, Tally],
) -> None:
    for row in changes:
        for entry in row["leaves"]:
            units = [
                (level, code)
                for level, code in units_of(leaf_of(entry))
                if level in levels and (not codes or code in codes)
            ]
            for day, measures in entry["days"].items():
                if units and date.fromisoformat(day) in period:
                    for unit in units:
                        _add_to(tallies[unit], measures)


def _add_to(tally: dict[str, int], measures: Mapping[str, int]) -> None:
    for measure, count in measures.items():
        tally[measure] = tally.get(measure, 0) + count


async def _span(cells: Cells, session: Session, changes: Sequence[Document]) -> tuple[str, str] | None:
    months = {day[:7] for row in changes for entry in row["leaves"] for day in entry["days"]}
    national = {"level": "national", "code": NATIONAL_CODE}
    for direction in (1, -1):
        async for row in cells.find(national, {"month": 1}, session=session).sort("month", direction).limit(1):
            months.add(row["month"])
    return (min(months), max(months)) if months else None
