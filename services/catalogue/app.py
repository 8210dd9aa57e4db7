"""The catalogue put together: settings, store, what it reads, what it answers, what it does by itself."""

from datetime import timedelta

from fastapi import FastAPI

from services.catalogue import api, handlers
from services.catalogue.expiry import sweeper
from services.catalogue.seats import HoldRules
from services.catalogue.seeding import seed
from services.catalogue.settings import CatalogueSettings
from services.catalogue.store import COLLECTIONS, INDEXES
from shared.clock import Clock, utc_now
from shared.consumer import Table
from shared.events import ContractEnded, ContractSigned, InterviewDone, PlacementAccepted, PlacementDeclined
from shared.reference import load
from shared.service import Service

READS = ("referral.events", "tracking.events")

TABLE: Table = {
    InterviewDone: handlers.on_interviews_done,
    PlacementAccepted: handlers.on_placements_moved,
    PlacementDeclined: handlers.on_placements_moved,
    ContractSigned: handlers.on_placements_moved,
    ContractEnded: handlers.on_placements_moved,
}


def app(settings: CatalogueSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """The catalogue's ASGI application."""
    settings = settings or CatalogueSettings()
    service = Service(settings, collections=COLLECTIONS, indexes=INDEXES, clock=clock)
    mongo, unit_of_work, reference = service.mongo, service.unit_of_work, load()
    rules = HoldRules(timedelta(days=settings.hold_days), timedelta(seconds=settings.expiry_grace_s))

    service.consume(READS, TABLE)

    if settings.seed:

        async def seed_reference() -> None:
            await seed(mongo, unit_of_work, reference)

        service.before_start(seed_reference)

    service.in_background(sweeper(mongo, unit_of_work, rules, service.metrics, every_s=settings.expiry_poll_s))

    return service.app(
        "catalogue",
        [
            api.placement_routes(mongo, rules),  # first, as most requests are offers
            api.network_routes(mongo, reference),
            api.platform_routes(mongo, reference, clock),
            api.solution_routes(mongo, reference),
        ],
    )
