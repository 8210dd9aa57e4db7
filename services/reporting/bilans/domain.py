"""The rules of a bilan, pure: its period, its life from draft to frozen, and the seal over what is frozen.

    draft      figures are those of now; texts may be written
    validated  somebody stands for it; nothing is fixed yet, and a text that changes makes it a draft again
    frozen     figures, definitions, position in the log, texts and visas are sealed; only a new version corrects it

A function that the state does not allow raises `NotAllowed`.
"""

import json
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

PERIODS: Final = 6
ACADEMIE: Final = "academie"
"""The unit of the académie's own text; the others are identifiers of networks."""

State = Literal["draft", "validated", "frozen"]
Act = Literal["text", "validated", "back_to_draft", "frozen", "correction_opened"]


class NotAllowed(Exception):
    """The state does not allow it. `detail` says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which bilan: the calendar year, the period 1 (January and February) to 6, the académie's code."""

    year: int
    period: int
    academie: str

    @property
    def first(self) -> date:
        """The period's first day."""
        return date(self.year, 2 * self.period - 1, 1)

    @property
    def last(self) -> date:
        """The period's last day."""
        month = 2 * self.period
        return date(self.year, month, monthrange(self.year, month)[1])

    @property
    def year_first(self) -> date:
        """The first day of the year so far."""
        return date(self.year, 1, 1)

    def months(self) -> list[tuple[date, date]]:
        """First and last day of each month of the year so far."""
        return [
            (date(self.year, month, 1), date(self.year, month, monthrange(self.year, month)[1]))
            for month in range(1, 2 * self.period + 1)
        ]


@dataclass(frozen=True, slots=True)
class Text:
    """What a network's head, or the académie, says of the period."""

    worked: str
    needs: str
    obstacles: str
    by: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Visa:
    """Who stands for the bilan."""

    by: str
    role: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done, by whom, when. `note`: the unit of a text, the role of a visa, the reason of a correction."""

    at: datetime
    by: str
    act: Act
    note: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a bilan. `seals` are there once it is frozen."""

    key: Key
    number: int = 1
    state: State = "draft"
    texts: Mapping[str, Text] = field(default_factory=dict)
    visas: tuple[Visa, ...] = ()
    journal: tuple[Entry, ...] = ()


def write_text(version: Version, unit: str, text: Text, now: datetime) -> Version:
    """A text written or replaced. A validated bilan is a draft again: nobody has stood for these words."""
    if version.state == "frozen":
        raise NotAllowed(
            "bilan_frozen",
            f"version {version.number} is frozen and can no longer be changed; open a correction: POST .../corrections",
        )
    journal = [Entry(now, text.by, "text", unit)]
    if version.state == "validated":
        journal.append(Entry(now, text.by, "back_to_draft"))
    return replace(
        version,
        state="draft",
        texts={**version.texts, unit: replace(text, at=now)},
        visas=(),
        journal=(*version.journal, *journal),
    )


def validate(version: Version, by: str, role: str, now: datetime) -> Version:
    """Another visa. Those that were given before stay, as long as no text changes."""
    if version.state == "frozen":
        raise NotAllowed(
            "bilan_frozen", f"version {version.number} is frozen already; there is nothing left to validate"
        )
    return replace(
        version,
        state="validated",
        visas=(*version.visas, Visa(by, role, now)),
        journal=(*version.journal, Entry(now, by, "validated", role)),
    )


def freeze(version: Version, by: str, now: datetime) -> Version:
    """Frozen: by whom, when."""
    if version.state == "frozen":
        raise NotAllowed(
            "bilan_frozen",
            f"version {version.number} is frozen already; read it, or open a correction: POST .../corrections",
        )
    refuse_running(version.key, now.date())
    if version.state != "validated":
        raise NotAllowed("not_validated", "nobody has validated it yet; do so first: POST .../validation {by, role}")
    return replace(version, state="frozen", journal=(*version.journal, Entry(now, by, "frozen")))


def refuse_running(key: Key, today: date) -> None:
    """A period's figures are complete at the earliest on the day after its last."""
    if today <= key.last:
        from_day = key.last + timedelta(days=1)
        raise NotAllowed("period_not_over", f"the period lasts until {key.last}; freeze it from {from_day} on")


def correct(version: Version, by: str, reason: str, now: datetime) -> Version:
    """The version that corrects a frozen one: a draft with the same texts."""
    if version.state != "frozen":
        raise NotAllowed(
            "not_frozen",
            f"version {version.number} is not frozen: change it as it is; only a frozen one is corrected",
        )
    journal = (Entry(now, by, "correction_opened", reason),)
    return Version(version.key, version.number + 1, texts=version.texts, journal=journal)


SEALED: Final[tuple[str, ...]] = (
    "year",
    "period",
    "academie",
    "version",
    "figures",
    "objective",
    "series",
    "definitions",
    "position",
    "texts",
    "visas",
)
"""The fields of a bilan that its hash is over."""


def canonical(content: Any) -> bytes:
    """The content in the canonical form of RFC 8785: JSON in UTF-8, keys in order, no blanks.

    Numbers must be `plain`: then Python's and JavaScript's shortest forms are the same for all that figures can be.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def plain(content: Any) -> Any:
    """The same with whole numbers written as such (12.0 is 12), as RFC 8785 has it."""
    if isinstance(content, float) and content.is_integer():
        return int(content)
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [plain(value) for value in content]
    return content


def digest(sealed: bytes) -> str:
    """The hash over what is frozen."""
    return sha256(sealed).hexdigest()


def written(moment: datetime) -> str:
    """A moment as it stands in what is sealed: UTC, RFC 3339, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
