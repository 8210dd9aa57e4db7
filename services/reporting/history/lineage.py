"""The youths behind a figure and their events, out of one pass."""

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from services.reporting.compact import Fact
from services.reporting.history.asked import Wanted
from services.reporting.history.cuts import Cut, Test, time_of
from services.reporting.history.decoding import Decoding, Trace
from shared.envelope import Record

Key = tuple[int, str]
"""The day that counts (an ordinal) and the youth_id: the order of youths."""


@dataclass(slots=True)
class Behind:
    """How many youths are behind the figure, and the first of them after the cursor with their events of the cut."""

    count: int = 0
    items: list[tuple[Key, list[Trace]]] = field(default_factory=list)
    more: bool = False


class Following:
    """A fold that follows a figure back to its youths. `after` is the last youth seen, `most` how many are kept."""

    def __init__(
        self, cut: Cut, wanted: Wanted, decoding: Decoding, *, lapse: int, after: Key | None, most: int
    ) -> None:
        self._holds = Test(cut)
        self._wanted = wanted
        self._decoding = decoding
        self._lapse = lapse
        self._cursor = after
        self._most = most
        self._facts: dict[str, Fact] = {}
        self._traces: dict[str, list[Trace]] = {}
        self.behind = Behind()

    def take(self, records: Sequence[Record]) -> None:
        """See `passes.Fold`."""
        inside = [record for record in records if self._holds(record, time_of(record))]
        odd = self._decoding.gather(inside, self._facts)
        for record in inside:
            trace = self._decoding.trace(record, odd)
            if trace is not None:
                self._traces.setdefault(trace.youth_id, []).append(trace)

    def end_group(self) -> Collection[str]:
        """See `passes.Fold`."""
        facts, traces = self._facts, self._traces
        self._facts, self._traces = {}, {}
        behind = self.behind
        found: list[Key] = []
        for youth_id, fact in facts.items():
            day = self._wanted.day(fact, self._lapse)
            if day is not None:
                behind.count += 1
                if self._cursor is None or (day, youth_id) > self._cursor:
                    found.append((day, youth_id))
        behind.more = behind.more or len(behind.items) + len(found) > self._most
        first = heapq.nsmallest(self._most, found)
        behind.items = list(
            heapq.merge(behind.items, ((key, _once(traces[key[1]])) for key in first), key=lambda item: item[0])
        )[: self._most]
        return facts.keys()


def _once(traces: Sequence[Trace]) -> list[Trace]:
    """The events in the order of days; of one that was delivered twice, the first."""
    first: dict[str, Trace] = {}
    for trace in sorted(traces, key=lambda trace: trace.offset):
        first.setdefault(trace.id, trace)
    return sorted(first.values(), key=lambda trace: (trace.on, trace.time, trace.id))
