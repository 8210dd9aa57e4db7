"""What the process that reads the log is asked to do, and what it answers: as data that goes through a pipe."""

import struct
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.reporting.figures import Unit
from services.reporting.freshness import Partition
from services.reporting.handlers import Facts
from services.reporting.history import passes
from services.reporting.history.asked import Asked, Wanted
from services.reporting.history.cuts import Cut
from services.reporting.history.decoding import Decoding, Trace
from services.reporting.history.differences import Comparing, Side
from services.reporting.history.lineage import Following, Key
from services.reporting.history.sums import Counting, Earlier, Watching
from shared.bus import Log


class SumsJob(msgspec.Struct, tag="sums"):
    """Count all figures of a cut. `known`: where they were counted so far; then only if something changed."""

    ends: dict[Partition, int]
    cut: Cut
    known: dict[Partition, int] | None = None


class Sums(msgspec.Struct, tag="sums"):
    """The figures, as a document of `deltas` in pieces; none where `unchanged`. `records` were read."""

    unchanged: bool
    pieces: list[dict[str, Any]]
    youths: int = 0
    records: int = 0


class DifferenceJob(msgspec.Struct, tag="difference"):
    """Compare two cuts. See `differences.Comparing`."""

    ends: dict[Partition, int]
    old: Side
    new: Side
    asked: Asked
    late_until: int
    after: tuple[int, str] | None
    most: int


class Difference(msgspec.Struct, tag="difference"):
    """`differences.Found`."""

    before: list[tuple[Unit, dict[str, int]]]
    after: list[tuple[Unit, dict[str, int]]]
    kinds: list[tuple[str, str, bool, int]]
    youths: int
    events: list[Trace]
    more: bool
    records: int = 0


class LineageJob(msgspec.Struct, tag="lineage"):
    """Follow a figure. See `lineage.Following`."""

    ends: dict[Partition, int]
    cut: Cut
    wanted: Wanted
    lapse: int
    after: Key | None
    most: int


class Lineage(msgspec.Struct, tag="lineage"):
    """`lineage.Behind`."""

    count: int
    items: list[tuple[Key, list[Trace]]]
    more: bool
    records: int = 0


class Failed(msgspec.Struct, tag="failed"):
    """It could not be done: the kind of error, never a record's text."""

    error: str


Job = SumsJob | DifferenceJob | LineageJob
Result = Sums | Difference | Lineage | Failed

LENGTH: Final = struct.Struct(">I")
"""What a message begins with: how many bytes follow."""
encode: Final = msgspec.msgpack.Encoder().encode
decode_job: Final = msgspec.msgpack.Decoder(Job).decode
decode_result: Final = msgspec.msgpack.Decoder(Result).decode

_FIGURES_A_PIECE: Final = 500_000
"""12 bytes each: well below what one document of the store can hold."""


async def do(job: Job, log: Log, facts: Facts) -> Result:
    """Do it: one pass over the log, or two where events of one youth lie astray."""
    try:
        return await _do(job, log, facts, whole=False)
    except passes.Astray:
        return await _do(job, log, facts, whole=True)


async def _do(job: Job, log: Log, facts: Facts, *, whole: bool) -> Result:
    decoding = Decoding(facts)
    if isinstance(job, SumsJob):
        if job.known is not None and await _is_unchanged(job, log, job.known):
            return Sums(unchanged=True, pieces=[])
        counting = Counting(job.cut, decoding)
        records = await passes.over(log, job.ends, counting, whole=whole)
        pieces = [piece.document() for piece in counting.total().pieces(_FIGURES_A_PIECE)]
        return Sums(unchanged=False, pieces=pieces, youths=counting.youths, records=records)
    if isinstance(job, DifferenceJob):
        comparing = Comparing(
            job.old, job.new, job.asked, decoding, late_until=job.late_until, after=job.after, most=job.most
        )
        records = await passes.over(log, job.ends, comparing, whole=whole)
        found = comparing.found
        return Difference(
            [(unit, dict(tally)) for unit, tally in found.before.items()],
            [(unit, dict(tally)) for unit, tally in found.after.items()],
            [(*kind, count) for kind, count in sorted(found.kinds.items())],
            found.youths,
            found.events,
            found.more,
            records,
        )
    following = Following(job.cut, job.wanted, decoding, lapse=job.lapse, after=job.after, most=job.most)
    records = await passes.over(log, job.ends, following, whole=whole)
    behind = following.behind
    return Lineage(behind.count, behind.items, behind.more, records)


async def _is_unchanged(job: SumsJob, log: Log, known: Mapping[Partition, int]) -> bool:
    """Whether nothing that is in the cut came since."""
    try:
        await passes.since(log, known, job.ends, Watching(job.cut))
    except Earlier:
        return False
    return True
