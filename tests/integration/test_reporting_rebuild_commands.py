"""`foquale verify` and `foquale rebuild` as a person at the terminal sees them, on four running services."""

from datetime import date

import pytest
import typer
from msgspec import structs

from deploy.cli.failures import Failure
from deploy.cli.rebuild import rebuild, verify
from services.reporting import compact
from shared.mongo import Mongo
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.deployment import deployment, detected, register
from tests.support.probe import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


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
