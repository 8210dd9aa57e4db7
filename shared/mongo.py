"""MongoDB, in one place: the only module that imports Motor, so that moving to PyMongo's async client is one file.

Everything outside uses calls that are the same in both clients, and `transaction` and `watch` for those that differ.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bson.timestamp import Timestamp
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from shared.ending import asked_to_end

__all__ = [
    "Collection",
    "Database",
    "DeleteOne",
    "Document",
    "DuplicateKeyError",
    "Index",
    "InsertOne",
    "Moment",
    "Mongo",
    "ReplaceOne",
    "Session",
    "StoreError",
    "UpdateOne",
    "Write",
    "by_kind",
    "moment_of",
]

Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]
Collection = AsyncIOMotorCollection[Document]
Session = AsyncIOMotorClientSession
Moment = Timestamp
StoreError = PyMongoError

Write = InsertOne[Document] | ReplaceOne[Document] | UpdateOne | DeleteOne

T = TypeVar("T")

_MAJORITY = WriteConcern(w="majority", j=True)
_SNAPSHOT = ReadConcern("snapshot")
_DUPLICATE_KEY = 11000
_WRITE_CONFLICT = 112
_QUERY_PLAN_KILLED = 175
_MOST_AT_ONCE = 8_000  # documents of about 500 bytes


@dataclass(frozen=True)
class Index:
    """An index with an explicit name; the same name with other keys fails the start, loudly."""

    collection: str
    name: str
    keys: Sequence[tuple[str, int]]
    options: Mapping[str, Any] = field(default_factory=dict)


class Mongo:
    """One service's own database. Majority and journalled writes; transactions read a snapshot."""

    def __init__(self, url: str, database: str) -> None:
        self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            url,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            uuidRepresentation="standard",
            tz_aware=True,
            retryWrites=True,
            serverSelectionTimeoutMS=5_000,
            connectTimeoutMS=5_000,
            maxPoolSize=64,
        )
        self.db: Database = self._client[database]
        self._collections: dict[str, Collection] = {}

    def __getitem__(self, collection: str) -> Collection:
        found = self._collections.get(collection)
        if found is None:  # Motor makes one anew whenever it is asked for, which takes longer than what is made of it
            found = self._collections[collection] = self.db[collection]
        return found

    async def ping(self) -> None:
        """Raise `StoreError` when no primary answers."""
        await self.db.command("ping")

    async def ensure(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        """Create what is missing, so that no transaction has to create a collection. Safe for replicas side by side."""
        present = set(await self.db.list_collection_names())
        for name in sorted({*collections, *(index.collection for index in indexes)} - present):
            try:
                # The client's own check raises another error, of no code, when somebody is quicker.
                await self.db.create_collection(name, check_exists=False)
            except OperationFailure as error:
                if error.code != 48:  # NamespaceExists: another replica was quicker
                    raise
        for index in indexes:
            await self.db[index.collection].create_index(list(index.keys), name=index.name, **index.options)

    async def transaction(self, work: Callable[[Session], Awaitable[T]], *, deadline_s: float = 30.0) -> T:
        """Run `work` in one transaction (snapshot, majority, journalled) and return what it returned.

        `work` may run several times: it must touch nothing outside the session. Write conflicts and lost duplicate-key
        races are tried again with jitter until `deadline_s`; the last error is raised then. Motor's own
        `with_transaction` spins without a pause, which is why this loop exists.
        """
        try:
            return await self._transaction(work, deadline_s)
        except PyMongoError as error:
            if asked_to_end():
                # A commit that is cancelled under way goes on in its thread, and the session refuses the abort. Who
                # went on after that error would never end.
                raise asyncio.CancelledError from error
            raise

    async def _transaction(self, work: Callable[[Session], Awaitable[T]], deadline_s: float) -> T:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + deadline_s
        attempt = 0
        async with await self._client.start_session() as session:
            while True:
                try:
                    async with session.start_transaction(
                        read_concern=_SNAPSHOT, write_concern=_MAJORITY, read_preference=ReadPreference.PRIMARY
                    ):
                        result = await work(session)
                        await _commit(session, give_up_at, loop)
                        return result
                except PyMongoError as error:
                    attempt += 1
                    if not _worth_another_try(error, attempt) or loop.time() >= give_up_at:
                        raise
                await asyncio.sleep(random.uniform(0.0, min(0.25, 0.002 * 2 ** min(attempt, 7))))  # noqa: S311 jitter

    async def insert(self, collection: str, documents: Sequence[Document], session: Session) -> bool:
        """Insert all of them, in a transaction; False, and the transaction is lost, when one is there already.

        Like `update` for many documents at once: several times quicker than a `bulk_write`.
        """
        for some in _portions(documents):
            answer = await self.db.command("insert", collection, documents=some, session=session)
            if answer.get("writeErrors"):
                return False
        return True

    async def update(
        self, collection: str, updates: Sequence[tuple[Document, Document]], session: Session, *, upsert: bool = False
    ) -> bool:
        """For each pair, update the document that fits the first by the second; False when one fits none.

        With `upsert` it is made where there is none with its `_id`.
        """
        for some in _portions(updates):
            answer = await self.db.command(
                "update",
                collection,
                updates=[{"q": query, "u": change, "upsert": upsert} for query, change in some],
                session=session,
            )
            if answer.get("writeErrors") or answer["n"] < len(some):
                return False
        return True

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """A session that reads everything as it is at its first read, for some minutes (the server's history)."""
        async with await self._client.start_session(snapshot=True) as session:
            yield session

    @asynccontextmanager
    async def watch(self, collection: str) -> AsyncIterator[AsyncIterator[Document]]:
        """Changes of a collection as they come: a wake-up, never a source of truth."""
        async with self.db[collection].watch([], max_await_time_ms=1_000) as stream:
            yield stream

    @asynccontextmanager
    async def follow(
        self, pipeline: Sequence[Mapping[str, Any]], since: Moment
    ) -> AsyncIterator[AsyncIterator[Document]]:
        """Changes in the database from a moment on (`moment_of`), in the order of commits. `StoreError` once some are
        no longer there; what is at that very moment may be in the snapshot as well.
        """
        async with self.db.watch(list(pipeline), start_at_operation_time=since, max_await_time_ms=1_000) as stream:
            yield stream

    def aggregate(
        self, collection: str, pipeline: Sequence[Mapping[str, Any]], session: Session | None = None
    ) -> AsyncIterator[Document]:
        """The documents an aggregation gives."""
        return self.db[collection].aggregate(list(pipeline), session=session, allowDiskUse=True)

    async def drop(self) -> None:
        """Drop the whole database (tests)."""
        await self._client.drop_database(self.db.name)

    async def close(self) -> None:
        self._client.close()


def moment_of(session: Session) -> Moment:
    """The moment of a `snapshot`, once something was read in it."""
    moment: Moment | None = session.delegate._snapshot_time  # noqa: SLF001  the client has no public name for it
    if moment is None:
        raise ValueError("nothing was read in this snapshot yet")
    return moment


async def _commit(session: Session, give_up_at: float, loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            await session.commit_transaction()
            return
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult") or loop.time() >= give_up_at:
                raise
            await asyncio.sleep(0.05)


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as a command may hold: 16 MB."""
    for begin in range(0, len(items), _MOST_AT_ONCE):
        yield items[begin : begin + _MOST_AT_ONCE]


def _worth_another_try(error: PyMongoError, attempt: int) -> bool:
    if error.has_error_label("TransientTransactionError"):
        return True
    if isinstance(error, BulkWriteError):
        codes = {item.get("code") for item in (error.details or {}).get("writeErrors", [])}
        return bool(codes) and codes <= {_DUPLICATE_KEY, _WRITE_CONFLICT} and attempt <= 5
    if isinstance(error, DuplicateKeyError):
        # A fresh snapshot sees the row that was quicker; a real contradiction raises again and ends here.
        return attempt <= 5
    return isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT


def by_kind(writes: Iterable[Write]) -> list[Write]:
    """Writes that do not touch each other, laid out for one `bulk_write` in a transaction, which must stay ordered.

    Each kind goes to the store in a command of its own. Where one is refused and another still sent, as without order,
    the answer to that is all one hears: the transaction is gone, which reads like an outage and would come for ever.
    """
    return sorted(writes, key=lambda write: type(write).__name__)


def may_be_committed(error: BaseException) -> bool:
    """Whether a transaction that ended in this error may have been committed all the same."""
    return isinstance(error, PyMongoError) and error.has_error_label("UnknownTransactionCommitResult")


def was_dropped(error: BaseException) -> bool:
    """Whether a collection was dropped while it was being read."""
    return isinstance(error, OperationFailure) and error.code == _QUERY_PLAN_KILLED


def is_outage(error: BaseException) -> bool:
    """Whether the store, not the request, is at fault: worth waiting for."""
    return isinstance(error, ConnectionFailure) or (
        isinstance(error, PyMongoError)
        and (error.has_error_label("TransientTransactionError") or error.has_error_label("RetryableWriteError"))
    )
