"""Bodies that are sent many times: as they are, or squeezed (gzip, RFC 1952) for who can read that.

Figures and pages are mostly words that come again: a fifth of the bytes is left, which counts on a telephone's network.
Each is squeezed once for all who ask; of an answer whose moment alone is another, only the moment.
"""

import zlib
from typing import Final

_BEGIN: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of a gzip file without name, time and system."""
_FASTEST: Final = 1
_NEVER: Final = (b"q=0", b"q=0.", b"q=0.0", b"q=0.00", b"q=0.000")
_LEAST: Final = 1_000
"""Bodies of fewer bytes are left as they are."""


class Body:
    """A body, empty at first."""

    __slots__ = ("_head", "_packed", "_rest", "_squeezed", "_wanted", "plain")

    def __init__(self) -> None:
        self.plain = b""
        self._head = b""
        self._rest = b""
        self._packed = b""
        self._squeezed = b""
        self._wanted = False

    def write(self, rest: bytes, head: bytes = b"") -> bool:
        """Let it be head and rest; whether the rest is another. Where it was sent squeezed before, it will be again:
        that is done here and now.
        """
        is_another = rest != self._rest
        if is_another:
            self._rest, self._packed = rest, b""
        self.plain, self._head, self._squeezed = head + rest, head, b""
        if self._wanted:
            self._wanted = False  # until it is sent so again
            self._squeeze()
        return is_another

    def squeezed(self) -> bytes | None:
        """As gzip; None where that is not worth it."""
        if len(self.plain) < _LEAST:
            return None
        self._wanted = True
        if not self._squeezed:
            self._squeeze()
        return self._squeezed

    def _squeeze(self) -> None:
        if not self._packed:
            rest = zlib.compressobj(_FASTEST, wbits=-zlib.MAX_WBITS)
            self._packed = rest.compress(self._rest) + rest.flush()
        head = zlib.compressobj(_FASTEST, wbits=-zlib.MAX_WBITS)
        packed = head.compress(self._head) + head.flush(zlib.Z_FULL_FLUSH) + self._packed
        end = zlib.crc32(self.plain).to_bytes(4, "little") + (len(self.plain) & 0xFFFFFFFF).to_bytes(4, "little")
        self._squeezed = _BEGIN + packed + end


def reads_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether who asks says that he reads gzip: RFC 9110, Accept-Encoding."""
    for name, value in headers:
        if name == b"accept-encoding":
            for each in value.split(b","):
                coding, _, weight = each.partition(b";")
                if coding.strip().lower() == b"gzip":
                    return weight.replace(b" ", b"") not in _NEVER
    return False
