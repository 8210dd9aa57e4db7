"""`foquale dead-letters` and `foquale replay` as a person runs them, against services at work."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from deploy.local import free_port
from shared.bus import ensure_topics
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import eventually, produce


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


async def foquale(*arguments: str, **ports: int) -> Ended:
    """Run a command with each service's port; those that are not told are where nobody listens."""
    addresses = {
        f"FOQUALE_{name.upper()}_PORT": str(ports.get(name) or free_port())
        for name in ("referral", "catalogue", "tracking", "reporting")
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *arguments),
        env={**os.environ, **addresses, "COLUMNS": "250"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err
    return Ended(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def served(counting: Counting) -> AsyncIterator[int]:
    """The service on a port of its own."""
    port = free_port()
    config = uvicorn.Config(counting.service.app("counting", []), port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())

    async def up() -> bool:
        return server.started

    try:
        await eventually(up)
        yield port
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str) -> ServiceSettings:
    return counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)


async def all_set_aside(counting: Counting, number: int) -> None:
    async def look() -> bool:
        return await counting.service.mongo["dead_letters"].count_documents({}) == number

    await eventually(look, what=f"{number} dead letters")


async def test_they_are_listed_filtered_and_replayed_and_the_exit_code_says_whether_all_went_through(
    settings: ServiceSettings,
) -> None:
    topic = settings.topic(TOPIC)
    await ensure_topics(settings, [topic])
    counting = Counting(settings)
    counting.fail_on = {f"bad{number}" for number in range(5)}
    async with served(counting) as port:
        empty = await foquale("dead-letters", "tracking", tracking=port)
        assert (empty.code, empty.out) == (0, "no dead letters\n")
        bad = [contact(f"bad{number}") for number in range(5)]
        await produce(settings.kafka_bootstrap, topic, *bad, (b"k", b"{", []), contact("good"))
        await all_set_aside(counting, 6)

        table = await foquale("dead-letters", "tracking", tracking=port)
        assert table.code == 0
        lines = [line.split() for line in table.out.splitlines() if line.startswith("tracking")]
        assert sorted(line[1] for line in lines) == ["bad_json", *["not_applicable"] * 5]
        listed = await foquale("dead-letters", "tracking", "--code", "not_applicable", "--json", tracking=port)
        items = json.loads(listed.out)
        assert {item["code"] for item in items} == {"not_applicable"}
        assert {item["service"] for item in items} == {"tracking"}
        identifiers = [item["dead_letter_id"] for item in items]
        assert all(identifier in table.out for identifier in identifiers)
        nothing = await foquale("dead-letters", "tracking", "--topic", "other", "--json", tracking=port)
        assert json.loads(nothing.out) == []

        counting.fail_on = {"bad0"}
        two = await foquale("replay", "tracking", *identifiers, tracking=port)
        assert (two.code, two.out) == (2, "4 replayed\n1 still cannot be applied: not_applicable\n")
        rest = await foquale("replay", "tracking", "--code", "not_applicable", tracking=port)
        assert (rest.code, rest.out) == (2, "0 replayed\n1 still cannot be applied: not_applicable\n")
        counting.fail_on = set()
        mended = await foquale("replay", "tracking", "--code", "not_applicable", "--topic", topic, tracking=port)
        assert (mended.code, mended.out) == (0, "1 replayed\n")
        last = await foquale("replay", "tracking", "--all", tracking=port)
        assert (last.code, last.out) == (2, "0 replayed\n1 still cannot be applied: bad_json\n")
        assert await counting.counts() == dict.fromkeys(["good", *(f"bad{number}" for number in range(5))], 1)
        done = await foquale("dead-letters", "tracking", "--state", "replayed", "--json", tracking=port)
        assert {item["replayed_by"] for item in json.loads(done.out)} == {"person"}


async def test_one_that_is_not_there_is_named(settings: ServiceSettings) -> None:
    await ensure_topics(settings, [settings.topic(TOPIC)])
    async with served(Counting(settings)) as port:
        ended = await foquale("replay", "tracking", "no.such.one", tracking=port)
    assert ended.code == 1
    assert "unknown_dead_letter" in ended.err
