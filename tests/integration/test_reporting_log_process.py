"""The process that reads the log for another, when it is killed: nobody is given less for it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from services.reporting.app import TOPICS
from services.reporting.history.cuts import Cut
from services.reporting.history.jobs import Sums, SumsJob
from services.reporting.history.process import Broken, LogProcess
from services.reporting.settings import ReportingSettings
from shared.bus import Log, ensure_topics
from tests.backends import Kafka
from tests.support.lives import population
from tests.support.oracle import Happened
from tests.support.probe import eventually
from tests.support.reporting import send, settings_of


@pytest.fixture
def events() -> list[Happened]:
    return population(20, seed=4)


@pytest.fixture
async def settings(
    mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str, events: list[Happened]
) -> ReportingSettings:
    made = settings_of(mongo_url, kafka, db_name, topic_prefix)
    await ensure_topics(made, [made.topic(name) for name in TOPICS])
    await send(made, events)
    return made


@pytest.fixture
async def job(settings: ReportingSettings) -> SumsJob:
    log = Log(settings)
    try:
        ends = await log.end_offsets([settings.topic(name) for name in TOPICS])
    finally:
        await log.close()
    return SumsJob(dict(ends), Cut())


@pytest.fixture
async def process(settings: ReportingSettings) -> AsyncIterator[LogProcess]:
    made = LogProcess(settings)
    yield made
    await made.close()


async def kill(process: LogProcess) -> None:
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    await process._process.wait()


def youths(events: list[Happened]) -> int:
    return len({happened.event.youth_id for happened in events})


async def test_one_that_was_killed_while_it_had_nothing_to_do_is_started_anew_unnoticed(
    process: LogProcess, job: SumsJob, events: list[Happened]
) -> None:
    for _ in range(2):
        result = await process.do(job)
        assert isinstance(result, Sums)
        assert (result.youths, result.records) == (youths(events), len(events))
        await kill(process)


async def test_who_waits_for_one_that_is_killed_is_told_and_may_ask_again(
    process: LogProcess, job: SumsJob, events: list[Happened]
) -> None:
    waiting = asyncio.create_task(process.do(job))

    async def has_begun() -> bool:
        return process._process is not None

    await eventually(has_begun)
    await kill(process)
    with pytest.raises(Broken, match="has ended"):
        await waiting
    again = await process.do(job)
    assert isinstance(again, Sums)
    assert again.youths == youths(events)
