"""The store goes away amid a batch: nothing is lost or doubled, and /ready says the truth."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import httpx
import pytest

from deploy.local import Mongod, free_port
from shared.settings import ServiceSettings
from tests.conformance.bookkeeper import Bookkeeper
from tests.conformance.ledger import Ledger, order_of
from tests.conformance.load import Load, ids
from tests.support.probe import eventually, running

_PAUSED_S = 30.0
_GONE_S = 8.0


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", ["paused for 30 s", "killed, and started again after some seconds"])
async def test_a_store_that_is_away_amid_a_batch_loses_nothing_and_doubles_nothing(
    settings: ServiceSettings, topic: str, tmp_path: Path, how: str
) -> None:
    gate = asyncio.Event()
    gate.set()
    waiting = asyncio.Event()

    async def wait() -> None:
        if not gate.is_set():
            waiting.set()
            await gate.wait()

    async with AsyncExitStack() as stack:
        mongod = stack.enter_context(Mongod(tmp_path / "mongod", port=free_port(), cache_gb=0.25))
        own = settings.model_copy(update={"mongo_url": mongod.url})
        ledger = await stack.enter_async_context(aclosing(Ledger(own)))
        client = await stack.enter_async_context(running(Bookkeeper(own, midway=wait).app))
        async with Load(own.kafka_bootstrap, topic, per_s=100) as load:
            await eventually(lambda: ledger.has_effects(100), within_s=20)
            await eventually(lambda: _says(client, 200), what="ready")
            gate.clear()
            await asyncio.wait_for(waiting.wait(), 10)
            if how.startswith("paused"):
                mongod.pause()
                gate.set()
                said = await _ask(client, _PAUSED_S)
                mongod.resume()
            else:
                mongod.kill()
                gate.set()
                said = await _ask(client, _GONE_S)
                mongod.start()
            assert said.keys() == {503}
            await eventually(lambda: _says(client, 200), within_s=30, what="ready again")
        await ledger.must_be_exact(ids(load.sent), within_s=60)
        assert await ledger.order() == order_of(load.sent)


async def _says(client: httpx.AsyncClient, status: int) -> bool:
    return (await client.get("/ready")).status_code == status


async def _ask(client: httpx.AsyncClient, for_s: float) -> Counter[int]:
    """What /ready answered, asked again and again for so long."""
    until = time.monotonic() + for_s
    said: Counter[int] = Counter()
    while (left := until - time.monotonic()) > 0:
        try:
            said[(await asyncio.wait_for(client.get("/ready"), left)).status_code] += 1
        except TimeoutError:
            break
        await asyncio.sleep(0.2)
    return said
