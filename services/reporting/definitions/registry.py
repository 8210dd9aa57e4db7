"""Reads the definitions from `indicators.toml` and checks them: what is wrong there stops the start, and says where.

A definition holds from a day to a day. A version after the first says what changed: on its first day the series breaks,
and figures before and after must not be compared without a word.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from services.reporting.indicators import CODES, View

Lang = Literal["fr", "en"]
Unit = Literal["youths", "days", "share"]
Filled = Annotated[str, msgspec.Meta(min_length=1, pattern=r"\S")]
Text = Annotated[Mapping[Lang, Filled], msgspec.Meta(min_length=2)]
"""A text in French and English."""

_DAY: Final = timedelta(days=1)


class DefinitionError(ValueError):
    """The file of definitions is wrong; the text names the entry, the field and what mends it."""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of one indicator: its names, its formula in words, where it comes from, from when to when it holds.

    `views`: activity counts by the day of the event within the period, cohort by the day of detection. `valid_to` is
    the last day, None where it holds for ever. `change` is None of a first version.
    """

    code: Filled
    version: Annotated[int, msgspec.Meta(ge=1)]
    name: Text
    formula: Text
    source: Filled
    unit: Unit
    views: tuple[View, ...]
    valid_from: date
    valid_to: date | None = None
    change: Text | None = None

    def holds_on(self, day: date) -> bool:
        """Whether figures of that day are counted so."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Break(msgspec.Struct, frozen=True):
    """Where a series breaks: from the day `on`, `code` is counted by another version."""

    code: str
    on: date
    from_version: int
    to_version: int
    change: Text


class Registry:
    """All versions of all definitions, in the order of the file. `DefinitionError` where they do not go together."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._versions = {code: tuple(of) for code, of in groupby(definitions, attrgetter("code"))}
        if sum(map(len, self._versions.values())) != len(definitions):
            codes = [code for code, _ in groupby(definitions, attrgetter("code"))]
            split = next(code for code in codes if codes.count(code) > 1)
            raise DefinitionError(f"indicator {split!r}: its versions are apart; write them one after the other")
        for code, versions in self._versions.items():
            if code not in CODES:
                raise DefinitionError(
                    f"indicator {code!r}, code: nothing counts it; it must be one of {', '.join(CODES)}"
                )
            self._versions[code] = tuple(_in_turn(versions))
        missing = [code for code in CODES if code not in self._versions]
        if missing:
            raise DefinitionError(f"no definition of {', '.join(missing)}: add an entry for each")

    def all(self) -> tuple[Definition, ...]:
        """Every version of every definition."""
        return tuple(definition for versions in self._versions.values() for definition in versions)

    def at(self, day: date) -> tuple[Definition, ...]:
        """What holds on a day, one version a code at most."""
        return tuple(definition for definition in self.all() if definition.holds_on(day))

    def versions(self, code: str) -> tuple[Definition, ...]:
        """All versions of a code, the first one first; KeyError for an unknown code."""
        return self._versions[code]

    def by_code(self, code: str, on: date | None = None) -> Definition:
        """The version of a code that holds on a day, or else the latest; KeyError for an unknown code."""
        versions = self._versions[code]
        return next((each for each in versions if on is not None and each.holds_on(on)), versions[-1])

    def breaks(self, first: date | None = None, last: date | None = None) -> tuple[Break, ...]:
        """Where definitions changed within a period, by day; None is open. A change on its first day breaks nothing."""
        found = [
            Break(new.code, new.valid_from, old.version, new.version, new.change)
            for versions in self._versions.values()
            for old, new in pairwise(versions)
            if new.change is not None
            and (first is None or first < new.valid_from)
            and (last is None or new.valid_from <= last)
        ]
        return tuple(sorted(found, key=lambda each: (each.on, CODES.index(each.code))))


def _in_turn(versions: Sequence[Definition]) -> Iterator[Definition]:
    """The versions of one code with their last days, when each follows the one before."""
    for number, definition in enumerate(versions, start=1):
        entry = f"indicator {definition.code!r}, version {definition.version}"
        after = versions[number] if number < len(versions) else None
        end = definition.valid_to if after is None else after.valid_from - _DAY
        if definition.version != number:
            raise DefinitionError(f"{entry}, version: it is entry {number} of its code; number them 1, 2, 3 in order")
        if (definition.change is None) != (number == 1):
            remedy = "a first version changes nothing; take it out" if number == 1 else "say what changed, in fr and en"
            raise DefinitionError(f"{entry}, change: {remedy}")
        if end is not None and end < definition.valid_from:
            where = "valid_to" if after is None else f"valid_from of version {after.version}"
            raise DefinitionError(f"{entry}, {where}: it would end on {end}, before it begins; give a later day")
        if definition.valid_to not in (None, end):
            kind = "they overlap" if end is not None and definition.valid_to > end else "a gap"
            raise DefinitionError(
                f"{entry}, valid_to: {definition.valid_to}, but the next begins the day after {end} ({kind}); "
                f"write {end}, or leave it out"
            )
        yield msgspec.structs.replace(definition, valid_to=end)


def registry(path: Path | None = None) -> Registry:
    """The register that ships with the service, or of another file. `DefinitionError` says what is wrong there."""
    path = path or Path(__file__).with_name("indicators.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path.name} is no TOML: {error}; mend it there") from None
    entries = content.pop("indicator", None)
    if content or not isinstance(entries, list):
        raise DefinitionError(f"{path.name}: it holds [[indicator]] entries and nothing else; take out the rest")
    return Registry([_read(entry, place) for place, entry in enumerate(entries, start=1)])


def _read(entry: Mapping[str, Any], place: int) -> Definition:
    """One entry. Dates are TOML dates."""
    name = f"indicator {entry.get('code', '?')!r}, version {entry.get('version', '?')} (entry {place})"
    try:
        return msgspec.convert(entry, Definition)
    except msgspec.ValidationError as error:
        fields = ", ".join(Definition.__struct_fields__)
        raise DefinitionError(f"{name}: {error}; the fields are {fields}; texts have fr and en") from None
