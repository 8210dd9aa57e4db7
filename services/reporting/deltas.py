"""Many figures at once, as two arrays: what a batch adds, and what the cells hold. Summed, split and stored whole.

A document that holds them has `leaves` (académie, département, network; null for youths without an owner), `keys`
(64-bit integers, little-endian; see `measures`) and `counts` (32-bit).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.reporting.measures import DAY_MASK, DAY_SHIFT, LEAF_SHIFT, MEASURE_MASK
from services.reporting.projection import Leaf
from shared.mongo import Document

Keys = NDArray[np.int64]
Counts = NDArray[np.int64]

_KEY: Final = np.dtype("<i8")
_COUNT: Final = np.dtype("<i4")
_DAY_KEY: Final = (1 << LEAF_SHIFT) - 1
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Deltas:
    """Figures: `counts[i]` youths more at `keys[i]`; the leaf part of a key is an index into `leaves`."""

    leaves: Sequence[Leaf | None]
    keys: Keys
    counts: Counts

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def leaf_numbers(self) -> Keys:
        """For each figure, the index of its leaf."""
        return self.keys >> LEAF_SHIFT

    @property
    def days(self) -> Keys:
        """For each figure, the ordinal of its day."""
        return (self.keys >> DAY_SHIFT) & DAY_MASK

    @property
    def measures(self) -> Keys:
        """For each figure, the number of its measure."""
        return self.keys & MEASURE_MASK

    @property
    def months(self) -> Keys:
        """For each figure, the number of its month: January of year 0 would be 0."""
        since = (self.days - _EPOCH).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return since + 1970 * 12

    def document(self) -> Document:
        """The fields of a document; only the leaves that occur."""
        used, numbers = np.unique(self.leaf_numbers, return_inverse=True)
        keys = (numbers.astype(np.int64) << LEAF_SHIFT) | (self.keys & _DAY_KEY)
        leaves = [self.leaves[number] for number in used]
        return {
            "leaves": [None if leaf is None else list(leaf) for leaf in leaves],
            "keys": keys.astype(_KEY).tobytes(),
            "counts": self.counts.astype(_COUNT).tobytes(),
        }

    def pieces(self, most: int) -> Iterator["Deltas"]:
        """The same in pieces of at most so many figures."""
        for begin in range(0, len(self), most):
            yield Deltas(self.leaves, self.keys[begin : begin + most], self.counts[begin : begin + most])

    def split(self) -> dict[tuple[str, str], "Deltas"]:
        """By académie (empty where there is none) and month (`YYYY-MM`)."""
        names = ["" if leaf is None else leaf.academie for leaf in self.leaves]
        academies = sorted(set(names))
        number_of = {name: number for number, name in enumerate(academies)}
        of_leaf = np.array([number_of[name] for name in names], dtype=np.int64)
        groups = self.months * len(academies) + of_leaf[self.leaf_numbers] if len(self) else self.keys
        order = np.argsort(groups, kind="stable")
        found, begins = np.unique(groups[order], return_index=True)
        split: dict[tuple[str, str], Deltas] = {}
        for group, indexes in zip(found.tolist(), np.split(order, begins[1:]), strict=True) if len(self) else ():
            month, academie = divmod(group, len(academies))
            at = academies[academie], f"{month // 12:04}-{month % 12 + 1:02}"
            split[at] = Deltas(self.leaves, self.keys[indexes], self.counts[indexes])
        return split


def of_sums(leaves: Sequence[Leaf | None], sums: Mapping[int, int]) -> Deltas:
    """From key -> number; what is 0 is left away."""
    keys = np.fromiter(sums.keys(), np.int64, len(sums))
    counts = np.fromiter(sums.values(), np.int64, len(sums))
    kept = counts != 0
    return Deltas(leaves, keys[kept], counts[kept])


def of_document(row: Document) -> Deltas:
    """What a document holds."""
    return Deltas(
        [None if leaf is None else Leaf(*leaf) for leaf in row["leaves"]],
        np.frombuffer(row["keys"], _KEY).astype(np.int64),
        np.frombuffer(row["counts"], _COUNT).astype(np.int64),
    )


def total(parts: Sequence[Deltas]) -> Deltas:
    """The sum of all parts, in the order of keys; what is 0 is left away."""
    table: dict[Leaf | None, int] = {}
    keys: list[Keys] = [np.zeros(0, np.int64)]
    for part in parts:
        numbers = np.array([table.setdefault(leaf, len(table)) for leaf in part.leaves], dtype=np.int64)
        if len(part):
            keys.append((numbers[part.leaf_numbers] << LEAF_SHIFT) | (part.keys & _DAY_KEY))
    every = np.concatenate(keys)
    found, places = np.unique(every, return_inverse=True)
    counts = np.zeros(len(found), np.int64)
    np.add.at(counts, places, np.concatenate([np.zeros(0, np.int64), *(part.counts for part in parts)]))
    kept = counts != 0
    return Deltas(list(table), found[kept], counts[kept])
