"""`foquale verify` and `foquale rebuild` as a person at the terminal sees them, on four running services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date

import httpx
import pytest
import typer
import uvicorn
from fastapi import FastAPI
from msgspec import structs

import services.catalogue.app
import services.referral.app
import services.reporting.app
import services.tracking.app
from deploy.addresses import Addresses
from deploy.cli.failures import Failure
from deploy.cli.rebuild import rebuild, verify
from deploy.local import free_port
from services.catalogue.settings import CatalogueSettings
from services.referral.settings import ReferralSettings
from services.reporting import compact
from services.reporting.settings import ReportingSettings
from services.tracking.settings import TrackingSettings
from shared.bus import ensure_topics
from shared.events import TOPICS
from shared.mongo import Mongo
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.probe import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


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


@pytest.fixture
async def base(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> ServiceSettings:
    """What the four services of this test share."""
    return ServiceSettings(
        service="any",
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=2,
        kafka_session_ms=2_000,
        topic_prefix=topic_prefix,
    )


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


async def test_a_drift_is_printed_and_mended_and_after_the_loss_of_the_broker_the_journals_make_the_log_whole(
    base: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with deployment(base) as addresses:
        await register(addresses, 5)

        async def all_count() -> bool:
            return await detected(addresses) == 5

        await eventually(all_count, within_s=30)
        await verify(addresses)
        assert capsys.readouterr().out.splitlines()[-1].startswith("verified: youths=5 figures=")

        mongo = Mongo(base.mongo_url, f"{base.mongo_prefix}reporting")
        youth = await mongo["facts"].find_one({}, sort=[("_id", 1)])
        assert youth is not None
        drifted = structs.replace(compact.unpack_one(youth["fact"]), detected=date(2013, 4, 11).toordinal())
        await mongo["facts"].update_one({"_id": youth["_id"]}, {"$set": {"fact": compact.pack(drifted)}})
        await mongo.close()
        with pytest.raises(typer.Exit) as exited:
            await verify(addresses)
        assert exited.value.exit_code == 1
        [difference, last] = capsys.readouterr().out.splitlines()
        assert difference == (
            f'youth {youth["_id"]} first: live {{"detected": "2013-04-11"}}, recomputed {{"detected": "2013-04-10"}}'
        )
        assert last.startswith("verified: youths=5 ")
        assert last.endswith(" differences=1")

        await rebuild("log", addresses, anyway=False)
        assert "5 youths, generation 4 is live" in capsys.readouterr().out
        await verify(addresses)
        assert capsys.readouterr().out.splitlines()[-1].endswith(" differences=0")

    empty = base.model_copy(update={"topic_prefix": f"{base.topic_prefix}empty-"})
    async with deployment(empty) as addresses:
        with pytest.raises(Failure, match=r"the log is not whole: it tells 0 facts of 0 youths.*--from journals"):
            await rebuild("log", addresses, anyway=False)
        assert await detected(addresses) == 5
        with pytest.raises(Failure, match="it is log or journals"):
            await rebuild("memory", addresses, anyway=False)
        capsys.readouterr()
        await rebuild("journals", addresses, anyway=False)
        lines = capsys.readouterr().out.splitlines()
        assert "referral: 5 events published again" in lines
        assert not [line for line in lines if line.startswith("reporting:")]
        assert "5 youths, generation 7 is live" in lines[-1]
        assert await detected(addresses) == 5
        await verify(addresses)
        assert capsys.readouterr().out.splitlines()[-1].endswith(" differences=0")
