"""Which builds of the projection there are, and the one that runs: asked for over HTTP, done in the background.

builds   one document a build: `kind`, `generation`, `state` (running, done, refused, failed), `read` and `of`
(records), `youths`, `differences` of a verification, `held_ms` (how long the live consumers were held),
`beat_at` (a build that falls silent has failed)
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Literal

import structlog

from services.reporting import generations
from services.reporting.generations import FACTS, Generation
from services.reporting.rebuild import Build, BuildConsumer, Ended
from shared.bus import Log
from shared.clock import random_id
from shared.mongo import Document, DuplicateKeyError, StoreError
from shared.observability import describe
from shared.problems import Problem
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

Kind = Literal["rebuild", "verification"]

BUILDS: Final = "builds"
_SILENT: Final = timedelta(seconds=30)
_BEAT_S: Final = 0.5


class Builds:
    """One build at a time. `consumer` makes the consumer of a generation; `topics` as the broker calls them."""

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        broker_log: Log,
        topics: Sequence[str],
        consumer: Callable[[Generation], BuildConsumer],
    ) -> None:
        self._uow = unit_of_work
        self._mongo = unit_of_work.mongo
        self._broker_log = broker_log
        self._topics = list(topics)
        self._consumer = consumer
        self._asked: asyncio.Queue[Document] = asyncio.Queue()

    async def ask(self, kind: Kind, *, anyway: bool = False) -> Document:
        """Begin a build. Problem `build_running` (409) while another one runs."""
        now, build_id = self._uow.clock(), random_id()
        await self._take_turn(build_id)
        newest = await self._mongo[BUILDS].find_one({}, {"generation": 1}, sort=[("generation", -1)])
        live = await generations.live(self._mongo)
        build: Document = {
            "_id": build_id,
            "kind": kind,
            "generation": max(live.number, newest["generation"] if newest else 0) + 1,
            "state": "running",
            "anyway": anyway,
            "read": 0,
            "of": 0,
            "youths": 0,
            "figures": None,
            "differences": None,
            "held_ms": None,
            "reason": None,
            "started_at": now,
            "beat_at": now,
            "ended_at": None,
        }
        await self._mongo[BUILDS].insert_one(build)
        self._asked.put_nowait(build)
        return build

    async def find(self, build_id: str, kind: Kind) -> Document | None:
        """A build as it stands; one that fell silent has failed."""
        build = await self._mongo[BUILDS].find_one({"_id": build_id, "kind": kind})
        if build and build["state"] == "running" and self._uow.clock() - build["beat_at"] > _SILENT:
            build |= {"state": "failed", "reason": "its process has ended; begin again"}
        return build

    async def projection(self) -> Document:
        """The live projection: its generation, since when it is live (None: from the beginning), and its youths."""
        live = await generations.live(self._mongo)
        build = await self._mongo[BUILDS].find_one({"generation": live.number, "state": "done"}, {"ended_at": 1})
        youths = await self._mongo[live.collection(FACTS)].estimated_document_count()
        return {"generation": live.number, "since": build["ended_at"] if build else None, "youths": youths}

    async def run(self) -> None:
        """Do what is asked of this replica, for as long as the service runs."""
        while True:
            build = await self._asked.get()
            beating = asyncio.create_task(self._beat(build))
            try:
                await self._do(build)
            finally:
                beating.cancel()

    async def _do(self, build: Document) -> None:
        new = Generation(build["generation"])
        try:
            live = await generations.live(self._mongo)
            await Build(self._uow, self._broker_log, self._topics, self._consumer(new), build, new, live).run()
        except Ended as end:
            await self._end(build, end.state, end.reason)
        except asyncio.CancelledError:
            await self._end(build, "failed", "it was interrupted; begin again")
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the live projection goes on, and the asker is told
            log.error("build_failed", build=build["_id"], error=describe(error))  # noqa: TRY400  a traceback may name a youth
            await self._end(build, "failed", f"{type(error).__name__}: the service's log says where; begin again")
        else:
            await self._end(build, "done", None)

    async def _take_turn(self, build_id: str) -> None:
        now = self._uow.clock()
        try:
            await self._mongo["leases"].update_one(
                {"_id": "build", "until": {"$lt": now}},
                {"$set": {"build": build_id, "until": now + _SILENT}},
                upsert=True,
            )
        except DuplicateKeyError as error:
            held = await self._mongo["leases"].find_one({"_id": "build"}) or {}
            raise Problem(
                409,
                "build_running",
                f"build {held.get('build')} is running; wait for its end, or look how far it is",
                build_id=held.get("build"),
            ) from error

    async def _beat(self, build: Document) -> None:
        """Tell how far the build is, and that it lives."""
        while True:
            now = self._uow.clock()
            told = {name: build[name] for name in ("read", "of", "youths")} | {"beat_at": now}
            try:
                await self._mongo["leases"].update_one(
                    {"_id": "build", "build": build["_id"]}, {"$set": {"until": now + _SILENT}}
                )
                await self._mongo[BUILDS].update_one({"_id": build["_id"], "state": "running"}, {"$set": told})
            except StoreError as error:
                log.info("beat_failed", error=describe(error))
            await asyncio.sleep(_BEAT_S)

    async def _end(self, build: Document, state: str, reason: str | None) -> None:
        now = self._uow.clock()
        build |= {"state": state, "reason": reason, "beat_at": now, "ended_at": now}
        # In this order: who sees that this one has ended may begin the next.
        await self._mongo["leases"].delete_one({"_id": "build", "build": build["_id"]})
        await self._mongo[BUILDS].replace_one({"_id": build["_id"]}, build)
