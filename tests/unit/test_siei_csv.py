import csv
import io
from collections.abc import Iterable
from typing import Literal

import pytest

from shared.siei_csv import COLUMNS, MAX_RECORD_BYTES, MAX_RECORD_LINES, BrokenRow, HeaderError, RawRow, SieiReader

HEADER = ";".join(COLUMNS)
PERSON = {
    "campaign": "2013-10",
    "source": "SCOLARITE",
    "source_row": "1",
    "family_name": "Lefèvre",
    "given_names": "Zoé, Anne",
    "birth_date": "1996-05-03",
    "sex": "F",
    "address": "3 rue de l'Église",
    "commune": "59606",
    "last_school": "0590111A",
    "left_on": "2013-06-28",
}


def cells(**changes: str) -> list[str]:
    row = {**dict.fromkeys(COLUMNS, ""), **PERSON, **changes}
    return [row[column] for column in COLUMNS]


def line(**changes: str) -> str:
    return ";".join(cells(**changes))


def read(content: str | bytes | Iterable[bytes]) -> list[RawRow | BrokenRow]:
    if isinstance(content, str):
        content = content.encode()
    chunks = [content] if isinstance(content, bytes) else content
    reader = SieiReader()
    rows = [row for chunk in chunks for row in reader.feed(chunk)]
    return rows + reader.close()


def only(content: str | bytes) -> RawRow | BrokenRow:
    rows = read(content)
    assert len(rows) == 1
    return rows[0]


def summary(rows: Iterable[RawRow | BrokenRow]) -> list[tuple[int, str]]:
    """Line and source_row of each row; a broken one as `broken`."""
    return [(row.line, row.values["source_row"] if isinstance(row, RawRow) else "broken") for row in rows]


def test_a_row_has_all_columns_in_order_stripped() -> None:
    row = only(f"{HEADER}\n{line(family_name='  Lefèvre ')}\n")
    assert isinstance(row, RawRow)
    assert row.line == 2
    assert tuple(row.values) == COLUMNS
    assert row.values == dict(zip(COLUMNS, cells(), strict=True))


@pytest.mark.parametrize("delimiter", [";", ","])
@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_the_usual_dialects_are_read_alike(delimiter: str, terminator: str, quoting: Literal[0, 1], bom: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=terminator, quoting=quoting)
    rows = [cells(source_row=str(i), address=f'1 "A"; 2, B\n{i} C') for i in range(3)]
    writer.writerows([COLUMNS, *rows])
    read_rows = read((bom + file.getvalue()).encode())
    assert [list(row.values.values()) for row in read_rows] == rows
    assert [row.line for row in read_rows] == [2, 4, 6]


def test_the_last_line_needs_no_line_break() -> None:
    assert summary(read(f"{HEADER}\n{line()}")) == [(2, "1")]


def test_column_order_case_and_spaces_are_free_and_further_columns_ignored() -> None:
    names = ["note", *reversed([column.replace("_", " ").title() for column in COLUMNS]), " Motif "]
    values = ["x", *reversed(cells()), "y"]
    reader = SieiReader()
    rows = reader.feed(f"{';'.join(names)}\n{';'.join(values)}\n".encode())
    assert [row.values for row in rows] == [dict(zip(COLUMNS, cells(), strict=True))]
    assert tuple(rows[0].values) == COLUMNS
    assert reader.ignored_columns == ("note", "Motif")
    assert reader.delimiter == ";"


def test_blank_lines_are_skipped_and_counted() -> None:
    content = f"\n{HEADER}\n\n   \n{line(source_row='1')}\r\n\r\n{line(source_row='2')}\n\n"
    assert summary(read(content)) == [(5, "1"), (7, "2")]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "\ufeff\r\n  \n"])
def test_an_empty_file_is_refused(content: str) -> None:
    with pytest.raises(HeaderError, match="the file is empty: its first line must name the columns campaign;source"):
        read(content)


def test_a_header_that_lacks_columns_names_them_and_what_may_be_meant() -> None:
    header = HEADER.replace("birth_date", "date_of_birth").replace(";commune", ";comune").replace(";phone", "")
    with pytest.raises(HeaderError) as caught:
        read(f"{header}\n{line()}\n")
    assert caught.value.missing == ("birth_date", "commune", "phone")
    assert caught.value.suggestions["commune"] == "comune"
    assert "commune (is it “comune”?)" in str(caught.value)
    assert str(caught.value).startswith("line 1: the header lacks birth_date")


def test_a_list_without_header_is_refused_before_any_row_is_read() -> None:
    reader = SieiReader()
    with pytest.raises(HeaderError) as caught:
        reader.feed(f"{line()}\n{line()}\n".encode())
    assert caught.value.missing == COLUMNS
    assert PERSON["family_name"] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER};commune\n", "line 1: column commune is there twice"),
        (HEADER.encode("utf-16"), "line 1: the header is not UTF-8 text: save the list as CSV in UTF-8"),
        (b"\n" + HEADER.encode() + b";note\xe9\n", "line 2: the header is not UTF-8 text"),
        (b"PK\x03\x04" + bytes(range(256)), "line 1: the header is not UTF-8 text"),
        ("x" * 70_000, "line 1: the header is longer than 65536 bytes"),
    ],
)
def test_a_header_that_cannot_be_used_says_why(content: str | bytes, message: str) -> None:
    with pytest.raises(HeaderError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("broken", "field", "message"),
    [
        (line() + ";", None, "the row has 24 cells and the header 23"),
        (line().removesuffix(";"), None, "the row has 22 cells and the header 23"),
        ("nonsense", None, "the row has 1 cells and the header 23"),
        (line(address='3 rue "A'), "address", "a double quote is never closed or stands inside a cell"),
        (line(address='"3 rue'), "address", "a double quote is never closed or stands inside a cell"),
        (line(address='"3" rue'), "address", "a double quote is never closed or stands inside a cell"),
        (line(campaign='"2013-10'), "campaign", "a double quote is never closed or stands inside a cell"),
        (line(enrolled_in='"'), "enrolled_in", "a double quote is never closed or stands inside a cell"),
        (line(phone="06\0"), "phone", "the cell holds a NUL byte"),
        (line(address="x" * MAX_RECORD_BYTES), None, "the line is longer than 65536 bytes"),
    ],
)
def test_a_broken_row_is_told_and_its_neighbours_are_read(broken: str, field: str | None, message: str) -> None:
    content = f"{HEADER}\n{line(source_row='1')}\n{broken}\n{line(source_row='3')}\n{line(source_row='4')}\n"
    rows = read(content)
    assert summary(rows) == [(2, "1"), (3, "broken"), (4, "3"), (5, "4")]
    row = rows[1]
    assert isinstance(row, BrokenRow)
    assert (row.field, row.code) == (field, "malformed")
    assert row.message.startswith(message)
    assert ":" in row.message  # a remedy follows
    assert tuple(row.values) == COLUMNS


def test_a_cell_that_is_not_utf8_breaks_its_row_only() -> None:
    good = f"{HEADER}\n{line(source_row='1')}\n".encode()
    latin = f"{line(family_name='Lefèvre')}\n".encode("latin-1")
    rows = read(good + latin + f"{line(source_row='3', family_name='Élie')}\n".encode())
    assert summary(rows) == [(2, "1"), (3, "broken"), (4, "3")]
    broken = rows[1]
    assert isinstance(broken, BrokenRow)
    assert broken.field == "family_name"
    assert broken.message == "the cell is not UTF-8 text: save the list as CSV in UTF-8"
    assert broken.values["birth_date"] == PERSON["birth_date"]
    assert broken.values["family_name"] == "Lef\ufffdvre"
    assert rows[2].values["family_name"] == "Élie"


def test_bad_bytes_in_a_cell_of_several_lines_break_the_whole_record() -> None:
    content = f"{HEADER}\n{line(address='@')}\n{line(source_row='2')}\n".encode().replace(b"@", b'"a\n\xe9\nb"')
    rows = read(content)
    assert summary(rows) == [(2, "broken"), (5, "2")]
    assert isinstance(rows[0], BrokenRow)
    assert rows[0].field == "address"


@pytest.mark.parametrize(
    "broken",
    [
        line(birth_date="1998-01-02").removesuffix(";"),
        line(birth_date="1998-01-02") + ";;",
        line(birth_date="1998-01-02", family_name="Le;Goff"),  # an extra delimiter before the date
        line(birth_date="1998-01-02").replace("2013-10;", "", 1),  # a cell too few before the date
        line(birth_date="1998-01-02", family_name='Le "Goff'),
        line(birth_date="1998-01-02", family_name='"Le Goff'),
        line(birth_date='"1998-01-02'),
        line(birth_date="1998-01-02", phone="\0"),
        line(birth_date="1998-01-02", last_course="x" * 70_000),
    ],
)
def test_the_birth_date_of_a_broken_row_can_still_be_checked(broken: str) -> None:
    row = only(f"{HEADER}\n{broken}\n")
    assert isinstance(row, BrokenRow)
    assert row.values["birth_date"] == "1998-01-02"


def test_the_day_of_leaving_is_never_taken_for_a_birth_date() -> None:
    row = only(f"{HEADER}\n{line(birth_date='').removesuffix(';')}\n")
    assert isinstance(row, BrokenRow)
    assert row.values["birth_date"] == ""


def test_messages_hold_nothing_of_the_row() -> None:
    for broken in (line() + ";x", line(address='3 "rue'), line(phone="\0")):
        row = only(f"{HEADER}\n{broken}\n")
        assert isinstance(row, BrokenRow)
        assert not [value for value in PERSON.values() if len(value) > 1 and value in row.message]


def test_a_lost_quote_does_not_swallow_rows_up_to_another_lost_quote() -> None:
    opened = line(source_row="2", enrolled_in='"0590111A')
    closing = line(source_row="5", enrolled_in='0590111A"')
    good = [line(source_row=n) for n in "34"]
    rows = read("\n".join([HEADER, opened, *good, closing, line(source_row="6")]))
    assert summary(rows) == [(2, "broken"), (3, "3"), (4, "4"), (5, "broken"), (6, "6")]


def test_a_record_of_too_many_lines_is_broken_and_reading_goes_on() -> None:
    address = '"' + "\n" * MAX_RECORD_LINES + '"'
    rows = read(f"{HEADER}\n{line(address=address)}\n{line(source_row='9')}\n")
    assert rows[0].line == 2
    assert isinstance(rows[0], BrokenRow)
    assert summary(rows)[-1] == (MAX_RECORD_LINES + 3, "9")
    fits = '"' + "\n" * (MAX_RECORD_LINES - 1) + '"'
    assert summary(read(f"{HEADER}\n{line(address=fits)}\n")) == [(2, "1")]


def test_a_record_of_too_many_bytes_is_broken_and_reading_goes_on() -> None:
    address = '"' + "\n".join(["é" * 2_000] * 20) + '"'
    rows = read(f"{HEADER}\n{line(address=address)}\n{line(source_row='9')}\n")
    assert isinstance(rows[0], BrokenRow)
    assert summary(rows)[-1] == (22, "9")


def test_an_over_long_line_is_not_kept() -> None:
    reader = SieiReader()
    reader.feed(f"{HEADER}\n{line(source_row='1')}\n".encode())
    reader.feed(line().encode())
    for _ in range(100):
        assert reader.feed(b"x" * 10_000) == []
    assert len(reader._tail) <= MAX_RECORD_BYTES + 1
    rows = reader.feed(f"\n{line(source_row='3')}\n".encode())
    assert summary(rows) == [(3, "broken"), (4, "3")]


def test_a_line_may_be_exactly_as_long_as_allowed() -> None:
    room = MAX_RECORD_BYTES - len(line(address="").encode())
    assert isinstance(only(f"{HEADER}\n{line(address='x' * room)}\n"), RawRow)
    assert isinstance(only(f"{HEADER}\n{line(address='x' * (room + 1))}\n"), BrokenRow)
    assert isinstance(only(f"{HEADER}\n{line(address='é' * (room // 2 + 1))}\n"), BrokenRow)


def test_rows_come_as_soon_as_they_are_complete() -> None:
    reader = SieiReader()
    assert reader.feed(HEADER.encode()) == []
    assert summary(reader.feed(f"\r\n{line(source_row='1')}\r".encode())) == [(2, "1")]
    assert reader.feed(f"\n{line(address='@')}".replace("@", '"a').encode().split(b";;", 1)[0]) == []
    assert summary(reader.close()) == [(3, "broken")]


def test_nothing_of_the_rows_already_given_is_kept() -> None:
    block = "".join(line(source_row=str(i)) + "\n" for i in range(1_000)).encode()
    reader = SieiReader()
    reader.feed(f"{HEADER}\n".encode())
    for _ in range(20):
        assert sum(isinstance(row, RawRow) for row in reader.feed(block)) == 1_000
        assert (reader._tail, reader._pending) == (b"", [])
