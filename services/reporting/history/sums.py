"""All figures as they were known at a cut, out of one pass."""

from collections.abc import Collection, Sequence

from services.reporting import compact, deltas
from services.reporting.compact import Fact
from services.reporting.deltas import Deltas
from services.reporting.history.cuts import Cut, Test, time_of
from services.reporting.history.decoding import Decoding
from services.reporting.measures import LEAF_SHIFT
from services.reporting.projection import Leaf
from shared.envelope import Record


class Counting:
    """A fold that counts every figure of a cut."""

    def __init__(self, cut: Cut, decoding: Decoding) -> None:
        self._holds = Test(cut)
        self._by_time = cut.recorded_until is not None
        self._decoding = decoding
        self._facts: dict[str, Fact] = {}
        self._leaves: dict[Leaf | None, int] = {}
        self._parts: list[Deltas] = []
        self.youths = 0

    def take(self, records: Sequence[Record]) -> None:
        """See `passes.Fold`."""
        inside = [record for record in records if self._holds(record, time_of(record) if self._by_time else None)]
        self._decoding.gather(inside, self._facts)

    def end_group(self) -> Collection[str]:
        """See `passes.Fold`."""
        facts, self._facts = self._facts, {}
        sums: dict[int, int] = {}
        for fact in facts.values():
            base = self._leaves.setdefault(compact.leaf_of(fact), len(self._leaves)) << LEAF_SHIFT
            for place in compact.places(fact):
                sums[base | place] = sums.get(base | place, 0) + 1
        self._parts.append(deltas.of_sums(list(self._leaves), sums))
        self.youths += len(facts)
        return facts.keys()

    def total(self) -> Deltas:
        """All figures."""
        return deltas.total(self._parts)


class Earlier(Exception):
    """An event that was recorded early enough is in the log since."""


class Watching:
    """A fold that raises `Earlier` at the first record of a cut."""

    def __init__(self, cut: Cut) -> None:
        self._holds = Test(cut)

    def take(self, records: Sequence[Record]) -> None:
        """See `passes.Fold`."""
        if any(self._holds(record, time_of(record)) for record in records):
            raise Earlier

    def end_group(self) -> Collection[str]:
        """See `passes.Fold`."""
        return ()
