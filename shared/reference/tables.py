"""How the packaged tables are written: tab-separated UTF-8 text, a header line, no quoting; large ones gzip'd."""

import gzip
from collections.abc import Iterator
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """The lines of a table without its header. A path that ends in `.gz` is unpacked."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return text.rstrip("\n").split("\n")[1:]


def read_rows(path: Path) -> Iterator[list[str]]:
    """The cells of each line of a table."""
    return (line.split("\t") for line in read_lines(path))


def read_by_code(path: Path) -> dict[str, str]:
    """The lines of a table by their first cell, unsplit: large tables are read far more often than in full."""
    return {line.partition("\t")[0]: line for line in read_lines(path)}
