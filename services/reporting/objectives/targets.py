"""The ministry's national targets by year: data beside this module, not code."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("targets.toml")


@dataclass(frozen=True, slots=True)
class Target:
    """How many youths to bring back in a year, and who says so."""

    youths: int
    source: str


def read(file: Path = FILE) -> Mapping[int, Target]:
    """The targets by year; ValueError, naming the entry, for one that makes no sense."""
    found: dict[int, Target] = {}
    for number, entry in enumerate(tomllib.loads(file.read_text(encoding="utf-8")).get("target", []), start=1):
        match entry:
            case {"year": int(year), "youths": int(youths), "source": str(source)} if len(entry) == 3 and youths > 0:
                if year in found:
                    raise ValueError(f"{file.name}, target {number}: there are two of {year}; keep one")
                found[year] = Target(youths, source)
            case _:
                raise ValueError(f"{file.name}, target {number}: give `year`, `youths` (above 0) and `source`, no more")
    return found
