"""Tries dead letters that may heal again by themselves: after a minute, then with pauses that double.

A handler that failed may have met what is mended since: a bug, a missing index, a full disk. What nobody can read does
not heal by waiting, and is left to a person.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from shared import dead_letters
from shared.consumer import BatchConsumer, comes_again
from shared.mongo import Document
from shared.observability import describe
from shared.settings import ServiceSettings
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

_LONGEST_SLEEP_S = 5.0


class DeadLetterRetries:
    """Retries one service's dead letters; `consumers` by the topic they read. Any number of replicas may do it."""

    def __init__(
        self, unit_of_work: UnitOfWork, consumers: Mapping[str, BatchConsumer], settings: ServiceSettings
    ) -> None:
        self._uow = unit_of_work
        self._mongo = unit_of_work.mongo
        self._consumers = consumers
        self._settings = settings
        self._clock = unit_of_work.clock

    async def run(self) -> None:
        """Try what is due, for as long as the service runs."""
        while True:
            while await self.try_next():
                pass
            await asyncio.sleep(min(_LONGEST_SLEEP_S, self._settings.retry_first_s / 2))

    async def try_next(self) -> bool:
        """Try the dead letter that has been due for the longest; whether there was one."""
        row = await self._claim()
        if row is None:
            return False
        consumer = self._consumers.get(row["topic"])
        if consumer is None:
            reason: tuple[str, str] | None = ("topic_not_read", "this service no longer reads the topic")
        else:
            try:
                reason = await consumer.replay(dead_letters.record_of(row))
            except Exception as error:
                if not comes_again(error):
                    raise
                log.info("dead_letter_waits", id=row["_id"], error=describe(error))
                return True  # it is due again after its pause
        ends = reason is not None and (
            reason[0] != dead_letters.MAY_HEAL or self._tries(row) >= self._settings.retry_most
        )
        await dead_letters.mark(
            self._uow,
            row["_id"],
            reason=reason,
            by="schedule",
            **({"next_try_at": None} if ends else {}),
        )
        log.info("dead_letter_tried", id=row["_id"], code=reason[0] if reason else "replayed")
        return True

    async def _claim(self) -> Document | None:
        """One that is due, put off to its next time, so that no other replica takes it and a crash forgets nothing."""
        now = self._clock()
        due = {"state": "waiting", "next_try_at": {"$lte": now}}
        row = await self._mongo[dead_letters.COLLECTION].find_one(due, sort=[("next_try_at", 1)])
        if row is None:
            return None
        pause = min(self._settings.retry_longest_s, self._settings.retry_first_s * 2 ** min(self._tries(row), 32))
        return (
            await self._mongo[dead_letters.COLLECTION].find_one_and_update(
                {"_id": row["_id"], **due, "next_try_at": row["next_try_at"]},
                {"$set": {"next_try_at": now + timedelta(seconds=pause)}, "$inc": {"tries": 1}},
            )
            or await self._claim()
        )

    @staticmethod
    def _tries(row: Document) -> int:
        """How often the schedule has tried it, this time included."""
        return int(row.get("tries", 0)) + 1
