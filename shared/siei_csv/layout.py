"""From the header line to the way each line of the file is read."""

import csv
import re
from difflib import get_close_matches
from operator import itemgetter

from shared.identifiers import parse_iso_date
from shared.siei_csv.rows import (
    COLUMNS,
    MAX_RECORD_BYTES,
    MAX_RECORD_LINES,
    BrokenRow,
    HeaderError,
    RawRow,
)

# The grammar of RFC 4180, one physical line at a time; possessive, so that no line takes more than linear time.
_GRAMMAR = {
    "whole": r"{cell}(?:{d}{cell})*+",
    "opened": r'(?:{cell}{d})*+"{text}',
    "inside": "{text}",
    "closed": r'{text}"(?:{d}{cell})*+',
    "reopened": r'{text}"{d}(?:{cell}{d})*+"{text}',
    "sound": r"(?:{cell}{d})*+",
}
_TEXT = '[^"]*+(?:""[^"]*+)*+'
_CELL = f'(?:"{_TEXT}"|[^"{{d}}]*+)'
_UNDECODED = re.compile("[\udc80-\udcff]")


def _column_key(name: str) -> str:
    """A column's name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


class Layout:
    """What the header says: the delimiter and where each column is; reads lines accordingly."""

    def __init__(self, header: str, delimiter: str) -> None:
        self.delimiter = delimiter
        d = re.escape(delimiter)
        parts = {"d": d, "text": _TEXT, "cell": _CELL.format(d=d)}
        self._grammar = {name: re.compile(pattern.format(**parts)) for name, pattern in _GRAMMAR.items()}
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
        keys = [_column_key(name) for name in names]
        known = {_column_key(column): column for column in COLUMNS}
        self.width = len(names)
        self.found = {known[key]: index for index, key in enumerate(keys) if key in known}
        self.missing = [column for column in COLUMNS if column not in self.found]
        self.repeated = [column for key, column in known.items() if keys.count(key) > 1]
        self.ignored_columns = tuple(name for name, key in zip(names, keys, strict=True) if key not in known)
        self._column_at = {index: column for column, index in self.found.items()}
        in_order = tuple(self.found.get(column, 0) for column in COLUMNS)
        self._pick = None if in_order == tuple(range(self.width)) else itemgetter(*in_order)

    def suggestions(self) -> dict[str, str]:
        """For missing columns the ignored one that looks most like it."""
        ignored = {_column_key(name): name for name in self.ignored_columns}
        close = {column: get_close_matches(_column_key(column), ignored, n=1) for column in self.missing}
        return {column: ignored[matches[0]] for column, matches in close.items() if matches}

    def read(self, lines: list[str], first: int, *, final: bool, suspect: bool) -> tuple[list[RawRow | BrokenRow], int]:
        """The rows of some lines, and how many lines they used. `first`: number of the first line.

        `suspect`: some line may hold a NUL or bytes that are not UTF-8 (as lone surrogates). Not all lines are used
        when the last record is not complete, unless `final`.
        """
        rows: list[RawRow | BrokenRow] = []
        suspect = suspect or max(map(len, lines), default=0) > MAX_RECORD_BYTES // 4
        delimiter, width, pick = self.delimiter, self.width, self._pick
        used = 0
        total = len(lines)
        while used < total:
            line = lines[used]
            if suspect or '"' in line:
                taken, row = self._record(lines, used, first + used, final=final)
                if not taken:
                    break
                if row is not None:
                    rows.append(row)
                used += taken
                continue
            cells = line.split(delimiter)
            if len(cells) == width:
                values = dict(zip(COLUMNS, map(str.strip, pick(cells) if pick else cells), strict=True))
                rows.append(RawRow(first + used, values))
            elif line and not line.isspace():
                rows.append(self._wrong_width(first + used, cells))
            used += 1
        return rows, used

    def _record(
        self, lines: list[str], index: int, number: int, *, final: bool
    ) -> tuple[int, RawRow | BrokenRow | None]:
        """The record that starts at a line: how many lines it takes, and its row (None for a blank line).

        No line is taken when more are needed to tell.
        """
        line = lines[index]
        if not line or line.isspace():
            return 1, None
        if len(line) > MAX_RECORD_BYTES // 4:
            raw = line.encode("utf-8", "surrogateescape")
            if len(raw) > MAX_RECORD_BYTES:
                start = raw[:MAX_RECORD_BYTES].decode("utf-8", "replace")
                message = f"the line is longer than {MAX_RECORD_BYTES} bytes: shorten it or look for a lost line break"
                return 1, self._broken(number, self._naive_cells(start), message)
        if '"' not in line or self._grammar["whole"].fullmatch(line):
            return 1, self._row(number, line)
        end = self._last_line(lines, index) if self._grammar["opened"].fullmatch(line) else index
        if end is None and not final and len(lines) - index < MAX_RECORD_LINES:
            return 0, None
        if end is None or end == index:
            return 1, self._stray_quote(number, line)
        return end - index + 1, self._row(number, "\n".join(lines[index : end + 1]))

    def _last_line(self, lines: list[str], index: int) -> int | None:
        """The line that ends the record of several lines begun at `index`; `index` itself when there is no such
        record, None when the lines at hand do not tell.

        A record that would hold a line which is a row of its own is none: a lost quote must not swallow rows.
        """
        size = len(lines[index].encode("utf-8", "surrogateescape"))
        for end in range(index + 1, min(index + MAX_RECORD_LINES, len(lines))):
            line = lines[end]
            size += 1 + len(line.encode("utf-8", "surrogateescape"))
            if size > MAX_RECORD_BYTES or self._is_row(line):
                return index
            if '"' not in line or self._grammar["inside"].fullmatch(line):
                continue
            if self._grammar["closed"].fullmatch(line):
                record = "\n".join(lines[index : end + 1])
                return end if len(self._cells(record)) == self.width else index
            if not self._grammar["reopened"].fullmatch(line):
                return index
        return None

    def _is_row(self, line: str) -> bool:
        if line.count(self.delimiter) < self.width - 1 or not self._grammar["whole"].fullmatch(line):
            return False
        return len(self._cells(line)) == self.width

    def _cells(self, record: str) -> list[str]:
        """The cells of a record that keeps the grammar."""
        quotes = record.count('"')
        if not quotes:
            return record.split(self.delimiter)
        if quotes == 2 * self.width and record[0] == record[-1] == '"':
            # Where these are all the quotes, every cell is quoted and none holds one: far faster than to parse it.
            cells = record[1:-1].split(f'"{self.delimiter}"')
            if len(cells) == self.width:
                return cells
        return next(csv.reader([record], delimiter=self.delimiter))

    def _naive_cells(self, line: str) -> list[str]:
        return [cell.strip().strip('"') for cell in line.split(self.delimiter)]

    def _row(self, number: int, record: str) -> RawRow | BrokenRow:
        cells = self._cells(record)
        if len(cells) != self.width:
            return self._wrong_width(number, cells)
        if "\0" in record or _UNDECODED.search(record):
            return self._unreadable(number, cells)
        picked = self._pick(cells) if self._pick else cells
        return RawRow(number, dict(zip(COLUMNS, map(str.strip, picked), strict=True)))

    def _unreadable(self, number: int, cells: list[str]) -> BrokenRow:
        index, cell = next((i, cell) for i, cell in enumerate(cells) if "\0" in cell or _UNDECODED.search(cell))
        what = "holds a NUL byte" if "\0" in cell else "is not UTF-8 text"
        message = f"the cell {what}: save the list as CSV in UTF-8"
        return self._broken(number, cells, message, self._column_at.get(index))

    def _wrong_width(self, number: int, cells: list[str]) -> BrokenRow:
        message = (
            f"the row has {len(cells)} cells and the header {self.width}: look for a missing or an extra "
            f"{self.delimiter} and put a cell that contains one in double quotes"
        )
        return self._broken(number, cells, message)

    def _stray_quote(self, number: int, line: str) -> BrokenRow:
        """Names the column of the first cell that breaks the grammar."""
        sound = self._grammar["sound"].match(line)
        before = line[: sound.end()] if sound else ""
        column = self._column_at.get(len(self._cells(before)) - 1 if before else 0)
        message = (
            'a double quote is never closed or stands inside a cell: close it, or write it twice ("") in a quoted cell'
        )
        return self._broken(number, self._naive_cells(line), message, column)

    def _broken(self, number: int, cells: list[str], message: str, field: str | None = None) -> BrokenRow:
        return BrokenRow(number, field, "malformed", message, self._best_effort(cells))

    def _best_effort(self, cells: list[str]) -> dict[str, str]:
        """The cells by position; a birth date that a lost or an extra delimiter shifted is put back in its place."""
        near = cells[: 2 * self.width]
        clean = [_UNDECODED.sub("\ufffd", cell).replace("\0", "").strip() for cell in near]
        values = {column: clean[i] if (i := self.found[column]) < len(clean) else "" for column in COLUMNS}
        if parse_iso_date(values["birth_date"]) is None:
            birth, left = self.found["birth_date"], self.found["left_on"]
            dates = [i for i, cell in enumerate(clean) if parse_iso_date(cell) and abs(i - birth) < abs(i - left)]
            if dates:
                values["birth_date"] = clean[min(dates, key=lambda i: abs(i - birth))]
        return values


def read_header(line: str, number: int) -> "Layout":
    """The layout that a header line (of that number in the file) sets.

    Raises:
        HeaderError: it does not name each of `COLUMNS` exactly once.
    """
    if "\0" in line or _UNDECODED.search(line):
        raise HeaderError(f"line {number}: the header is not UTF-8 text: save the list as CSV in UTF-8")
    if len(line) > MAX_RECORD_BYTES:
        raise HeaderError(f"line {number}: the header is longer than {MAX_RECORD_BYTES} bytes: is this a SIEI list?")
    layouts = [Layout(line, delimiter) for delimiter in ";,"]
    best = max(layouts, key=lambda layout: (len(layout.found), layout.width))
    if best.repeated:
        raise HeaderError(f"line {number}: column {', '.join(best.repeated)} is there twice: keep one of them")
    if best.missing:
        suggestions = best.suggestions()
        named = [f"{name} (is it “{suggestions[name]}”?)" if name in suggestions else name for name in best.missing]
        raise HeaderError(
            f"line {number}: the header lacks {', '.join(named)}: "
            f"the first line must name the columns {';'.join(COLUMNS)}, separated by ; or ,",
            best.missing,
            suggestions,
        )
    return best
