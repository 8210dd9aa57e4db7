"""All four services in the test's own process, each on a port of its own, as commands reach them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI

import services.catalogue.app
import services.referral.app
import services.reporting.app
import services.tracking.app
from deploy.addresses import Addresses
from deploy.local import free_port
from services.catalogue.settings import CatalogueSettings
from services.referral.settings import ReferralSettings
from services.reporting.settings import ReportingSettings
from services.tracking.settings import TrackingSettings
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.settings import ServiceSettings
from tests.support.probe import eventually


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application on a port of its own; its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="on"))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started or serving.done()

    await eventually(started, within_s=60)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def deployment(base: ServiceSettings) -> AsyncIterator[Addresses]:
    """All four services on the broker's topics of this prefix."""
    await ensure_topics(base, [base.topic(name) for name in TOPICS])
    same = base.model_dump(exclude={"service", "port"})
    apps = {
        "catalogue": services.catalogue.app.app(CatalogueSettings(**same)),
        "referral": services.referral.app.app(ReferralSettings(**same, require_coverage=False)),
        "tracking": services.tracking.app.app(TrackingSettings(**same)),
        "reporting": services.reporting.app.app(
            ReportingSettings(**same, fold_every_s=0.1, settle_every_s=0.1, lost_logs_every_s=0.2)
        ),
    }
    async with AsyncExitStack() as stack:
        yield Addresses(**{name: await stack.enter_async_context(served(app)) for name, app in apps.items()})


async def register(addresses: Addresses, count: int) -> None:
    """So many young people come by themselves."""
    async with httpx.AsyncClient(base_url=addresses.referral) as referral:
        for number in range(count):
            body = {
                "on": "2013-04-10",
                "family_name": f"NOM{chr(65 + number)}",
                "given_names": "ZOE",
                "birth_date": "1995-07-01",
                "sex": "F",
                "commune": "13201",
            }

            async def accepted(body: dict[str, str] = body) -> bool:
                return (await referral.post("/v1/youths", json=body)).status_code == 201

            await eventually(accepted, within_s=30)


async def detected(addresses: Addresses) -> int:
    async with httpx.AsyncClient(base_url=addresses.reporting) as reporting:
        rows = (await reporting.get("/v1/indicators")).json()["rows"]
        return int(rows[0]["activity"]["detected"]) if rows else 0
