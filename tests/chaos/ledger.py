"""What the run asked of the system and what it was told: the one side of the proof that the system cannot influence.

A command is identified by its effect: the type of the event that it makes, the youth, and a day that no other command
about that youth and type has. So its effects can be counted in the log by somebody who knows nothing else of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDismissed,
    InterviewDone,
    PlacementAccepted,
    PlacementDeclined,
    PlacementOffered,
    ReviewDone,
    TrainingStarted,
    YouthTransferred,
)

Outcome = Literal["ok", "refused", "unknown"]
Effect = tuple[str, str, str]
"""Type of the event, youth, day (ISO)."""

EVENT_OF: Final = {
    "contact": ContactAttempted.TYPE,
    "interview": InterviewDone.TYPE,
    "dismissal": DropoutDismissed.TYPE,
    "transfer": YouthTransferred.TYPE,
    "offer": PlacementOffered.TYPE,
    "acceptance": PlacementAccepted.TYPE,
    "refusal": PlacementDeclined.TYPE,
    "contract": ContractSigned.TYPE,
    "start": TrainingStarted.TYPE,
    "review": ReviewDone.TYPE,
    "end": ContractEnded.TYPE,
}
"""What a client does, and the event that its one effect is; `register` and `rows` go by their rows instead."""


@dataclass(slots=True)
class Command:
    """One request, sent as often as it took. `youth` and `on` say whose effect to look for; `kind` of a solution."""

    key: str
    do: str
    service: str
    path: str
    body: Any
    youth: str = ""
    on: str = ""
    kind: str = ""
    method: str = "POST"
    must_refuse: bool = False
    attempts: int = 0
    unanswered: int = 0
    answers: list[Any] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def effect(self) -> Effect | None:
        """What to look for in the log; None where rows tell."""
        event = EVENT_OF.get(self.do)
        return None if event is None else (event, self.youth, self.on)

    @property
    def outcome(self) -> Outcome:
        """Refused is only what no attempt can have done: one that nobody answered may be done yet."""
        if self.answers:
            return "ok"
        return "unknown" if self.unanswered else "refused"


@dataclass(slots=True)
class Row:
    """A row of a list. `expected`: `youth` where it is eligible, else the code of its rejection; `dead` on the bus.

    `confirmed`: the broker, or the service, has said that it has it. `command` is that of a row sent over HTTP.
    """

    key: str
    person: int
    ce_id: str
    on: str
    sighting: tuple[str, str | None, str] = ("", None, "")
    expected: str = "youth"
    reopens: bool = False
    confirmed: bool = False
    command: Command | None = None

    @property
    def outcome(self) -> Outcome:
        """What became of it as far as the sender knows."""
        if self.command is not None:
            return self.command.outcome
        return "ok" if self.confirmed else "unknown"


@dataclass(slots=True)
class Planted:
    """A record that nobody can read, put on a topic on purpose. `kept`: it may be stored (it names no under-16)."""

    tag: str
    topic: str
    code: str
    kept: bool = True
    confirmed: bool = False


@dataclass(slots=True)
class Ledger:
    """All of it. `lives` counts youths whose affairs went as far as they should."""

    commands: list[Command] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    lives: int = 0

    def counts(self) -> dict[str, int]:
        """For the progress line."""
        found = dict.fromkeys(("ok", "refused", "unknown"), 0)
        for command in self.commands:
            if command.attempts:
                found[command.outcome] += 1
        return {
            "commands": len(self.commands),
            **found,
            "rows": len(self.rows),
            "planted": len(self.planted),
            "again": sum(max(0, command.attempts - 1) for command in self.commands),
            "lives": self.lives,
        }

    def people(self) -> Iterator[tuple[int, list[Row]]]:
        """Each person with the eligible rows about him."""
        found: dict[int, list[Row]] = {}
        for row in self.rows:
            if row.expected == "youth":
                found.setdefault(row.person, []).append(row)
        yield from found.items()
