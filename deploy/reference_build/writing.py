"""Writes the tables that `shared.reference.tables` reads."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path


def cell(value: object) -> str:
    """None is empty; a number has no needless digits; a list is separated by spaces."""
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case float():
            return f"{value:.5f}".rstrip("0").rstrip(".")
        case tuple():
            return " ".join(map(cell, value))
        case _:
            return str(value)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Writes a table, packed where the name ends in `.gz` (without a time stamp), and tells its number of rows."""
    lines = ["\t".join(header)]
    for row in rows:
        cells = [cell(value) for value in row]
        if len(cells) != len(header) or any(c in text for text in cells for c in "\t\r\n"):
            raise ValueError(f"{path.name}: cannot write {cells}")
        lines.append("\t".join(cells))
    raw = "".join(line + "\n" for line in lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
    return len(lines) - 1
