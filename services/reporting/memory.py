"""The facts at hand: those that the store does not have in its documents yet, and those read or written last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from services.reporting.compact import Fact
from services.reporting.generations import Generation
from services.reporting.shards import NUMBER_OF_SHARDS


@dataclass(slots=True)
class Shard:
    """Facts of one shard, and how often it was written.

    `fresh` are those that the store has only among the growths: none of them may be forgotten. Of the others there are
    two halves: what is used goes to the young one; when that is full it becomes the old one, and the old one is gone.
    `new` are youths of whom the store has no document at all.
    """

    writes: int
    fresh: dict[str, Fact]
    new: set[str] = field(default_factory=set)
    young: dict[str, Fact] = field(default_factory=dict)
    old: dict[str, Fact] = field(default_factory=dict)


class Memory:
    """Keeps the facts of about `most` youths of one generation, some 500 bytes each: half of them may be fresh."""

    def __init__(self, most: int) -> None:
        self.most_fresh = most // 2
        self._half = max(1, most // (4 * NUMBER_OF_SHARDS))
        self.shards: dict[int, Shard] = {}
        self.generation: Generation | None = None

    def begin(self, generation: Generation) -> None:
        """Forget everything, and keep facts of this generation."""
        self.generation = generation
        self.shards = {}

    def forget(self, shards: Collection[int]) -> None:
        """Forget these shards: somebody else has written to one of them."""
        for shard in shards:
            self.shards.pop(shard, None)

    def get(self, shard: int, youth_id: str) -> Fact | None:
        """The fact of this youth, if it is at hand. The shard must be."""
        at = self.shards[shard]
        return at.fresh.get(youth_id) or at.young.get(youth_id) or at.old.get(youth_id)

    def put(self, shard: int, facts: Mapping[str, Fact]) -> None:
        """Keep these facts, which the store has in its documents."""
        at = self.shards[shard]
        at.young |= facts
        if len(at.young) >= self._half:
            at.old, at.young = at.young, {}

    def fresh(self) -> int:
        """Of how many youths the facts are fresh."""
        return sum(len(shard.fresh) for shard in self.shards.values())

    def fullest(self, most: int) -> list[int]:
        """The shards with most fresh facts, of so many youths in all; at least one, if there are any."""
        chosen: list[int] = []
        youths = 0
        for number, shard in sorted(self.shards.items(), key=lambda item: -len(item[1].fresh)):
            if not shard.fresh or (chosen and youths + len(shard.fresh) > most):
                break
            chosen.append(number)
            youths += len(shard.fresh)
        return chosen

    def settle(self, shard: int) -> None:
        """The store has the shard's fresh facts in its documents now."""
        at = self.shards[shard]
        at.writes += 1
        fresh, at.fresh, at.new = at.fresh, {}, set()
        self.put(shard, fresh)
