"""A period's files as they are published: made together from figures of one moment, and the same from every replica.

They are kept in the store (collection `open_data`, `_id` is the period's path) and hold for a while; then whoever is
asked makes them anew. Where nothing changed they stay as they are, with the moment since when they are so. A hash in
the Data Package therefore is of the bytes that everybody serves until the next publication.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from services.reporting.answers import Answers
from services.reporting.open_data import package, tables
from services.reporting.open_data.periods import Period, begun, latest
from services.reporting.queries import IndicatorsQuery
from services.reporting.readers import PUBLIC
from shared.clock import Clock
from shared.mongo import Document, DuplicateKeyError, Mongo
from shared.problems import Problem

OPEN_DATA: Final = "open_data"
COLLECTIONS: Final = (OPEN_DATA,)

DATA_PACKAGE: Final = "datapackage.json"
_MOST_KEPT: Final = 64
_FIRST_YEAR: Final = 2000

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Publication:
    """The files of a period by name. `created`: since when they are so; `seen`: when that was last looked at."""

    files: Files
    created: datetime
    seen: datetime


class Publications:
    """What is published of each period, made anew at most once in `age_s`."""

    def __init__(self, mongo: Mongo, answers: Answers, *, clock: Clock, age_s: float) -> None:
        self._mongo = mongo
        self._answers = answers
        self._clock = clock
        self._age = timedelta(seconds=age_s)
        self.columns = package.columns()
        self._kept: dict[str, Publication] = {}
        self._making = asyncio.Lock()

    async def of(self, period: Period) -> Publication:
        """The publication of a period; 404 `period_not_begun`."""
        self._refuse_later(period)
        while True:
            kept = self._kept.get(period.path)
            if kept is not None and self._holds(kept):
                return kept
            async with self._making:
                kept = self._kept.get(period.path)
                if kept is None or not self._holds(kept):
                    made = await self._publish(period)
                    if made is None:
                        continue  # another replica was quicker: what it made holds
                    self._kept.pop(period.path, None)
                    while len(self._kept) >= _MOST_KEPT:
                        del self._kept[next(iter(self._kept))]
                    self._kept[period.path] = kept = made
                return kept

    async def periods(self) -> tuple[date, list[Period]]:
        """Today, and all periods that have begun, from the first year with figures."""
        edition = await self._answers.edition()
        span, today = edition.figures.sums.span(), edition.as_of.date()
        return today, list(begun(max(span[0] // 12, _FIRST_YEAR) if span else today.year, today))

    def schema(self) -> package.Json:
        """The Table Schema of the indicator table."""
        return package.schema(self.columns, "indicators", self._answers.definitions)

    def _holds(self, publication: Publication) -> bool:
        return self._clock() < publication.seen + self._age

    def _refuse_later(self, period: Period) -> None:
        today = self._clock().date()
        if period.first > today:
            raise Problem(
                404,
                "period_not_begun",
                f"{period.path} begins on {period.first}: ask then, or for {latest(today).path}, the last begun",
            )

    async def _publish(self, period: Period) -> Publication | None:
        """What the store has, while that holds, else made anew; None where another replica was quicker."""
        row = await self._mongo[OPEN_DATA].find_one({"_id": period.path})
        before = None if row is None else _publication(row)
        if before is not None and self._holds(before):
            return before
        files = await self._make(period)
        now = self._clock()
        now = now.replace(microsecond=now.microsecond // 1_000 * 1_000)  # as the store has it
        unchanged = before is not None and before.files == files
        made = Publication(files, before.created if before is not None and unchanged else now, now)
        return made if await self._write(period, made, before) else None

    async def _write(self, period: Period, made: Publication, before: Publication | None) -> bool:
        """Whether nobody has published the period meanwhile."""
        files = [{"name": name, "body": body} for name, body in made.files.items()]
        fields = {"files": files, "created": made.created, "seen": made.seen}
        if before is not None:
            mine = {"_id": period.path, "seen": before.seen}
            return (await self._mongo[OPEN_DATA].update_one(mine, {"$set": fields})).matched_count == 1
        try:
            await self._mongo[OPEN_DATA].insert_one({"_id": period.path, **fields})
        except DuplicateKeyError:
            return False
        return True

    async def _make(self, period: Period) -> Files:
        """The tables' files, of now."""
        query = {"by": ("national", "academie"), "from": period.first, "to": period.last}
        edition = await self._answers.edition()
        rows = self._answers.rows(IndicatorsQuery.model_validate(query), edition, PUBLIC)
        definitions = self._answers.definitions
        table = tables.indicators(period, rows, definitions)
        names = package.names(self.columns, "indicators")
        return {
            "indicators.csv": tables.as_csv(table, names),
            "indicators.json": tables.as_json(table, names),
            "definitions.csv": tables.as_csv(
                tables.definitions_of(table, definitions), package.names(self.columns, "definitions")
            ),
        }

    def file(self, period: Period, publication: Publication, name: str) -> bytes:
        """A file of a publication; the Data Package follows from the others."""
        if name != DATA_PACKAGE:
            return publication.files[name]
        described = package.package(
            period, publication.files, publication.created, self.columns, self._answers.definitions
        )
        return msgspec.json.format(msgspec.json.encode(described), indent=2)


def _publication(row: Document) -> Publication:
    files: dict[str, bytes] = {file["name"]: bytes(file["body"]) for file in row["files"]}
    return Publication(files, row["created"].astimezone(UTC), row["seen"].astimezone(UTC))
