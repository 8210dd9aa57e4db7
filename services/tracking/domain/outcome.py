"""How a rule says no: the state does not allow it, or the request breaks rules. `code` is stable, for machines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """The state does not allow it (HTTP 409). `message` says what would."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One rule that a request breaks. `field` is where in the request, dotted; `message` says what mends it."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Broken:
    """All the rules that a request breaks, at least one (HTTP 422)."""

    failures: tuple[Failure, ...]
