"""How placements and contracts lie in the store: days as `YYYY-MM-DD`, moments as aware UTC datetimes."""

from datetime import date
from typing import Any

from pydantic import TypeAdapter

from services.tracking.domain import Contract, Dismissal, EarlyExpiry, Offer, Placement
from shared.mongo import Document

_CONTRACT = TypeAdapter(Contract)


def of_placement(placement: Placement | EarlyExpiry) -> Document:
    """One flat document; while only the expiry has been heard of, nothing but that."""
    if isinstance(placement, EarlyExpiry):
        return {"_id": placement.placement_id, "expired_on": _text(placement.expired_on)}
    offer = placement.offer
    return {
        "_id": placement.placement_id,
        "state": placement.state,
        "answered_on": _text(placement.answered_on),
        "reason": placement.reason,
        "expired_on": _text(placement.expired_on),
        "contract_id": placement.contract_id,
        "youth_id": offer.youth_id,
        "solution_id": offer.solution_id,
        "kind": offer.kind,
        "track": offer.track,
        "academie": offer.academie,
        "network_id": offer.network_id,
        "starts_on": offer.starts_on.isoformat(),
        "held_until": offer.held_until,
        "offered_on": offer.on.isoformat(),
        "offered_at": offer.recorded_at,
    }


def to_known(document: Document) -> Placement | EarlyExpiry:
    """What has been heard of a placement."""
    if "state" in document:
        return to_placement(document)
    return EarlyExpiry(document["_id"], date.fromisoformat(document["expired_on"]))


def to_placement(document: Document) -> Placement:
    """The placement, of a document with `state`."""
    return Placement(
        placement_id=document["_id"],
        state=document["state"],
        offer=_to_offer(document),
        answered_on=_day(document["answered_on"]),
        reason=document["reason"],
        expired_on=_day(document["expired_on"]),
        contract_id=document["contract_id"],
    )


def _to_offer(document: Document) -> Offer:
    return Offer(
        youth_id=document["youth_id"],
        solution_id=document["solution_id"],
        kind=document["kind"],
        track=document["track"],
        academie=document["academie"],
        network_id=document["network_id"],
        starts_on=date.fromisoformat(document["starts_on"]),
        held_until=document["held_until"],
        on=date.fromisoformat(document["offered_on"]),
        recorded_at=document["offered_at"],
    )


def of_contract(contract: Contract) -> Document:
    """The contract's fields, and beside them what indexes need: `state`, `next_review_on`, and `open` until it ends."""
    document: dict[str, Any] = _CONTRACT.dump_python(contract, mode="json")
    document["_id"] = document.pop("contract_id")
    document["state"] = contract.state
    document["next_review_on"] = _text(contract.next_review_on)
    if contract.state != "ended":
        document["open"] = True
    return document


def to_contract(document: Document) -> Contract:
    """The contract; what is beside its fields follows from them."""
    return _CONTRACT.validate_python({**document, "contract_id": document["_id"]})


def of_dismissal(dismissal: Dismissal) -> Document:
    """A dismissal inside its youth's document."""
    return {"on": dismissal.on.isoformat(), "recorded_at": dismissal.recorded_at}


def to_dismissal(document: Document) -> Dismissal:
    """The dismissal inside a youth's document."""
    return Dismissal(date.fromisoformat(document["on"]), document["recorded_at"])


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
