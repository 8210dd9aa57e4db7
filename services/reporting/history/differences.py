"""What differs between two cuts, and which events made the difference, out of one pass.

A youth makes a difference where he counts in other figures of what is asked. Of his events those made it that are in
one cut and not in the other and by themselves add to what the other knew of him: so the same event delivered twice made
none.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.reporting import compact
from services.reporting.compact import Fact
from services.reporting.figures import Tally, Unit
from services.reporting.history.asked import Asked
from services.reporting.history.cuts import Cut, Test, time_of
from services.reporting.history.decoding import Decoding, Trace
from shared.envelope import Record

Kind = tuple[str, str, bool]
"""Type, the data's reason, whether it is late: it happened on or before the day asked about."""


@dataclass(slots=True)
class Found:
    """The figures asked for, as tallies by unit; how many events of each kind made the difference, and some of them.

    `events` are the first after the cursor, in the order in which they were recorded.
    """

    before: dict[Unit, Tally] = field(default_factory=dict)
    after: dict[Unit, Tally] = field(default_factory=dict)
    kinds: Counter[Kind] = field(default_factory=Counter)
    youths: int = 0
    events: list[Trace] = field(default_factory=list)
    more: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two cuts, and the day before which a last verification has lapsed there."""

    cut: Cut
    lapse: int


_Alone = dict[str, list[tuple[Fact, Trace]]]
"""By youth, what is in one cut only: each event and what it says."""


class Comparing:
    """A fold that compares two cuts. `late_until` is an ordinal; `after` is (time, id) of the last event seen."""

    def __init__(
        self,
        old: Side,
        new: Side,
        asked: Asked,
        decoding: Decoding,
        *,
        late_until: int,
        after: tuple[int, str] | None,
        most: int,
    ) -> None:
        self._old, self._new = old, new
        self._tests = Test(old.cut), Test(new.cut)
        self._asked = asked
        self._decoding = decoding
        self._late_until = late_until
        self._cursor = after
        self._most = most
        self.found = Found()
        self._begin_group()

    def _begin_group(self) -> None:
        self._common: dict[str, Fact] = {}
        self._alone: tuple[_Alone, _Alone] = {}, {}

    def take(self, records: Sequence[Record]) -> None:
        """See `passes.Fold`."""
        common: list[Record] = []
        for record in records:
            time = time_of(record)
            in_old, in_new = (test(record, time) for test in self._tests)
            if in_old and in_new:
                common.append(record)
            elif in_old or in_new:
                self._note(record, self._alone[0 if in_old else 1])
        self._decoding.gather(common, self._common)

    def _note(self, record: Record, alone: _Alone) -> None:
        says: dict[str, Fact] = {}
        trace = self._decoding.trace(record, self._decoding.gather([record], says))
        if trace is not None:
            alone.setdefault(trace.youth_id, []).append((says[trace.youth_id], trace))

    def end_group(self) -> Collection[str]:
        """See `passes.Fold`."""
        in_old, in_new = self._alone
        youths = self._common.keys() | in_old.keys() | in_new.keys()
        made: list[Trace] = []
        for youth_id in youths:
            common = self._common.get(youth_id)
            old = _joined(common, in_old.get(youth_id, ()))
            new = _joined(common, in_new.get(youth_id, ()))
            was = self._asked.counted(old, self._old.lapse) if old is not None else set()
            unchanged = old is new and self._old.lapse == self._new.lapse
            now = was if unchanged else self._asked.counted(new, self._new.lapse) if new is not None else set()
            _add(self.found.before, was)
            _add(self.found.after, now)
            if was != now:
                own = [
                    *_telling(new, in_old.get(youth_id, ())),
                    *_telling(old, in_new.get(youth_id, ())),
                ]
                made += own
                self.found.youths += bool(own)
        self._keep(made)
        self._begin_group()
        return youths

    def _keep(self, made: Sequence[Trace]) -> None:
        found = self.found
        found.kinds.update((trace.type, trace.reason, trace.on <= self._late_until) for trace in made)
        candidates = [*found.events, *(t for t in made if self._cursor is None or (t.time, t.id) > self._cursor)]
        found.more = found.more or len(candidates) > self._most
        found.events = heapq.nsmallest(self._most, candidates)


def _joined(common: Fact | None, alone: Iterable[tuple[Fact, Trace]]) -> Fact | None:
    for says, _ in alone:
        common = says if common is None else compact.join(common, says)
    return common


def _telling(known: Fact | None, alone: Iterable[tuple[Fact, Trace]]) -> list[Trace]:
    """Those of these events that add something to what is known without them; each once."""
    telling: dict[str, Trace] = {}
    for says, trace in alone:
        if compact.grown(known, says) is not None:
            first = telling.setdefault(trace.id, trace)
            if trace < first:
                telling[trace.id] = trace
    return list(telling.values())


def _add(tallies: dict[Unit, Tally], counted: Iterable[tuple[Unit, str]]) -> None:
    for unit, name in counted:
        tally = tallies.get(unit)
        if tally is None:
            tally = tallies[unit] = Counter()
        tally[name] += 1


def lines(
    before: Mapping[str, object], after: Mapping[str, object], path: str = ""
) -> list[tuple[str, object, object]]:
    """Where two views of a row differ: (path, old, new). Shares are left away, as they follow from the counts."""
    found: list[tuple[str, object, object]] = []
    for name, old in before.items():
        new = after[name]
        if name == "shares":
            continue
        at = f"{path}.{name}" if path else name
        if isinstance(old, dict) and isinstance(new, dict):
            found += lines(old, new, at)
        elif old != new:
            found.append((at, old, new))
    return found
