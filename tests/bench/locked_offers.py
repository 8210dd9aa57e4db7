"""Offers as a simple service would make them, to compare with: `python -m tests.bench.locked_offers`.

The catalogue's own HTTP, checks, store and relay, but an exclusive lock per solution, a document in the store that all
replicas see, is held around reading, deciding and writing; each offer is a transaction of its own.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from services.catalogue import api, seats
from services.catalogue.app import READS, TABLE
from services.catalogue.inputs import OfferInput
from services.catalogue.seats import HoldRules, Wanted
from services.catalogue.settings import CatalogueSettings
from services.catalogue.store import COLLECTIONS, INDEXES
from services.catalogue.views import PlacementView
from shared.clock import random_id
from shared.mongo import DuplicateKeyError, Mongo
from shared.observability import current_trace
from shared.problems import Problem
from shared.reference import load
from shared.service import Service, serve
from shared.unit_of_work import Tx

_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05
_LEASE: Final = timedelta(seconds=30)  # a holder that died


@asynccontextmanager
async def locked(mongo: Mongo, solution_id: str) -> AsyncIterator[None]:
    """Hold the lock of a solution; whoever finds it held tries again after a pause that grows."""
    owner, pause = random_id(), _FIRST_PAUSE_S
    while True:
        now = datetime.now(UTC)
        try:
            await mongo["locks"].update_one(
                {"_id": solution_id, "until": {"$lt": now}},
                {"$set": {"owner": owner, "until": now + _LEASE}},
                upsert=True,
            )
            break
        except DuplicateKeyError:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
    try:
        yield
    finally:
        await mongo["locks"].delete_one({"_id": solution_id, "owner": owner})


def placement_routes(service: Service, rules: HoldRules) -> APIRouter:
    """Offers, each under its solution's lock."""
    routes = APIRouter()

    @routes.post("/v1/placements", status_code=201, response_model=PlacementView)
    async def offer_place(body: OfferInput) -> JSONResponse:
        wanted = Wanted(body.youth_id, body.solution_id, body.session_id, body.on, current_trace())

        async def offer(tx: Tx) -> dict[str, object]:
            (outcome,) = await seats.offer(tx, rules, [wanted])
            if isinstance(outcome, Problem):
                raise outcome
            return PlacementView.of(outcome).answer()

        async with locked(service.mongo, body.solution_id):
            answer = await service.unit_of_work.run(offer)
        return JSONResponse(answer, status_code=201)

    return routes


def app(settings: CatalogueSettings) -> FastAPI:
    """The ASGI application."""
    service = Service(settings, collections=(*COLLECTIONS, "locks"), indexes=INDEXES)
    rules = HoldRules(timedelta(days=settings.hold_days), timedelta(seconds=settings.expiry_grace_s))
    reference = load()
    service.consume(READS, TABLE)
    return service.app(
        "catalogue with locks",
        [
            api.network_routes(service.mongo, reference),
            api.solution_routes(service.mongo, reference),
            placement_routes(service, rules),
        ],
    )


if __name__ == "__main__":
    made = CatalogueSettings()
    serve(app(made), made)
