"""Offers, terms and events of the tracking service's tests: one valid example each, changed by keyword."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.tracking.domain import Contract, Offer, Placement, Signatures, Terms, Tutor, sign
from shared.clock import random_id
from shared.envelope import Envelope
from shared.events import DropoutDetected, DropoutDismissed, Event, PlacementExpired, PlacementOffered

NOW = datetime(2013, 3, 20, 9, tzinfo=UTC)
HELD_UNTIL = NOW + timedelta(days=15)

OFFER = Offer(
    youth_id="youth",
    solution_id="solution",
    kind="school",
    track="professional",
    academie="09",
    network_id="network",
    starts_on=date(2013, 4, 2),
    held_until=HELD_UNTIL,
    on=date(2013, 3, 20),
    recorded_at=NOW,
)
OFFERED = Placement("placement", "offered", OFFER)
ACCEPTED = replace(OFFERED, state="accepted", answered_on=date(2013, 3, 21))

# A school contract of an adult, nothing wrong with it.
TERMS = Terms(
    on=date(2013, 3, 25),
    starts_on=date(2013, 4, 2),
    ends_on=date(2013, 7, 5),
    tutor=Tutor("Claire Martin", "cpe"),
    signatures=Signatures(tutor=date(2013, 3, 25), youth=date(2013, 3, 26)),
)
ADULT, MINOR = "1994-05", "1996-05"


ON = {"on": "2013-03-21"}
"""The day of an answer, in a request."""


def signed(terms: Terms = TERMS) -> Contract:
    """A contract signed on the accepted example."""
    outcome = sign("contract", ACCEPTED, terms)
    assert isinstance(outcome, tuple)
    return outcome[1]


def contract_body(placement_id: str, **changes: Any) -> dict[str, Any]:
    """The request of `TERMS` on a placement."""
    return {
        "placement_id": placement_id,
        "on": "2013-03-25",
        "starts_on": "2013-04-02",
        "ends_on": "2013-07-05",
        "tutor": {"name": "Claire Martin", "role": "CPE"},
        "signatures": {"tutor": "2013-03-25", "youth": "2013-03-26"},
        **changes,
    }


def envelope(event: Event, event_id: str | None = None, *, at: datetime = NOW) -> Envelope:
    """The event as its service would publish it, recorded `at`."""
    return Envelope(
        id=event_id or random_id(),
        type=event.TYPE,
        source=f"/foquale/{event.TYPE.split('.')[2]}",
        subject=event.subject(),
        time=at,
        data=event.model_dump_json().encode(),
    )


def detected(youth_id: str, birth_month: str = ADULT) -> DropoutDetected:
    """A youth on a list of March 2013."""
    return DropoutDetected(
        youth_id=youth_id,
        on=date(2013, 3, 31),
        campaign="2013-03",
        source="SCOLARITE",
        age=18,
        sex="F",
        academie="09",
        departement="59",
        platform_id="platform",
        network_id="network",
        birth_month=birth_month,
        origin="siei",
    )


def dismissed(youth_id: str, on: date = date(2013, 3, 22)) -> DropoutDismissed:
    """The youth turns out to be in training already."""
    return DropoutDismissed(youth_id=youth_id, on=on, reason="already_in_training", source="SCOLARITE")


def offered(youth_id: str, placement_id: str, **changes: Any) -> PlacementOffered:
    """`OFFER` as the catalogue publishes it, by default held for long after today."""
    return PlacementOffered(
        **{
            "youth_id": youth_id,
            "placement_id": placement_id,
            "on": OFFER.on,
            "solution_id": OFFER.solution_id,
            "kind": OFFER.kind,
            "track": OFFER.track,
            "academie": OFFER.academie,
            "network_id": OFFER.network_id,
            "starts_on": OFFER.starts_on,
            "held_until": datetime.now(UTC) + timedelta(days=15),
            **changes,
        }
    )


def expired(youth_id: str, placement_id: str) -> PlacementExpired:
    """Nobody answered the offer in time."""
    return PlacementExpired(
        youth_id=youth_id, on=date(2013, 4, 5), placement_id=placement_id, solution_id=OFFER.solution_id
    )
