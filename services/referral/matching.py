"""Who is this row about? A youth we know, a new one, or a dispute that a person must settle. Pure.

Order of the rules: a valid INE that a youth already has; else the names and the birth date (see
`shared.identifiers.identity_key` for what does not matter in a name).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from shared.identifiers import IneForm

DisputeReason = Literal["ine_with_other_birth_date", "other_ine_of_same_form", "several_candidates"]


class Person(Protocol):
    """What matching looks at: of a row, or of a youth we know."""

    @property
    def birth_date(self) -> date: ...

    @property
    def ine(self) -> str | None: ...

    @property
    def ine_form(self) -> IneForm | None: ...


@dataclass(frozen=True, slots=True)
class SameAs:
    """The row is about this candidate (its place in what was given: `by_ine` or `by_identity`)."""

    youth_id: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody we know."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A person must say who it is."""

    reason: DisputeReason
    candidates: tuple[str, ...]


Decision = SameAs | Unknown | Dispute


def decide(row: Person, by_ine: Sequence[tuple[str, Person]], by_identity: Sequence[tuple[str, Person]]) -> Decision:
    """Settle a row.

    `by_ine`: the youths (identifier, person) that have the row's INE, none when the row has no valid one;
    `by_identity`: those with the same names and birth date.
    """
    if row.ine is not None and by_ine:
        same = [youth_id for youth_id, person in by_ine if person.birth_date == row.birth_date]
        if len(same) == 1:
            return SameAs(same[0])
        return Dispute(
            "several_candidates" if same else "ine_with_other_birth_date",
            tuple(same or [youth_id for youth_id, _ in by_ine]),
        )
    if len(by_identity) > 1:
        return Dispute("several_candidates", tuple(youth_id for youth_id, _ in by_identity))
    if not by_identity:
        return Unknown()
    youth_id, person = by_identity[0]
    if row.ine is not None and person.ine is not None and row.ine_form == person.ine_form and row.ine != person.ine:
        return Dispute("other_ine_of_same_form", (youth_id,))
    return SameAs(youth_id)
