"""The files of a simulation, written through temporary parts so that memory stays bounded whatever their length."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final, Self

from deploy.simulate.drawing import Day, iso
from deploy.simulate.rates import CAMPAIGNS, SOURCES
from deploy.simulate.rows import Row
from shared.siei_csv import COLUMNS

_DAYS_A_PART: Final = 7
WORK: Final = "work.jsonl"
EXPECTED: Final = "expected.json"


def list_name(campaign: str) -> str:
    """The file name of a campaign's list."""
    return f"siei-{campaign}.csv"


class Files:
    """Takes rows and work in any order of day; writes the lists base by base and the work day by day."""

    @classmethod
    @contextmanager
    def into(cls, folder: Path) -> Iterator[Self]:
        """Files that appear in `folder`, whole, when the block ends without an error."""
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".simulating-") as parts, ExitStack() as stack:
            files = cls(Path(parts), stack)
            yield files
            stack.close()
            files._finish(folder)

    def __init__(self, parts: Path, stack: ExitStack) -> None:
        self._parts = parts
        self._stack = stack
        self._lists: dict[tuple[str, str], IO[str]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._work: dict[int, IO[str]] = {}
        self._expected: dict[str, Any] = {}
        self._json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
        for campaign in CAMPAIGNS:
            for source, _ in SOURCES:
                self._lists[campaign, source] = self._open(f"{campaign}-{source}")
                self._numbers[campaign, source] = 0
        self._writers = {key: csv.writer(part, delimiter=";", lineterminator="\n") for key, part in self._lists.items()}

    def row(self, row: Row) -> str:
        """Write the row at the end of its base's part of the list; its `source_row` there."""
        key = row.campaign, row.source
        self._numbers[key] += 1
        source_row = f"{self._numbers[key]:06d}"
        self._write(row, source_row)
        return source_row

    def same_row(self, row: Row, source_row: str) -> None:
        """Write a row that is there already once more."""
        self._write(row, source_row)

    def torn_row(self, campaign: str, source: str) -> None:
        """Write a row whose end is missing."""
        self._lists[campaign, source].write(f"{campaign};{source};000000;;MARTIN;Marie\n")

    def work(self, on: Day, what: dict[str, Any]) -> None:
        """Write a piece of work. What is done on the same day stays in the order in which it was written."""
        number = on // _DAYS_A_PART
        part = self._work.get(number)
        if part is None:
            part = self._work[number] = self._open(f"work-{number}")
        part.write(f"{self._json.encode({'on': iso(on), **what})}\n")

    def expected(self, expected: dict[str, Any]) -> None:
        """What all this must add up to."""
        self._expected = expected

    def _open(self, name: str) -> IO[str]:
        return self._stack.enter_context((self._parts / name).open("w", encoding="utf-8", newline=""))

    def _write(self, row: Row, source_row: str) -> None:
        cells = row.cells
        head = (row.campaign, row.source, source_row)
        self._writers[row.campaign, row.source].writerow([*head, *[cells[name] for name in COLUMNS[3:]]])

    def _finish(self, folder: Path) -> None:
        for campaign in CAMPAIGNS:
            with self._whole(folder / list_name(campaign)) as whole:
                whole.write(";".join(COLUMNS) + "\n")
                for source, _ in SOURCES:
                    with (self._parts / f"{campaign}-{source}").open(encoding="utf-8", newline="") as part:
                        for line in part:
                            whole.write(line)
        with self._whole(folder / WORK) as whole:
            for number in sorted(self._work):
                lines = (self._parts / f"work-{number}").read_text(encoding="utf-8").splitlines(keepends=True)
                whole.writelines(sorted(lines, key=_day))
        with self._whole(folder / EXPECTED) as whole:
            json.dump(self._expected, whole, ensure_ascii=False, indent=1)
            whole.write("\n")

    @contextmanager
    def _whole(self, path: Path) -> Iterator[IO[str]]:
        temporary = self._parts / path.name
        with temporary.open("w", encoding="utf-8", newline="") as whole:
            yield whole
        temporary.replace(path)


def _day(line: str) -> str:
    """The day of a line of work, which begins with it."""
    return line[:18]
