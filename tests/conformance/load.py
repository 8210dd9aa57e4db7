"""What is sent: events of some youths, one after another, at once or for as long as a test goes on."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from shared.envelope import Envelope, to_headers
from tests.support.counting import contact
from tests.support.probe import Raw, eventually


def events(number: int, *, youths: int = 20, first: int = 0) -> list[Envelope]:
    """So many events, the youths taking turns; an event's identifier tells its place."""
    return [contact(f"e{n:05}", f"y{n % youths:02}") for n in range(first, first + number)]


def ids(sent: Sequence[Envelope]) -> list[str]:
    """Their identifiers."""
    return [event.id for event in sent]


async def send(bootstrap: str, topic: str, *records: Envelope | Raw) -> list[tuple[int, int]]:
    """Put records into the log, in order; the partition and offset of each."""
    async with Sender(bootstrap, topic) as sender:
        futures = [await sender.give(record) for record in records]
        await sender.flush()
        return [(done.partition, done.offset) for done in await asyncio.gather(*futures)]


class Sender:
    """A producer that waits for all replicas' word."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", max_request_size=2 * 1024**2)
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def flush(self) -> None:
        await self._producer.flush()

    async def give(self, record: Envelope | Raw) -> "asyncio.Future[Any]":
        """Hand it to the client; the future is the broker's word on it."""
        key: bytes | None
        value: bytes | None
        headers: list[tuple[str, bytes | None]]
        if isinstance(record, Envelope):
            key, value = record.subject.encode(), record.data
            headers = [(name, text.encode()) for name, text in to_headers(record).items()]
        else:
            key, value, headers = record[0], record[1], list(record[2])
        future: asyncio.Future[Any] = await self._producer.send(self._topic, value, key=key, headers=headers)
        return future


class Load(Sender):
    """Sends events for as long as it is open, so many a second. `sent` are those that the broker has."""

    def __init__(self, bootstrap: str, topic: str, *, per_s: int = 250) -> None:
        super().__init__(bootstrap, topic)
        self._per_s = per_s
        self._open = True
        self.sent: list[Envelope] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.finish()
        finally:
            await super().__aexit__(kind, error, trace)

    async def finish(self) -> None:
        """Send no more; all that was sent is in the log."""
        self._open = False
        await self._task

    async def _run(self) -> None:
        while self._open:
            some = events(max(1, self._per_s // 20), first=len(self.sent))
            futures = [await self.give(event) for event in some]
            await asyncio.gather(*futures)
            self.sent += some
            await asyncio.sleep(0.05)  # the pace

    async def more(self, number: int, *, within_s: float = 30.0) -> None:
        """Wait until so many more are sent."""
        goal = len(self.sent) + number

        async def there() -> bool:
            if self._task.done():
                self._task.result()
            return len(self.sent) >= goal

        await eventually(there, within_s=within_s, what=f"{number} more events sent")
