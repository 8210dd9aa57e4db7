"""Keeps watch over a service's consumers: measures how far they are behind, and starts one anew that has stalled."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog

from shared.bus import Bus, BusError
from shared.observability import Metrics, describe
from shared.watch import Watch

log = structlog.get_logger(__name__)

_PATIENCE_S = 10.0
_RESTART_S = 60.0


class Vigil:
    """One look at every subscription each `every_s` seconds. `stall_s`: see `Watch`."""

    def __init__(self, bus: Bus, metrics: Metrics, *, every_s: float, stall_s: float) -> None:
        self._bus = bus
        self._metrics = metrics
        self._every_s = every_s
        self._stall_s = stall_s
        self._watches: list[Watch] = []
        self._seen_at = monotonic()
        self._failing_since: dict[int, float] = {}
        self._hopeless: dict[int, str] = {}

    async def run(self) -> None:
        """Watch for as long as the service runs."""
        self._watches = [Watch(self._stall_s) for _ in self._bus.subscriptions]
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look once at every subscription, and start anew what has stalled."""
        for number, watch in enumerate(self._watches):
            progress = self._bus.subscriptions[number]
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    seen = await self._bus.look(number)
            except (BusError, OSError) as error:
                # Nobody can tell how far anything is; that the broker is away, /ready says by itself.
                log.info("look_failed", topics=progress.topics, error=describe(error))
                continue
            self._seen_at = monotonic()
            reason = watch.see(seen)
            if seen.failing:
                self._failing_since.setdefault(number, self._seen_at)
            else:
                self._failing_since.pop(number, None)
            self._metrics.watched(progress.topics, watch.lag, watch.staleness_s)
            if reason is not None:
                await self._start_anew(number, watch, reason)
            else:
                self._hopeless.pop(number, None)

    async def _start_anew(self, number: int, watch: Watch, reason: str) -> None:
        topics = self._bus.subscriptions[number].topics
        log.error("consumer_starts_anew", topics=topics, reason=reason)
        self._metrics.consumer_restarts.inc()
        watch.begin_anew()
        try:
            async with asyncio.timeout(_RESTART_S):
                await self._bus.start_anew(number)
            self._hopeless.pop(number, None)
        except (BusError, OSError) as error:
            log.error("consumer_not_started", topics=topics, error=describe(error))  # noqa: TRY400  a traceback may name a youth
            self._hopeless[number] = f"the consumer of {self._names(number)} stalled ({reason}) and did not start anew"

    def stuck(self) -> Sequence[str]:
        """What only a new process mends: a consumer that stalled and could not be started anew."""
        return list(self._hopeless.values())

    def failing(self) -> Sequence[str]:
        """Subscriptions whose batches fail and come again, and since when."""
        now = monotonic()
        return [
            f"batches of {self._names(number)} have failed for {now - since:.0f} s; they come again"
            for number, since in self._failing_since.items()
            if now - since >= self._every_s
        ]

    def _names(self, number: int) -> str:
        return ", ".join(self._bus.subscriptions[number].topics)
