"""What the peers share: reading a record, joining facts, the changes of figures, telling the result."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from services.reporting.compact import Fact, leaf_of
from services.reporting.measures import DAY_SHIFT, MEASURE_MASK, name_of
from services.reporting.projection import Leaf
from services.reporting.reading import Gathered, Reading
from shared.envelope import Record
from tests.bench.peers import growth

Headers = Sequence[tuple[str, bytes]]
Place = tuple[Leaf | None, int]
"""Where a figure is: the youth's network, and day << 20 | measure."""
Sums = Counter[Place]

_reading = Reading()
_encoder = msgspec.msgpack.Encoder()
pack = _encoder.encode
unpack = msgspec.msgpack.Decoder(Fact).decode


def gather(records: Iterable[tuple[bytes, Headers]]) -> dict[str, Fact]:
    """What records (value, headers) say together of each youth."""
    gathered = Gathered()
    left = _reading.read([Record("", 0, 0, None, value, headers) for value, headers in records], gathered)
    if left:
        raise ValueError(f"{len(left)} records are none of the load's")
    return gathered.youths


def grow(before: Fact | None, news: Fact, sums: Sums) -> Fact | None:
    """The youth's fact with the news, its changes added to `sums`; None when it says nothing new."""
    grew = growth.grow(before, news)
    if grew is None:
        return None
    if before is not None:
        old = leaf_of(before)
        for place in grew.gone:
            sums[old, place] -= 1
    leaf = leaf_of(grew.after)
    for place in grew.come:
        sums[leaf, place] += 1
    return grew.after


def pack_sums(sums: Sums) -> bytes:
    """Figures as one value, without those that are 0."""
    by_leaf: dict[Leaf | None, dict[int, int]] = {}
    for (leaf, place), count in sums.items():
        if count:
            by_leaf.setdefault(leaf, {})[place] = count
    return _encoder.encode(list(by_leaf.items()))


def pack_place(leaf: Leaf | None, place: int) -> bytes:
    """A figure's place as a key."""
    return _encoder.encode((leaf, place))


def unpack_place(packed: bytes) -> Place:
    """What `pack_place` made."""
    return msgspec.msgpack.decode(packed, type=tuple[Leaf | None, int])


def unpack_sums(packed: Iterable[bytes]) -> Sums:
    """The sum of such values."""
    total: Sums = Counter()
    for each in packed:
        for leaf, figures in msgspec.msgpack.decode(each, strict=False, type=list[tuple[Leaf | None, dict[int, int]]]):
            for place, count in figures.items():
                total[leaf, place] += count
    return total


def tell(result: str, rate: float, sums: Mapping[Place, int], **more: Any) -> None:
    """Write how fast it was, and every figure."""
    figures = [
        [
            *(leaf or ("", "", "")),
            date.fromordinal(place >> DAY_SHIFT).isoformat(),
            name_of(place & MEASURE_MASK),
            count,
        ]
        for (leaf, place), count in sums.items()
        if count
    ]
    Path(result).write_text(json.dumps({"rate": rate, "figures": figures, **more}))
