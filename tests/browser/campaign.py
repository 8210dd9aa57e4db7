"""A campaign as events, in the year of the circular: two lists and who came by himself, on all académies of France.

The steps and their shares are those published for 2013, in small: nine youths in ten are tried, six in ten reached.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from shared.envelope import Envelope
from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DisputeOpened,
    DisputeSettled,
    DropoutDetected,
    DropoutDismissed,
    Event,
    InterviewDone,
    ListTakenIn,
    NetworkRegistered,
    PlacementOffered,
    TrainingStarted,
    YouthEvent,
)
from shared.events.base import Kind, Source
from shared.events.dead_letters import ReferralDeadLetterKept, ReferralDeadLetterSettled
from shared.events.referral import RowCounts
from shared.reference import Reference

YEAR: Final = 2013
TODAY: Final = datetime(YEAR, 12, 10, 9, tzinfo=UTC)
"""When the services believe to be when they start: late in the year, so that there is a landing to project."""

_LISTS: Final = (date(YEAR, 3, 31), date(YEAR, 10, 31))
_ENDS_OF: Final = ("nord", "sud")
_SOURCES: Final[tuple[Source, ...]] = ("SCOLARITE", "APPRENTISSAGE", "MISSION_LOCALE", "ETABLISSEMENT", "AGRICULTURE")
_KINDS: Final[tuple[Kind, ...]] = ("school", "innovative_structure", "apprenticeship", "trainee", "civic_service")


class Network(NamedTuple):
    """A network and where it is."""

    network_id: str
    name: str
    academie: str
    departement: str


def networks(reference: Reference) -> list[Network]:
    """Two networks in each département."""
    on = date(YEAR, 9, 1)
    return [
        Network(f"FOQ-{code}-{number:02}", f"Réseau FOQUALE {departement.name} {end}", academie, code)
        for code, departement in sorted(reference.departements().items())
        if (academie := reference.academie_of(code, on)) is not None
        for number, end in enumerate(_ENDS_OF, start=1)
    ]


def events(reference: Reference, youths: int, *, seed: int = 2013) -> list[Event]:
    """The networks' registrations, what is told of the lists, and the youths' lives up to the day before `TODAY`."""
    found = networks(reference)
    rng = random.Random(seed)
    weights = [rng.lognormvariate(0, 0.8) for _ in found]
    told: list[Event] = [
        NetworkRegistered(network_id=each.network_id, name=each.name, academie=each.academie, platform_ids=())
        for each in found
    ]
    told += lists_taken_in()
    for network in rng.choices(found, weights, k=youths):
        youth = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        told += (event for event in life(youth, network, rng) if event.on < TODAY.date())
    return told


def lists_taken_in() -> Iterator[Event]:
    """What referral tells of the two lists: rows, rejects, disputes, and records that it could not read.

    Agricultural education has sent nothing since the first.
    """
    for number, day in enumerate((date(YEAR, 4, 2), date(YEAR, 11, 4)), start=1):
        for place, source in enumerate(_SOURCES if number == 1 else _SOURCES[:-1]):
            rejected = {"under_16": 31 - 5 * place, "has_diploma": 22 - 4 * place, "unknown_commune": 4 - place}
            rows = RowCounts(
                source=source,
                campaign=f"{_LISTS[number - 1]:%Y-%m}",
                rows=900 // (place + 1),
                accepted=600 // (place + 1),
                matched=900 // (place + 1) - 600 // (place + 1) - 7 - sum(rejected.values()),
                disputed=2,
                repeated=5,
                rejected=rejected,
                warnings={"bad_ine": 9 - place, "school_not_listed": 3},
            )
            yield ListTakenIn(on=day, list_id=f"list-{number}", way="list", counts=(rows,))
    for number in range(9):
        on = date(YEAR, 4, 3) + timedelta(days=28 * number)
        yield DisputeOpened(dispute_id=f"D-{number}", on=on, source="SCOLARITE")
        if number % 2:
            yield DisputeSettled(
                dispute_id=f"D-{number}", on=on + timedelta(days=6), source="SCOLARITE", decision="same"
            )
    for number, code in enumerate(("bad_json", "bad_json", "invalid_data")):
        letter = {"on": date(YEAR, 11, 20), "dead_letter_id": f"L-{number}", "topic": "siei.dropouts", "code": code}
        yield ReferralDeadLetterKept.model_validate(letter)
        if number == 0:
            yield ReferralDeadLetterSettled.model_validate({**letter, "by": "person"})


def life(youth: str, network: Network, rng: random.Random) -> Iterator[YouthEvent]:
    """One youth: detected, tried, reached or not, and so on as far as it goes."""
    chance = rng.random
    source: Source | None = rng.choices(_SOURCES, (70, 11, 9, 6, 4))[0]
    day = _LISTS[chance() < 0.45]
    if chance() < 0.15:
        day, source = date(YEAR, 1, 7) + timedelta(days=rng.randrange(320)), None
    yield detected(youth, day, network, source, age=16 + rng.randrange(9), sex="F" if chance() < 0.47 else "M")
    if chance() < 0.1:
        return
    day += timedelta(days=2 + rng.randrange(20))
    if chance() < 0.09:
        yield DropoutDismissed(youth_id=youth, on=day, reason="already_in_training", source=source)
        return
    if chance() < 0.3:
        yield ContactAttempted(youth_id=youth, on=day, channel="phone", outcome="no_answer")
        if chance() < 0.5:
            return
        day += timedelta(days=1 + rng.randrange(10))
    yield ContactAttempted(youth_id=youth, on=day, channel="phone", outcome="reached")
    if chance() < 0.2:
        return
    day += timedelta(days=3 + rng.randrange(20))
    yield InterviewDone(youth_id=youth, on=day, needs=("orientation",))
    if chance() < 0.25:
        return
    yield from placed(youth, network, day, rng)


def placed(youth: str, network: Network, day: date, rng: random.Random) -> Iterator[YouthEvent]:
    """Offer, contract, start, and sometimes an early end."""
    placement, solution, kind = (
        f"P-{youth}",
        f"SOL-{network.departement}-001",
        rng.choices(_KINDS, (50, 15, 12, 10, 13))[0],
    )
    day += timedelta(days=2 + rng.randrange(15))
    yield PlacementOffered(
        youth_id=youth,
        on=day,
        placement_id=placement,
        solution_id=solution,
        kind=kind,
        academie=network.academie,
        network_id=network.network_id,
        starts_on=day + timedelta(days=20),
        held_until=datetime.combine(day + timedelta(days=15), time(), UTC),
    )
    if rng.random() < 0.2:
        return
    day += timedelta(days=2 + rng.randrange(12))
    yield ContractSigned(
        youth_id=youth,
        on=day,
        contract_id=f"C-{youth}",
        placement_id=placement,
        solution_id=solution,
        kind=kind,
        tutor_role="teacher",
        starts_on=day + timedelta(days=7),
        ends_on=day + timedelta(days=250),
    )
    if rng.random() < 0.12:
        return
    day += timedelta(days=5 + rng.randrange(10))
    yield TrainingStarted(youth_id=youth, on=day, contract_id=f"C-{youth}", kind=kind)
    if rng.random() < 0.1:
        day += timedelta(days=15 + rng.randrange(60))
        yield ContractEnded(youth_id=youth, on=day, contract_id=f"C-{youth}", reason="dropped_out")


def detected(
    youth: str, on: date, network: Network, source: Source | None = "SCOLARITE", *, age: int = 17, sex: str = "F"
) -> DropoutDetected:
    """A youth of this network is detected."""
    return DropoutDetected(
        youth_id=youth,
        on=on,
        campaign=on.isoformat()[:7],
        source=source,
        age=age,
        sex="F" if sex == "F" else "M",
        academie=network.academie,
        departement=network.departement,
        platform_id=f"PSAD-{network.departement}-01",
        network_id=network.network_id,
        birth_month=f"{on.year - age}-05",
        origin="siei" if source else "spontaneous",
    )


def envelopes(told: list[Event], *, prefix: str) -> dict[str, list[Envelope]]:
    """The events as they go over the bus, by topic, recorded on the evening of the day that they happened on."""
    by_topic: dict[str, list[Envelope]] = {}
    for number, event in enumerate(told):
        on: date = getattr(event, "on", date(YEAR, 1, 2))
        at = datetime.combine(on, time(18, tzinfo=UTC)) + timedelta(milliseconds=number)
        envelope = Envelope(
            id=f"{prefix}-{number:06d}",
            type=event.TYPE,
            source=f"/foquale/{event.TOPIC.partition('.')[0]}",
            subject=event.subject(),
            time=at,
            data=event.model_dump_json().encode(),
        )
        by_topic.setdefault(event.TOPIC, []).append(envelope)
    return by_topic
