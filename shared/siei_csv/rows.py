"""What a SIEI list consists of, and what is said about a list or a row that cannot be read."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

COLUMNS: Final = (
    "campaign",
    "source",
    "source_row",
    "ine",
    "family_name",
    "given_names",
    "birth_date",
    "sex",
    "address",
    "postal_code",
    "commune",
    "phone",
    "email",
    "guardian_name",
    "guardian_phone",
    "last_school",
    "last_course",
    "last_level",
    "status",
    "left_on",
    "highest_diploma",
    "followed_by_mission_locale",
    "enrolled_in",
)
"""The columns of a SIEI list. A file may have them in any order, and others besides, which are ignored."""

MAX_RECORD_BYTES: Final = 65_536
"""A longer line, or a record of several lines, is broken."""

MAX_RECORD_LINES: Final = 50
"""How far a quoted cell with line breaks is followed before its first line is declared broken."""


class RawRow(NamedTuple):
    """A row that can be read.

    `line`: where it starts in the file, the header being line 1. `values`: all `COLUMNS` in order, stripped; a line
    break inside a cell is a line feed.
    """

    line: int
    values: dict[str, str]


class BrokenRow(NamedTuple):
    """A row that cannot be read as the file's header says.

    `field`: the column at fault where one can be named. `values`: all `COLUMNS` with what could be made out, for the
    check that a person is not under 16 and nothing else. `message` names no cell's content.
    """

    line: int
    field: str | None
    code: Literal["malformed"]
    message: str
    values: dict[str, str]


class HeaderError(ValueError):
    """The file has no usable header; nothing of it was read. The message says what to do.

    `missing`: the columns not found. `suggestions`: for some of them the file's column that may have been meant.
    """

    def __init__(self, message: str, missing: Sequence[str] = (), suggestions: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.suggestions = suggestions or {}
