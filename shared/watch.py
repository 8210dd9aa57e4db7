"""Judges whether a consumer still makes progress, from looks at it every few seconds; pure.

A consumer can be alive, connected and polling and yet read nothing more (after a broker's restart, after a rebalance).
Only one thing tells: the log goes on and the group's committed offsets stand still.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Partition = tuple[str, int]
"""Topic as the broker calls it, and number."""

_MOST_MARKS: Final = 720


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a subscription showed. `at` is monotonic, in seconds."""

    at: float
    begins: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    committed: Mapping[Partition, int]
    """The group's; a partition of which nothing was ever committed is not in it."""
    assigned: frozenset[Partition]
    """What this process holds."""
    in_hand_s: float = 0.0
    """How long it has had the same batch in hand; 0 when it has none."""
    failing: bool = False
    """Its last batch failed and comes again: it is at work, and what it needs is away."""
    ended: bool = False
    """Its loop has ended."""

    def applied(self, partition: Partition) -> int:
        """The offset up to which the group has applied the partition; a log made anew, or cut off, counts anew."""
        begin, end = self.begins.get(partition, 0), self.ends[partition]
        committed = self.committed.get(partition, begin)
        return committed if begin <= committed <= end else begin

    @property
    def lags(self) -> dict[Partition, int]:
        """Records in the log that are not applied, by partition."""
        return {partition: end - self.applied(partition) for partition, end in self.ends.items()}


@dataclass
class Watch:
    """Remembers the looks at one subscription. `stall_s`: after how long without progress it has stalled."""

    stall_s: float
    lag: int = 0
    staleness_s: float = 0.0
    """How old the log's newest state is of which everything is applied: 0 when all is."""
    _moved: dict[Partition, tuple[int, float]] = field(default_factory=dict)
    _assigned: frozenset[Partition] = frozenset()
    _marks: deque[tuple[float, dict[Partition, int]]] = field(default_factory=deque)

    def see(self, look: Look) -> str | None:
        """Take a look in; why the consumer must be started anew, or None when it need not."""
        self.lag = sum(look.lags.values())
        self.staleness_s = self._staleness(look)
        stalled = self._stalled(look)
        if look.ended:
            return "its loop has ended"
        if look.in_hand_s > self.stall_s:
            return f"it has had the same batch in hand for {look.in_hand_s:.0f} s"
        if stalled and not look.failing:
            topic, number = stalled[0]
            more = f" and {len(stalled) - 1} more" if len(stalled) > 1 else ""
            return f"it has not moved for {self.stall_s:.0f} s on partition {number} of {topic}{more}"
        return None

    def begin_anew(self) -> None:
        """The consumer was started anew: it has all its time again."""
        self._moved.clear()

    def _stalled(self, look: Look) -> list[Partition]:
        """The partitions with a lag on which nothing moves, of those that are this process's affair."""
        stalled = []
        for partition, lag in look.lags.items():
            applied = look.applied(partition)
            newly_mine = partition in look.assigned and partition not in self._assigned
            before = self._moved.get(partition)
            if before is None or before[0] != applied or not lag or look.failing or newly_mine or look.in_hand_s:
                self._moved[partition] = (applied, look.at)
            # A process that holds nothing cannot tell whose affair it is: another's, or the group has lost it.
            elif look.at - before[1] >= self.stall_s and (partition in look.assigned or not look.assigned):
                stalled.append(partition)
        self._assigned = look.assigned
        return stalled

    def _staleness(self, look: Look) -> float:
        if not self.lag:
            self._marks.clear()
            return 0.0
        if len(self._marks) < _MOST_MARKS:
            self._marks.append((look.at, dict(look.ends)))
        applied = {partition: look.applied(partition) for partition in look.ends}
        while self._marks and all(applied.get(p, 0) >= end for p, end in self._marks[0][1].items()):
            self._marks.popleft()
        # Everything before the oldest mark that is left is applied.
        return look.at - self._marks[0][0] if self._marks else 0.0
