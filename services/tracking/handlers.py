"""What tracking does when it hears from the bus. Any order of the events, and any split into batches, ends the same."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from services.tracking import store
from services.tracking.domain import Dismissal, Offer, Placement, expire, hear_of
from services.tracking.domain.placement import YOUTH_DISMISSED
from shared.consumer import Received
from shared.events import DropoutDetected, DropoutDismissed, PlacementDeclined, PlacementExpired, PlacementOffered
from shared.unit_of_work import Tx


async def on_dropout_detected(tx: Tx, events: Sequence[Received[DropoutDetected]]) -> None:
    """Remember the month of birth, which decides whether a guardian signs; nothing else of the youth."""
    await store.learn_birth_months(tx, {event.data.youth_id: event.data.birth_month for event in events})


async def on_dropout_dismissed(tx: Tx, events: Sequence[Received[DropoutDismissed]]) -> None:
    """Decline what was offered to the youth before and no contract was signed on, so that the seat comes back."""
    last: dict[str, Dismissal] = {}
    for event in events:
        dismissal = Dismissal(event.data.on, _moment(event.envelope.time))
        last[event.data.youth_id] = max(dismissal, last.get(event.data.youth_id, dismissal))
    await store.learn_dismissals(tx, last)
    await _close(tx, await store.unsettled_placements(tx, last), last)


async def on_placement_offered(tx: Tx, events: Sequence[Received[PlacementOffered]]) -> None:
    """Remember the offer; one that the youth's dismissal overtook on the bus is declined at once."""
    known = await store.placements(tx, {event.data.placement_id for event in events})
    dismissals = await store.dismissals_against_offers(tx, {event.data.youth_id for event in events})
    offered: dict[str, Placement] = {}
    for event in events:
        placement_id = event.data.placement_id
        before = offered.get(placement_id, known.get(placement_id))
        offered[placement_id] = hear_of(before, placement_id, _offer(event))
    new = [placement for placement in offered.values() if placement != known.get(placement.placement_id)]
    await store.save_placements(tx, new)
    await _close(tx, new, dismissals)


async def on_placement_expired(tx: Tx, events: Sequence[Received[PlacementExpired]]) -> None:
    """The seat is no longer held; remembered also before the offer has been heard of."""
    known = await store.placements(tx, {event.data.placement_id for event in events})
    expired = dict(known)
    for event in events:
        placement_id = event.data.placement_id
        expired[placement_id] = expire(expired.get(placement_id), placement_id, event.data.on)
    await store.save_placements(
        tx, [placement for placement in expired.values() if placement != known.get(placement.placement_id)]
    )


async def _close(tx: Tx, placements: Iterable[Placement], dismissals: Mapping[str, Dismissal]) -> None:
    """Decline those placements that their youth's dismissal closes."""
    for placement in placements:
        offer = placement.offer
        dismissal = dismissals.get(offer.youth_id)
        closed = placement.dismiss(dismissal) if dismissal else placement
        if dismissal is None or closed == placement:
            continue
        await store.save_placements(tx, [closed])
        tx.emit(
            PlacementDeclined(
                youth_id=offer.youth_id,
                on=dismissal.on,
                placement_id=placement.placement_id,
                solution_id=offer.solution_id,
                reason=YOUTH_DISMISSED,
            )
        )


def _offer(event: Received[PlacementOffered]) -> Offer:
    data = event.data
    return Offer(
        youth_id=data.youth_id,
        solution_id=data.solution_id,
        kind=data.kind,
        track=data.track,
        academie=data.academie,
        network_id=data.network_id,
        starts_on=data.starts_on,
        held_until=_moment(data.held_until),
        on=data.on,
        recorded_at=_moment(event.envelope.time),
    )


def _moment(time: datetime) -> datetime:
    """UTC, to the millisecond as the store keeps it, so that what is heard compares with what was kept."""
    utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
