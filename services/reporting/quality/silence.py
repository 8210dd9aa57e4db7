"""Exports for how long each upstream base has been silent, so that an alarm can ring."""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from services.reporting.quality.quality import Quality

_EVERY_S: Final = 30.0


class Silences:
    """`foquale_source_silence_days` by upstream base; none for one that was never heard of."""

    def __init__(self, quality: Quality, registry: CollectorRegistry) -> None:
        self._quality = quality
        self._gauge = Gauge(
            "foquale_source_silence_days",
            "Days since a row of the upstream base was last read",
            ["source"],
            registry=registry,
        )

    async def run(self) -> None:
        """Look now and then, for as long as the service runs."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Look now."""
        for source, days in (await self._quality.silences()).items():
            self._gauge.labels(source=source).set(days)
