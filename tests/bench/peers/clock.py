"""How long a peer takes."""

import time


class Clock:
    """Runs from the moment in which partitions are dealt, as reporting's does."""

    def __init__(self) -> None:
        self._began: float | None = None

    def start(self, *_dealt: object) -> None:
        """Partitions are dealt."""
        self._began = self._began or time.perf_counter()

    def seconds(self) -> float:
        """Since then."""
        assert self._began is not None, "no partitions were dealt"
        return time.perf_counter() - self._began
