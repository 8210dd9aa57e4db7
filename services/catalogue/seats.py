"""Offers and what becomes of them: each change of a placement and its session's counters in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import structlog

from services.catalogue.domain import Happening, Placement, follow, to_millisecond
from services.catalogue.heard_store import Youths
from services.catalogue.seat_store import Placements, Seats
from services.catalogue.store import Store, session_key
from shared.clock import random_id
from shared.consumer import Unapplicable
from shared.events import PlacementExpired, PlacementOffered
from shared.problems import Problem
from shared.unit_of_work import Tx

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HoldRules:
    """How long an offer holds its seat, and how long after that an acceptance may still be under way."""

    hold: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a placement, heard from the bus."""

    placement_id: str
    happening: Happening
    contract_id: str | None = None


async def offer(
    tx: Tx, rules: HoldRules, *, youth_id: str, solution_id: str, session_id: str, on: date | None
) -> Placement:
    """Hold a seat for an interviewed youth, or refuse with what stands against it. Counts from now, whatever `on`."""
    found = await Store.within(tx).offered(solution_id, session_id)
    if found is None:
        raise Problem(404, "unknown_solution", f"there is no solution {solution_id!r}")
    solution, network = found
    if solution.withdrawn:
        raise Problem(409, "solution_withdrawn", f"solution {solution_id!r} is no longer offered; choose another")
    if not solution.sessions:
        raise Problem(404, "unknown_session", f"solution {solution_id!r} has no session {session_id!r}")
    (session,) = solution.sessions
    if not await Youths(tx).claim(youth_id):
        raise Problem(
            409,
            "not_interviewed",
            f"no interview of youth {youth_id!r} is known here; if there was one a moment ago, try again",
            retry_after_s=1,
        )
    placements = Placements.within(tx)
    key = session_key(solution_id, session_id)
    before = await placements.open_offer(youth_id, key)
    if before is not None:
        raise Problem(
            409, "already_offered", f"the youth has an offer in this session already: {before}", placement_id=before
        )
    if not await _take(tx, key, rules):
        raise Problem(
            409, "no_free_place", f"all {session.places} places of session {session_id!r} are taken; choose another"
        )
    now = to_millisecond(tx.now)
    placement = Placement(
        placement_id=random_id(),
        youth_id=youth_id,
        solution_id=solution_id,
        session_id=session_id,
        state="held",
        on=on or now.date(),
        held_until=now + rules.hold,
    )
    await placements.add(placement, now)
    tx.emit(
        PlacementOffered(
            youth_id=youth_id,
            on=placement.on,
            placement_id=placement.placement_id,
            solution_id=solution_id,
            kind=solution.kind,
            track=solution.track,
            academie=network.academie,
            network_id=network.network_id,
            starts_on=session.starts_on,
            held_until=placement.held_until,
        )
    )
    return placement


async def _take(tx: Tx, key: str, rules: HoldRules) -> bool:
    """Take a seat of the session; where none is free, that of an overdue hold nobody has looked at yet."""
    seats = Seats(tx)
    if await seats.take(key, held=1, occupied=0):
        return True
    overdue = await Placements.within(tx).overdue_in(key, tx.now - rules.grace)
    if overdue is None:
        return False
    await _expire(tx, seats, overdue)
    return await seats.take(key, held=1, occupied=0)


async def expire(tx: Tx, placement_id: str, rules: HoldRules) -> bool:
    """Let an overdue hold expire; whether it did. It may have been answered, or expired, since it was looked up."""
    placement = await Placements.within(tx).find(placement_id)
    if placement is None or placement.state != "held" or placement.held_until >= tx.now - rules.grace:
        return False
    seats = Seats(tx)
    await _expire(tx, seats, placement)
    await seats.write()
    return True


async def _expire(tx: Tx, seats: Seats, placement: Placement) -> None:
    """It happened on the day the hold ended, however late it is noticed."""
    expired = await _advance(seats, placement, News(placement.placement_id, "expired"))
    await Placements.within(tx).write([expired])
    tx.emit(
        PlacementExpired(
            youth_id=placement.youth_id,
            on=placement.held_until.date(),
            placement_id=placement.placement_id,
            solution_id=placement.solution_id,
        )
    )


async def apply(tx: Tx, news: Sequence[News]) -> None:
    """Apply what happened to placements, in this order. Raises `Unapplicable` for a placement never offered here."""
    placements = Placements.within(tx)
    now_are = await placements.find_all(item.placement_id for item in news)
    were = dict(now_are)
    seats = Seats(tx)
    for item in news:
        placement = now_are.get(item.placement_id)
        if placement is None:
            raise Unapplicable("unknown_placement", f"no offer {item.placement_id!r} was made by this catalogue")
        now_are[item.placement_id] = await _advance(seats, placement, item)
    await seats.write()
    await placements.write([placement for key, placement in now_are.items() if placement != were[key]])


async def _advance(seats: Seats, placement: Placement, news: News) -> Placement:
    """The placement after the news; its seat is taken, moved or given back in `seats`."""
    if news.contract_id and placement.contract_id not in (None, news.contract_id):
        raise Unapplicable(
            "second_contract", f"offer {placement.placement_id} has contract {placement.contract_id} already"
        )
    key = session_key(placement.solution_id, placement.session_id)
    step = follow(placement.state, news.happening, seat_free=True)
    if not step.needs_seat:
        seats.move(key, held=step.held, occupied=step.occupied)
    elif not await seats.take(key, held=step.held, occupied=step.occupied):
        step = follow(placement.state, news.happening, seat_free=False)
        log.warning("seat_conflict", placement=placement.placement_id, session=key, conflict=step.conflict)
    resolved = step.state != placement.state
    return replace(
        placement,
        state=step.state,
        contract_id=news.contract_id or placement.contract_id,
        conflict=step.conflict or (None if resolved else placement.conflict),
    )
