"""When so much of a stream cannot be read that not the records are broken but the deployment; pure.

A bad record becomes a dead letter. A stream of which most cannot be read means that somebody deployed a writer, or this
reader, that does not fit: to set all of it aside would take a stream apart. Then it is better to stop and say so.
"""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

_WINDOW: Final = 200
_STANDS_S: Final = 30.0

Partition = tuple[str, int]
"""Topic as the broker calls it, and number."""


@dataclass
class Readability:
    """`share`: more of the last records than this unreadable, and at least `least` of them: an alarm. 1 is never.

    The last records are the batch in hand, with those before it where it is smaller than 200.
    """

    share: float = 0.5
    least: int = 50
    _last: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def alarm(self, readable: Sequence[bool]) -> tuple[int, int] | None:
        """What a batch would make of it, one entry a record: (unreadable, of how many) where that is an alarm."""
        before = list(self._last)[len(readable) - _WINDOW :] if len(readable) < _WINDOW else []
        last = [*before, *readable]
        unreadable = last.count(False)
        if unreadable >= self.least and unreadable > self.share * len(last):
            return unreadable, len(last)
        return None

    def note(self, readable: Sequence[bool]) -> None:
        """The batch is done with. To be called once, however often it came."""
        self._last.extend(readable)


def most_common(codes: Sequence[str]) -> str:
    """The commonest of the codes; empty of none."""
    return Counter(codes).most_common(1)[0][0] if codes else ""


def explain(unreadable: int, of: int, topics: Sequence[str], code: str) -> str:
    """An alarm in words: where, how much, why, and what to do. Never what the records say."""
    return (
        f"{unreadable} of the last {of} records of {', '.join(topics)} are unreadable (mostly {code}). That is a "
        "deployment that does not fit: nothing of them was set aside, and reading has stopped. Deploy what can read "
        "them; or set FOQUALE_UNDECODABLE_SHARE=1 and start again, and they become dead letters"
    )


@dataclass
class Alarm:
    """Stands until what raised it has been read: by this process, or, when it no longer comes again, by another.

    The subscription's other partitions may well go on meanwhile; that ends no alarm.
    """

    _reason: str | None = None
    _of: frozenset[Partition] = frozenset()
    _stands_until: float = 0.0

    def renew(self, reason: str, of: Collection[Partition], now: float) -> bool:
        """The batch has come (again): whether the alarm is new. `now` is monotonic, in seconds."""
        new = self.standing(now) is None
        self._reason, self._of, self._stands_until = reason, frozenset(of), now + _STANDS_S
        return new

    @property
    def raised(self) -> bool:
        """Whether there is something to pass."""
        return bool(self._of)

    def passed(self, of: Collection[Partition]) -> None:
        """Records of these partitions are readable enough."""
        if not self._of.isdisjoint(of):
            self._reason, self._of = None, frozenset()

    def standing(self, now: float) -> str | None:
        """The reason; None when there is no alarm."""
        return self._reason if now < self._stands_until else None
