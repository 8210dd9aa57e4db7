"""The upstream bases of a run: rows on the bus, and records that nobody can read, each until the broker has it."""

import asyncio
import json
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.events import SieiDropout
from tests.chaos.ledger import Ledger, Planted, Row

SIEI: Final = SieiDropout.TOPIC
_PATIENCE_S: Final = 120.0
Headers = list[tuple[str, bytes]]


class Feed:
    """A plain producer, acks=all. What it cannot confirm it sends again, so the log may hold a record twice."""

    def __init__(self, bootstrap: str, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        self._rng = rng
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", request_timeout_ms=8_000, linger_ms=5, retry_backoff_ms=200
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.wait_for(self._producer.stop(), 30)

    async def send(self, row: Row, cells: dict[str, Any], *, twice: bool) -> None:
        """A row as an event; `twice`: the base sends it again, as bases do."""
        headers = [(name, text.encode()) for name, text in _attributes(row.ce_id).items()]
        value = json.dumps(cells).encode()
        key = f"{cells['source']}:{cells['source_row']}".encode()
        for _ in range(2 if twice else 1):
            row.confirmed = await self._put(SIEI, key, value, headers) or row.confirmed

    async def plant(self, topic: str) -> None:
        """A record that is no event, or an event that is broken."""
        tag = f"planted-{len(self._ledger.planted)}-{self._rng.getrandbits(40):x}"
        kind = self._rng.choice(
            ("garbage", "empty", "header", "data", "minor") if topic == SIEI else ("garbage", "empty", "header")
        )
        attributes = [(name, text.encode()) for name, text in _attributes(tag).items()]
        value: bytes | None
        headers: Headers = [("chaos", tag.encode())]
        match kind:
            case "garbage":
                planted, value = Planted(tag, topic, "bad_json"), b"\xff\x00{" + tag.encode()
            case "empty":
                planted, value = Planted(tag, topic, "empty"), None
            case "header":
                planted, value = Planted(tag, topic, "bad_header"), b"{}"
                headers = [*headers, ("ce_id", b"\xff\xfe"), *attributes[1:]]
            case "data":
                planted, value, headers = Planted(tag, topic, "bad_json"), b'{"half": ', [*headers, *attributes]
            case _:
                planted, value = Planted(tag, topic, "bad_json", kept=False), b'{"birth_date": "2015-01-01", '
                headers = [*headers, *attributes]
        self._ledger.planted.append(planted)
        planted.confirmed = await self._put(topic, tag.encode(), value, headers)

    async def _put(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> bool:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _PATIENCE_S
        while loop.time() < give_up_at:
            try:
                await self._producer.send_and_wait(topic, value, key=key, headers=headers)
            except (KafkaError, OSError):
                await asyncio.sleep(0.5)
            else:
                return True
        return False


def _attributes(ce_id: str) -> dict[str, str]:
    return {
        "ce_id": ce_id,
        "ce_specversion": "1.0",
        "ce_type": SieiDropout.TYPE,
        "ce_source": "/chaos/siei",
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }


def structured(ce_id: str, cells: dict[str, Any]) -> dict[str, Any]:
    """The same event as a JSON object, for HTTP."""
    return {
        "specversion": "1.0",
        "id": ce_id,
        "source": "/chaos/siei",
        "type": SieiDropout.TYPE,
        "time": datetime.now(UTC).isoformat(),
        "data": cells,
    }
