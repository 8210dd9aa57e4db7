"""The background step that lets unanswered offers expire, so that their seats can be offered again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from prometheus_client import Gauge

from services.catalogue.seat_store import Placements
from services.catalogue.seats import HoldRules, expire
from shared.mongo import Mongo
from shared.observability import Metrics
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

_BATCH = 200


async def sweep(mongo: Mongo, unit_of_work: UnitOfWork, rules: HoldRules, now: datetime) -> int:
    """Expire what is overdue, the longest first, each in a transaction of its own; how many did.

    Any number of replicas may sweep: of two at one placement, the second finds it expired.
    """
    done = 0
    while overdue := await Placements(mongo).overdue(now - rules.grace, _BATCH):
        before = done
        for placement_id in overdue:

            async def work(tx: Tx, placement_id: str = placement_id) -> bool:
                return await expire(tx, placement_id, rules)

            done += await unit_of_work.run(work)
        if done == before:
            break  # another replica is at it
    if done:
        log.info("holds_expired", placements=done)
    return done


def sweeper(
    mongo: Mongo, unit_of_work: UnitOfWork, rules: HoldRules, metrics: Metrics, *, every_s: float
) -> Callable[[], Awaitable[None]]:
    """The endless step; it keeps the gauge of seat conflicts as well."""
    conflicts = Gauge(
        "foquale_seat_conflicts",
        "Placements accepted or signed after their seat had gone, which a person has to look at",
        registry=metrics.registry,
    )

    async def expire_overdue_holds() -> None:
        while True:
            await sweep(mongo, unit_of_work, rules, unit_of_work.clock())
            conflicts.set(await Placements(mongo).conflicts())
            await asyncio.sleep(every_s)

    return expire_overdue_holds
