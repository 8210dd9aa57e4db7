"""A simulated campaign as files: its lists, its work, and what it must add up to."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.cli.failures import Failure
from deploy.simulate.files import EXPECTED, WORK, list_name
from deploy.simulate.rates import REFERENCE_DATES

YouthName = tuple[str, ...]
"""How the work names a youth: campaign, source and row of a list, or `spontaneous` and a number."""


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work: line `number` of the file. `offer` numbers the youth's offers (0: about none of them)."""

    number: int
    on: str
    youth: YouthName
    do: str
    offer: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Campaign:
    """The files in a folder, as `foquale simulate` writes them."""

    folder: Path

    def __post_init__(self) -> None:
        for name in (EXPECTED, WORK, *(list_name(campaign) for campaign in REFERENCE_DATES)):
            if not (self.folder / name).is_file():
                raise Failure(f"{self.folder} has no {name}; `foquale simulate --out {self.folder}` makes it")

    @property
    def lists(self) -> list[tuple[str, str, Path]]:
        """Campaign, reference date and file of each list, in order."""
        return [(name, day.isoformat(), self.folder / list_name(name)) for name, day in sorted(REFERENCE_DATES.items())]

    @cached_property
    def expected(self) -> dict[str, Any]:
        """What it adds up to."""
        text = (self.folder / EXPECTED).read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def work(self, *, since: str = "", before: str = "9999") -> Iterator[Work]:
        """The work from one day (included) to another (not included), in order."""
        with (self.folder / WORK).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                item = json.loads(line)
                if since <= item["on"] < before:
                    yield _work(number, item)


def _work(number: int, item: Mapping[str, Any]) -> Work:
    youth = item["youth"]
    name = ("spontaneous", str(youth["spontaneous"])) if "spontaneous" in youth else tuple(youth.values())
    return Work(number, item["on"], name, item["do"], item.get("offer", 0), item["body"])
