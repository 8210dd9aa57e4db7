"""Where objectives are kept: collection `objectives`, a document for each version, only ever inserted.

`_id` is year|académie|version, so of two writers who would make the same version, one has to look again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

from shared.mongo import Document, Index, Mongo
from shared.unit_of_work import Tx

OBJECTIVES: Final = "objectives"
COLLECTIONS: Final = (OBJECTIVES,)
INDEXES: Final = (Index(OBJECTIVES, "year", (("year", 1), ("academie", 1), ("version", 1))),)


@dataclass(frozen=True, slots=True)
class Version:
    """An objective as somebody set it: who (`by`), when (`at`), why (`reason`)."""

    year: int
    academie: str
    version: int
    objective: int
    by: str
    reason: str
    at: datetime


async def versions(tx: Tx, year: int, academie: str) -> list[Version]:
    """All versions of an objective, the first first."""
    rows = tx[OBJECTIVES].find({"year": year, "academie": academie}, session=tx.session).sort("version", 1)
    return [_version(row) async for row in rows]


async def insert(tx: Tx, version: Version) -> None:
    """Keep a version. Where somebody else has just made the same one, the transaction runs again."""
    key = f"{version.year}|{version.academie}|{version.version}"
    fields = {name: getattr(version, name) for name in Version.__slots__}
    await tx[OBJECTIVES].insert_one({"_id": key, **fields}, session=tx.session)


class Versions:
    """The versions of a year, read from the store at most once in `age_s` however many ask."""

    def __init__(self, mongo: Mongo, age_s: float) -> None:
        self._mongo = mongo
        self._age_s = age_s
        self._known: dict[int, tuple[float, dict[str, list[Version]]]] = {}
        self._reading = asyncio.Lock()
        self._writes = 0

    async def of(self, year: int) -> dict[str, list[Version]]:
        """By académie, the first version first."""
        asked = monotonic()
        known = self._known.get(year)
        if known is not None and asked < known[0] + self._age_s:
            return known[1]
        async with self._reading:
            known = self._known.get(year)
            if known is not None and known[0] > asked:  # read while this one waited
                return known[1]
            began, writes = monotonic(), self._writes
            found: dict[str, list[Version]] = {}
            async for row in self._mongo[OBJECTIVES].find({"year": year}).sort([("academie", 1), ("version", 1)]):
                found.setdefault(row["academie"], []).append(_version(row))
            if writes == self._writes:
                self._known[year] = (began, found)
            return found

    def forget(self, year: int) -> None:
        """Read the year anew when somebody asks: it has changed."""
        self._writes += 1  # nor keep what is being read
        self._known.pop(year, None)


def _version(row: Document) -> Version:
    return Version(**{name: row[name] for name in Version.__slots__})


def current(known: Sequence[Version]) -> Version | None:
    """The version that holds."""
    return known[-1] if known else None
