"""The terms of a contract FQE for a youth and a place, as the parties sign them (circular 2013-035)."""

from random import Random
from typing import Any, Final

from deploy.simulate.drawing import Day, iso
from deploy.simulate.names import FAMILY_NAMES
from deploy.simulate.people import Person
from deploy.simulate.seats import Seat

_ROLES: Final = (
    "Professeur",
    "CPE",
    "Coordonnatrice MLDS",
    "Coordonnateur MLDS",
    "Conseillère d'orientation-psychologue",
)
_SOCIAL_CLAUSE_HOURS: Final = (150, 300, 450, 900)


def contract_terms(rng: Random, person: Person, seat: Seat, on: Day, starts_on: Day) -> dict[str, Any]:
    """What is signed `on` that day: tutor, dates, signatures, and what the kind of solution asks for besides."""
    terms: dict[str, Any] = {
        "starts_on": iso(starts_on),
        "ends_on": iso(max(seat.ends_on, starts_on + 30)),
        "tutor": {"name": f"{rng.choice(('Mme', 'M.'))} {rng.choice(FAMILY_NAMES)}", "role": rng.choice(_ROLES)},
        "signatures": {"tutor": iso(on), "youth": iso(on)},
    }
    if seat.kind == "civic_service":
        combined = rng.random() < 0.35
        terms["ends_on"] = iso(starts_on + rng.choice((200, 215, 245, 275, 305, 335)))
        terms["formula"] = "combined" if combined else "full"
        terms["hours_per_week"] = 21 if combined else rng.choice((24, 26, 28, 30))
    if seat.kind == "social_clause":
        terms["hours"] = rng.choice(_SOCIAL_CLAUSE_HOURS)
    if person.majority > on:
        terms["signatures"]["guardian"] = iso(on)
    if iso(person.majority)[:7] == iso(on)[:7]:
        terms["adult"] = person.majority <= on
    return terms
