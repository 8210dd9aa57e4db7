"""Reads a SIEI list (CSV) as it arrives, in bounded memory; one broken row never costs another.

    reader = SieiReader()
    for chunk in body:
        for row in reader.feed(chunk): ...
    for row in reader.close(): ...

What a row may be: `;` or `,` between cells (the header tells which), UTF-8 with or without BOM, lines ending in LF,
CRLF or CR, cells in double quotes with quotes doubled inside and with delimiters and line breaks in them.
"""

from shared.siei_csv.reader import SieiReader
from shared.siei_csv.rows import COLUMNS, MAX_RECORD_BYTES, MAX_RECORD_LINES, BrokenRow, HeaderError, RawRow

__all__ = ["COLUMNS", "MAX_RECORD_BYTES", "MAX_RECORD_LINES", "BrokenRow", "HeaderError", "RawRow", "SieiReader"]
