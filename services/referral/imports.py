"""A SIEI list as a stream: read, judged, matched and stored as it comes in, in bounded memory.

Each few hundred rows are one transaction, with the import's counts in it: what GET tells is what has been done. While
one is written, the rows of the next are read and judged. An upload that breaks off leaves what was taken in; sent
again, with the same key or without, those rows count as repeated.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.referral.eligibility import Rejected, Row
from services.referral.handlers import Handlers
from services.referral.tallies import Origin, Refusal, refusal, taken_in
from shared.mongo import Document, DuplicateKeyError, Mongo
from shared.problems import Problem
from shared.siei_csv import COLUMNS, BrokenRow, HeaderError, RawRow, SieiReader
from shared.unit_of_work import Tx, UnitOfWork

_COUNTS = ("rows", "accepted", "matched", "disputed", "repeated")
_SILENCE = timedelta(seconds=60)
_DEADLINE_S = 120.0
_AT_ONCE = 100  # rows judged before others have their turn


@dataclass
class _Chunk:
    """Rows of one transaction."""

    rows: list[Row] = field(default_factory=list)
    errors: list[Document] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.errors)


class Imports:
    """Takes lists in."""

    def __init__(self, unit_of_work: UnitOfWork, handlers: Handlers) -> None:
        self._uow = unit_of_work
        self._handlers = handlers

    async def begin(self, import_id: str, key: str | None) -> tuple[str, bool]:
        """Begin an import: its identifier, and whether its list is to be taken in now.

        What this `Idempotency-Key` began before is not begun again, unless it broke off.
        """
        if key:
            before = await self._uow.mongo["imports"].find_one({"key": key})
            if before:
                return before["_id"], await self._begin_anew(before)
        try:
            await self._uow.mongo["imports"].insert_one(
                {"_id": import_id, **({"key": key} if key else {}), **self._begun()}
            )
        except DuplicateKeyError as error:
            before = await self._uow.mongo["imports"].find_one({"key": key}) if key else None
            if before:
                return before["_id"], False
            raise Problem(
                409, "import_exists", f"there is an import {import_id!r} already; choose another id"
            ) from error
        return import_id, True

    def _begun(self) -> Document:
        now = self._uow.clock()
        counts = {**dict.fromkeys(_COUNTS, 0), "rejected": {}, "warnings": {}}
        return {"state": "running", **counts, "begun_at": now, "beat_at": now}

    async def _begin_anew(self, before: Document) -> bool:
        """Begin an import again that broke off: its rows count from 0. False when it runs or is done."""
        if before["state"] != "failed" and not self._silent(before):
            return False
        as_it_was = {"_id": before["_id"], "state": before["state"], "beat_at": before["beat_at"]}
        begun = await self._uow.mongo["imports"].update_one(
            as_it_was, {"$set": self._begun(), "$unset": {"reason": "", "ended_at": ""}}
        )
        if begun.modified_count == 0:
            return False  # the same request, sent twice at once: the other one takes it in
        await self._uow.mongo["import_errors"].delete_many({"import_id": before["_id"]})
        return True

    def _silent(self, row: Document) -> bool:
        """Whether an import that should run has not been heard of for long: its process has died."""
        return bool(row["state"] == "running" and self._uow.clock() - row["beat_at"] > _SILENCE)

    async def run(self, import_id: str, body: AsyncIterator[bytes]) -> None:
        """Take in the list that `body` holds."""
        writing: asyncio.Task[None] | None = None
        try:
            async for chunk in self._chunks(import_id, body):
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write(import_id, chunk))
            if writing is not None:
                await writing
        except HeaderError as error:
            await self._end(import_id, "failed", str(error))
            raise Problem(
                400,
                "bad_header",
                str(error),
                import_id=import_id,
                columns=list(COLUMNS),
            ) from error
        except BaseException as error:
            if writing is not None:
                if isinstance(error, asyncio.CancelledError):
                    writing.cancel()
                await asyncio.wait({writing})
            await self._end(import_id, "failed", f"interrupted ({type(error).__name__}); send the list again")
            raise
        await self._end(import_id, "done", None)

    async def _chunks(self, import_id: str, body: AsyncIterator[bytes]) -> AsyncIterator[_Chunk]:
        """The rows of the list, judged, as many at a time as are one transaction."""
        today = self._uow.clock().date()
        chunk = _Chunk()
        async for found in _read(body):
            for number, raw in enumerate(found, start=1):
                self._add(chunk, import_id, raw, today)
                if len(chunk) >= self._handlers.settings.rows_per_transaction:
                    yield chunk
                    chunk = _Chunk()
                elif number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        if len(chunk):
            yield chunk

    def _add(self, chunk: _Chunk, import_id: str, raw: RawRow | BrokenRow, today: date) -> None:
        judged = self._judge(raw, today)
        if isinstance(judged, Row):
            chunk.rows.append(judged)
            chunk.warnings.update(judged.warnings)
        else:
            chunk.refusals.append(refusal(raw.values, judged.code))
            chunk.errors.append(_error(import_id, raw.line, judged))

    def _judge(self, raw: RawRow | BrokenRow, today: date) -> Row | Rejected:
        judged = self._handlers.judge(raw.values, today)
        if isinstance(raw, BrokenRow) and not (isinstance(judged, Rejected) and judged.code == "under_16"):
            return Rejected("malformed", raw.field or "", raw.message)
        return judged

    async def _write(self, import_id: str, chunk: _Chunk) -> None:
        async def work(tx: Tx) -> None:
            taken = await self._handlers.intake.take(tx, chunk.rows)
            await self._handlers.begin_campaigns(tx, chunk.rows)
            origin = Origin(tx.now.date(), import_id, "list")
            tx.emit(*taken_in(origin, chunk.rows, taken, chunk.refusals))
            counts: dict[str, int] = {"rows": len(chunk), **Counter(result.outcome for result in taken)}
            rejected = Counter(each.code for each in chunk.refusals)
            counts |= {f"rejected.{code}": count for code, count in rejected.items()}
            counts |= {f"warnings.{code}": count for code, count in chunk.warnings.items()}
            await tx["imports"].update_one(
                {"_id": import_id}, {"$inc": counts, "$set": {"beat_at": tx.now}}, session=tx.session
            )
            if chunk.errors:
                await tx["import_errors"].insert_many(
                    [dict(error) for error in chunk.errors], ordered=False, session=tx.session
                )

        await self._uow.run(work, deadline_s=_DEADLINE_S)

    async def _end(self, import_id: str, state: str, reason: str | None) -> None:
        await self._uow.mongo["imports"].update_one(
            {"_id": import_id}, {"$set": {"state": state, "reason": reason, "ended_at": self._uow.clock()}}
        )

    async def find(self, import_id: str) -> Document:
        """An import as a client sees it; one that fell silent has failed."""
        row = await self._uow.mongo["imports"].find_one({"_id": import_id})
        if row is None:
            raise Problem(404, "unknown_import", f"there is no import {import_id!r}")
        return self.view(row)

    def view(self, row: Document) -> Document:
        """The counts of an import."""
        silent = self._silent(row)
        return {
            "import_id": row["_id"],
            "state": "failed" if silent else row["state"],
            **{name: row[name] for name in _COUNTS},
            "rejected": dict(sorted(row["rejected"].items())),
            "warnings": dict(sorted(row["warnings"].items())),
            "reason": "interrupted; send the list again" if silent else row.get("reason"),
            "begun_at": row["begun_at"].isoformat(),
            "ended_at": row["ended_at"].isoformat() if row.get("ended_at") else None,
        }


async def _read(body: AsyncIterator[bytes]) -> AsyncIterator[Sequence[RawRow | BrokenRow]]:
    """The rows that each piece of the list completes. HeaderError when the list has no usable header."""
    reader = SieiReader()
    async for data in body:
        yield reader.feed(data)
    yield reader.close()


async def errors(mongo: Mongo, import_id: str, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
    """Rejected rows of an import in the order of their lines, and the next page's cursor."""
    query: Document = {"import_id": import_id}
    if cursor:
        query["line"] = {"$gt": int(cursor)}
    rows = await mongo["import_errors"].find(query).sort("line", 1).limit(limit + 1).to_list(None)
    items = [{name: value for name, value in row.items() if name not in ("_id", "import_id")} for row in rows[:limit]]
    return items, str(rows[limit - 1]["line"]) if len(rows) > limit else None


def _error(import_id: str, line: int, rejected: Rejected) -> Document:
    error = {
        "_id": f"{import_id}.{line}",
        "import_id": import_id,
        "line": line,
        "field": rejected.field,
        "code": rejected.code,
        "message": rejected.message,
    }
    if rejected.value is not None:
        error["value"] = rejected.value
    if rejected.suggestion is not None:
        error["suggestion"] = rejected.suggestion
    return error
