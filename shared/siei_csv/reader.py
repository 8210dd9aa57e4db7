"""Turns the pieces of a file into whole lines, keeping no more than one record."""

import re

from shared.siei_csv.layout import Layout, read_header
from shared.siei_csv.rows import COLUMNS, MAX_RECORD_BYTES, BrokenRow, HeaderError, RawRow

_BOM = "\ufeff"
_LINE_BREAK = re.compile(rb"[\r\n]")


class SieiReader:
    """Takes the bytes of one file in pieces of any size and gives its rows in order. Not to be used after an error.

    `delimiter` and `ignored_columns` (as the file writes them) are known once the header was read.
    """

    def __init__(self) -> None:
        self.delimiter = ""
        self.ignored_columns: tuple[str, ...] = ()
        self._layout: Layout | None = None
        self._tail = b""  # an unfinished line, never more than MAX_RECORD_BYTES + 1
        self._skipping = False  # within the rest of an over-long line
        self._after_cr = False  # a following \n belongs to the line break before
        self._pending: list[str] = []  # lines of a record whose end has not come yet
        self._line = 1  # number of the first pending line, or of the next line

    def feed(self, chunk: bytes) -> list[RawRow | BrokenRow]:
        """The rows that this piece completes.

        Raises:
            HeaderError: the first line is no usable header.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if self._skipping:
            line_break = _LINE_BREAK.search(chunk)
            if line_break is None:
                return []
            self._skipping = False
            chunk = chunk[line_break.start() :]
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        block, rest = (self._tail + chunk[:cut], chunk[cut:]) if cut else (b"", self._tail + chunk)
        if len(rest) > MAX_RECORD_BYTES:
            rest = rest[: MAX_RECORD_BYTES + 1]
            self._skipping = True
        self._tail = rest
        if not block:
            return []
        self._after_cr = chunk.endswith(b"\r")
        return self._read(block, final=False)

    def close(self) -> list[RawRow | BrokenRow]:
        """The rows that only the end of the file completes.

        Raises:
            HeaderError: the file is empty, or its only line is no usable header.
        """
        block = self._tail + b"\n" if self._tail else b""
        self._tail = b""
        rows = self._read(block, final=True)
        if self._layout is None:
            raise HeaderError(f"the file is empty: its first line must name the columns {';'.join(COLUMNS)}")
        return rows

    def _read(self, block: bytes, *, final: bool) -> list[RawRow | BrokenRow]:
        """Reads whole lines; keeps back those of a record that is not complete."""
        try:
            text = block.decode()
            suspect = "\0" in text
        except UnicodeDecodeError:
            text = block.decode("utf-8", "surrogateescape")
            suspect = True
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        lines.pop()
        if self._layout is None:
            used = self._read_header(lines)
            lines = lines[used:]
            self._line += used
            if self._layout is None:
                return []
        lines = self._pending + lines
        rows, used = self._layout.read(lines, self._line, final=final, suspect=suspect or bool(self._pending))
        self._pending = lines[used:]
        self._line += used
        return rows

    def _read_header(self, lines: list[str]) -> int:
        """Takes the first line that is not blank as the header; tells how many lines that used."""
        for used, line in enumerate(lines, start=1):
            number = self._line + used - 1
            header = line.removeprefix(_BOM) if number == 1 else line
            if header.strip():
                self._layout = read_header(header, number)
                self.delimiter = self._layout.delimiter
                self.ignored_columns = self._layout.ignored_columns
                return used
        return len(lines)
