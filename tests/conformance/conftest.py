"""Each case has its own group, topic and store."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from shared.bus import ensure_topics
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.conformance.bookkeeper import TOPIC
from tests.conformance.ledger import Ledger
from tests.support.counting import counting_settings


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str) -> ServiceSettings:
    made = counting_settings(
        mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence, service="bookkeeper"
    )
    return made.model_copy(update={"batch_records": 200, "graceful_timeout_s": 5, "watch_every_s": 2})


@pytest.fixture
async def topic(settings: ServiceSettings) -> str:
    await ensure_topics(settings, [settings.topic(TOPIC)])
    return settings.topic(TOPIC)


@pytest.fixture
async def ledger(settings: ServiceSettings) -> AsyncIterator[Ledger]:
    async with aclosing(Ledger(settings)) as made:
        yield made
