"""Kafka clients beside the consumers and the producer: started to the end, even when cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient

from shared.settings import ServiceSettings

ANSWER_MS: Final = 10_000


async def admin_client(settings: ServiceSettings) -> AIOKafkaAdminClient:
    """A connected admin client; to be closed by the caller."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=ANSWER_MS)
    await to_the_end(admin.start(), admin.close)
    return admin


async def to_the_end(start: Coroutine[Any, Any, None], stop: Callable[[], Awaitable[None]]) -> None:
    """Start a client, and stop it if that fails. A cancel waits for it: half started, it would leave a connection."""
    starting = asyncio.ensure_future(start)
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.gather(starting, return_exceptions=True)
        await stop()
        raise
