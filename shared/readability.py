"""When so much of a stream cannot be read that not the records are broken but the deployment; pure.

A bad record becomes a dead letter. A stream of which most cannot be read means that somebody deployed a writer, or this
reader, that does not fit: to set all of it aside would take a stream apart. Then it is better to stop and say so.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_WINDOW: Final = 200


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
