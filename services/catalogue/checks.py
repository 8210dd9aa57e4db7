"""Rules of a registration that take more than one field, or the reference data, to judge. Pure: no store, no clock.

Each rule gives faults: the field, a stable code, and what mends it. An empty list means that the body may stand.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from services.catalogue.domain import Network, Platform, Session, Solution
from shared.identifiers import departement_of, uai_problem, uai_suggestion
from shared.reference import Academie, Reference


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field. `field` as in the body, lists by index: `sessions.0.ends_on`."""

    field: str
    code: str
    message: str


def network_faults(network: Network, reference: Reference) -> list[Fault]:
    """The académie must be one of the reference, of today or of before a reform; a platform is named once."""
    return [
        *_unknown_academie(network.academie, reference),
        *_repeated("platform_ids", network.platform_ids),
    ]


def platform_faults(platform: Platform, reference: Reference) -> list[Fault]:
    """The département must be known, and of that académie at some date; communes have COG codes, each once."""
    faults = list(_unknown_academie(platform.academie, reference))
    if not reference.knows_departement(platform.departement):
        faults.append(
            Fault(
                "departement",
                "unknown_departement",
                f"{platform.departement!r} is no code of a département (59, 2A, 974)",
            )
        )
    elif not faults:
        fitting = [a for a in _academies(reference) if platform.departement in a.departements]
        if platform.academie not in {academie.code for academie in fitting}:
            names = " or ".join(f"{academie.code} ({academie.name})" for academie in fitting)
            faults.append(
                Fault("academie", "academie_does_not_fit", f"département {platform.departement} belongs to {names}")
            )
    for number, commune in enumerate(platform.communes):
        faults += _bad_commune(f"communes.{number}", commune, reference)
    return [*faults, *_repeated("communes", platform.communes)]


def solution_faults(solution: Solution, reference: Reference) -> list[Fault]:
    """UAI and commune by their forms (design 4.6, 4.7), a position whole or not at all, sessions each with its id."""
    faults = [*_bad_uai(solution.uai), *_bad_commune("commune", solution.commune, reference)]
    if (solution.lon is None) != (solution.lat is None):
        missing = "lon" if solution.lon is None else "lat"
        faults.append(Fault(missing, "position_incomplete", "give both lon and lat, in degrees, or neither"))
    return faults


def session_faults(sessions: Sequence[Session]) -> list[Fault]:
    """Sessions in the order of the body: ids unique within the solution, none ends before it starts."""
    faults = _repeated("sessions", [session.session_id for session in sessions], field="session_id")
    ended = [
        Fault(f"sessions.{number}.ends_on", "ends_before_start", f"ends_on is before starts_on ({session.starts_on})")
        for number, session in enumerate(sessions)
        if session.ends_on is not None and session.ends_on < session.starts_on
    ]
    return [*faults, *ended]


def _academies(reference: Reference) -> tuple[Academie, ...]:
    """Those of all times."""
    return reference.academies_between(date.min, date.max)


def _unknown_academie(code: str, reference: Reference) -> Iterator[Fault]:
    if code not in {academie.code for academie in _academies(reference)}:
        yield Fault("academie", "unknown_academie", f"{code!r} is no code of an académie (two digits: 09 is Lille)")


def _bad_uai(uai: str | None) -> Iterator[Fault]:
    problem = None if uai is None else uai_problem(uai)
    if uai is None or problem is None:
        return
    what = "is no UAI (seven digits and a letter)" if problem == "malformed" else "has a wrong check letter"
    suggestion = uai_suggestion(uai)
    remedy = f"; perhaps {suggestion} is meant" if suggestion else "; leave uai out where there is no school"
    yield Fault("uai", "unknown_school", f"{uai!r} {what}{remedy}")


def _bad_commune(field: str, code: str, reference: Reference) -> Iterator[Fault]:
    departement = departement_of(code)
    if departement is None or not reference.knows_departement(departement):
        yield Fault(field, "unknown_commune", f"{code!r} is no INSEE (COG) code of a commune; postcodes are not taken")


def _repeated(list_name: str, values: Iterable[str], *, field: str | None = None) -> list[Fault]:
    """A fault at the second and each later place of a value."""
    seen: Counter[str] = Counter()
    faults = []
    for number, value in enumerate(values):
        seen[value] += 1
        if seen[value] > 1:
            where = f"{list_name}.{number}" + (f".{field}" if field else "")
            faults.append(Fault(where, "repeated", f"{value!r} is there twice; name it once"))
    return faults
