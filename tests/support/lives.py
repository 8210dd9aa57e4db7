"""Made-up lives of youths as events, for whoever counts them: each with an identifier and a time of its own."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import get_args

from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    PlacementAccepted,
    PlacementDeclined,
    PlacementOffered,
    ReviewDone,
    TrainingStarted,
    YouthEvent,
    YouthTransferred,
)
from shared.events.base import Kind, Source
from shared.events.referral import ContactOutcome
from shared.events.tracking import EndReason
from tests.support.oracle import Happened

OWNERS = (
    ("01", "75", "PSAD-75-01", "FOQ-75-01"),
    ("01", "75", "PSAD-75-02", "FOQ-75-02"),
    ("24", "93", "PSAD-93-01", "FOQ-93-01"),
    ("24", "77", "PSAD-77-01", "FOQ-77-01"),
    ("05", "14", "PSAD-14-01", "FOQ-14-01"),
    ("43", "976", "PSAD-976-01", "FOQ-976-01"),
)
"""Académie, département, platform, network."""

Choose = Callable[[int], int]
"""A number from 0 to below the argument: how everything below decides."""


def detected(youth: str, on: date, owner: int = 0, source: str | None = "SCOLARITE") -> DropoutDetected:
    academie, departement, platform, network = OWNERS[owner % len(OWNERS)]
    return DropoutDetected(
        youth_id=youth,
        on=on,
        campaign=on.isoformat()[:7],
        source=source,  # type: ignore[arg-type]  # pydantic checks it
        age=17,
        sex="F",
        academie=academie,
        departement=departement,
        platform_id=platform,
        network_id=network,
        birth_month="1996-05",
        origin="siei" if source else "spontaneous",
    )


def transferred(youth: str, on: date, owner: int) -> YouthTransferred:
    academie, departement, platform, network = OWNERS[owner % len(OWNERS)]
    return YouthTransferred(
        youth_id=youth,
        on=on,
        from_platform_id="PSAD-59-01",
        platform_id=platform,
        network_id=network,
        departement=departement,
        academie=academie,
    )


def contacted(youth: str, on: date, outcome: ContactOutcome = "reached") -> ContactAttempted:
    return ContactAttempted(youth_id=youth, on=on, channel="phone", outcome=outcome)


def interviewed(youth: str, on: date) -> InterviewDone:
    return InterviewDone(youth_id=youth, on=on, needs=("orientation",))


def offered(youth: str, on: date) -> PlacementOffered:
    return PlacementOffered(
        youth_id=youth,
        on=on,
        placement_id=f"p-{youth}",
        solution_id="s-1",
        kind="school",
        academie="01",
        network_id="FOQ-75-01",
        starts_on=on,
        held_until=datetime(2013, 9, 1, tzinfo=UTC),
    )


def accepted(youth: str, on: date) -> PlacementAccepted:
    return PlacementAccepted(youth_id=youth, on=on, placement_id=f"p-{youth}", solution_id="s-1")


def declined(youth: str, on: date) -> PlacementDeclined:
    return PlacementDeclined(youth_id=youth, on=on, placement_id=f"p-{youth}", solution_id="s-1", reason="too_far")


def reviewed(youth: str, on: date) -> ReviewDone:
    next_on = on + timedelta(days=60)
    return ReviewDone(youth_id=youth, on=on, contract_id=f"c-{youth}", outcome="on_track", next_on=next_on)


def contracted(youth: str, on: date) -> ContractSigned:
    return ContractSigned(
        youth_id=youth,
        on=on,
        contract_id=f"c-{youth}",
        placement_id=f"p-{youth}",
        solution_id="s-1",
        kind="school",
        tutor_role="teacher",
        starts_on=on,
        ends_on=on + timedelta(days=200),
    )


def started(youth: str, on: date, kind: Kind = "school") -> TrainingStarted:
    return TrainingStarted(youth_id=youth, on=on, contract_id=f"c-{youth}", kind=kind)


def ended(youth: str, on: date, reason: EndReason = "dropped_out") -> ContractEnded:
    return ContractEnded(youth_id=youth, on=on, contract_id=f"c-{youth}", reason=reason)


def dismissed(youth: str, on: date, source: str | None = "AGRICULTURE") -> DropoutDismissed:
    return DropoutDismissed(youth_id=youth, on=on, reason="error", source=source)  # type: ignore[arg-type]  # as above


def any_event(youth: str, on: date, choose: Choose) -> YouthEvent:
    """Any event that reporting reads, likely or not."""
    sources = (*get_args(Source), None)
    makers: list[Callable[[], YouthEvent]] = [
        lambda: detected(youth, on, choose(len(OWNERS)), sources[choose(len(sources))]),
        lambda: transferred(youth, on, choose(len(OWNERS))),
        lambda: contacted(youth, on, get_args(ContactOutcome)[choose(5)]),
        lambda: interviewed(youth, on),
        lambda: offered(youth, on),
        lambda: contracted(youth, on),
        lambda: started(youth, on, get_args(Kind)[choose(8)]),
        lambda: ended(youth, on, get_args(EndReason)[choose(7)]),
        lambda: dismissed(youth, on, sources[choose(len(sources))]),
        lambda: accepted(youth, on),
        lambda: declined(youth, on),
        lambda: reviewed(youth, on),
    ]
    return makers[choose(len(makers))]()


def likely_life(youth: str, begins: date, choose: Choose) -> list[YouthEvent]:
    """A life as most go: detected, tried, reached or not, interviewed, offered, contracted, started, perhaps broken."""
    day = begins
    life: list[YouthEvent] = [detected(youth, day, choose(len(OWNERS)))]

    def later(most_days: int) -> date:
        nonlocal day
        day += timedelta(days=choose(most_days + 1))
        return day

    life.append(contacted(youth, later(25), get_args(ContactOutcome)[choose(5)]))
    if choose(10) == 0:
        return [*life, dismissed(youth, later(20))]
    life.append(contacted(youth, later(10), "reached"))
    steps: list[Callable[[], YouthEvent]] = [
        lambda: interviewed(youth, later(30)),
        lambda: offered(youth, later(20)),
        lambda: accepted(youth, later(5)),
        lambda: contracted(youth, later(15)),
        lambda: started(youth, later(10), get_args(Kind)[choose(5)]),
        lambda: reviewed(youth, later(60)),
        lambda: ended(youth, later(60), get_args(EndReason)[choose(7)]),
    ]
    for step in steps:
        if choose(5) == 0:
            break
        life.append(step())
    if choose(8) == 0:
        life.append(transferred(youth, later(30), choose(len(OWNERS))))
    return life


def recorded(events: list[YouthEvent], *, prefix: str, seed: int) -> list[Happened]:
    """The events with identifiers and with times of recording that often collide and seldom follow the days."""
    rng = random.Random(seed)
    began = datetime(2013, 3, 1, 8, tzinfo=UTC)
    return [
        Happened(f"{prefix}-{number:06d}", began + timedelta(seconds=rng.randrange(len(events) // 2 + 1)), event)
        for number, event in enumerate(events)
    ]


def population(youths: int, seed: int, *, prefix: str = "y") -> list[Happened]:
    """Many youths' lives, most likely ones and some of anything, over 2013."""
    rng = random.Random(seed)
    events: list[YouthEvent] = []
    for number in range(youths):
        youth = f"{prefix}{number}"
        begins = date(2013, 1, 31) + timedelta(days=rng.randrange(240))
        if rng.randrange(4):
            events += likely_life(youth, begins, rng.randrange)
        else:
            events += [
                any_event(youth, begins + timedelta(days=rng.randrange(-20, 90)), rng.randrange)
                for _ in range(rng.randrange(1, 8))
            ]
    return recorded(events, prefix=f"{prefix}e", seed=seed)
