"""Offers and what becomes of them: each change of a placement and its session's counters in one transaction."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta

import structlog

from services.catalogue.domain import Happening, Placement, Session, follow, to_millisecond
from services.catalogue.heard_store import Youths
from services.catalogue.seat_store import Placements, Seats
from services.catalogue.store import Offered, Store, session_key
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """An offer that somebody wants to make. `on`: the day it is made, today when None; `trace`: of who asked."""

    youth_id: str
    solution_id: str
    session_id: str
    on: date | None = None
    trace: str | None = None

    @property
    def key(self) -> str:
        """Of the session."""
        return session_key(self.solution_id, self.session_id)


async def offer(tx: Tx, rules: HoldRules, wanted: Sequence[Wanted]) -> list[Placement | Problem]:
    """Hold seats for interviewed youths, in this order, or refuse with what stands against it.

    All is read first, then decided, then written: many offers cost little more than one, and one that is refused has
    written nothing. A hold counts from now, whatever `on`.
    """
    offered = await Store.within(tx).offered(each.key for each in wanted)
    youths = await Youths(tx).interviewed(each.youth_id for each in wanted)
    placements = Placements.within(tx)
    open_offers = await placements.open_offers(youths, offered.sessions)
    free = {key: session.free for key, session in offered.sessions.items()}
    wishes = Counter(each.key for each in wanted)
    short = [key for key, places in free.items() if places < wishes[key]]
    overdue = await placements.with_overdue(short, tx.now - rules.grace) if short else set[str]()
    now = to_millisecond(tx.now)
    made: list[Placement] = []
    outcomes: list[Placement | Problem] = []
    for each in wanted:
        before = open_offers.get((each.youth_id, each.key))
        refusal = _refusal(each, offered, youths, before)
        if refusal is None and free[each.key] < 1:
            if each.key in overdue:
                free[each.key] += await _free_overdue(tx, each.key, rules)
            refusal = None if free[each.key] else _no_free_place(offered.sessions[each.key])
        if refusal is not None:
            outcomes.append(refusal)
            continue
        placement = Placement(
            placement_id=random_id(),
            youth_id=each.youth_id,
            solution_id=each.solution_id,
            session_id=each.session_id,
            state="held",
            on=each.on or now.date(),
            held_until=now + rules.hold,
        )
        free[each.key] -= 1
        open_offers[each.youth_id, each.key] = placement.placement_id
        made.append(placement)
        outcomes.append(placement)
        tx.emit(_offered(placement, offered), trace=each.trace)
    if made:
        await Youths(tx).claim(Counter(placement.youth_id for placement in made))
        await Seats(tx).hold(Counter(session_key(p.solution_id, p.session_id) for p in made))
        await placements.add(made, now)
    return outcomes


def _refusal(wanted: Wanted, offered: Offered, youths: Set[str], before: str | None) -> Problem | None:
    """What stands against an offer, but for the places."""
    solution, session_id = offered.solutions.get(wanted.solution_id), wanted.session_id
    if solution is None:
        return Problem(404, "unknown_solution", f"there is no solution {wanted.solution_id!r}")
    if solution.withdrawn:
        detail = f"solution {wanted.solution_id!r} is no longer offered; choose another"
        return Problem(409, "solution_withdrawn", detail)
    if wanted.key not in offered.sessions:
        return Problem(404, "unknown_session", f"solution {wanted.solution_id!r} has no session {session_id!r}")
    if wanted.youth_id not in youths:
        detail = f"no interview of youth {wanted.youth_id!r} is known here; if there was one a moment ago, try again"
        return Problem(409, "not_interviewed", detail, retry_after_s=1)
    if before is not None:
        detail = f"the youth has an offer in this session already: {before}"
        return Problem(409, "already_offered", detail, placement_id=before)
    return None


def _no_free_place(session: Session) -> Problem:
    detail = f"all {session.places} places of session {session.session_id!r} are taken; choose another"
    return Problem(409, "no_free_place", detail)


def _offered(placement: Placement, offered: Offered) -> PlacementOffered:
    solution = offered.solutions[placement.solution_id]
    network = offered.networks[solution.network_id]
    return PlacementOffered(
        youth_id=placement.youth_id,
        on=placement.on,
        placement_id=placement.placement_id,
        solution_id=placement.solution_id,
        kind=solution.kind,
        track=solution.track,
        academie=network.academie,
        network_id=network.network_id,
        starts_on=offered.sessions[session_key(placement.solution_id, placement.session_id)].starts_on,
        held_until=placement.held_until,
    )


async def _free_overdue(tx: Tx, key: str, rules: HoldRules) -> int:
    """Let an overdue hold of the session expire that nobody has looked at yet; how many places that frees."""
    overdue = await Placements.within(tx).overdue_in(key, tx.now - rules.grace)
    if overdue is None:
        return 0
    seats = Seats(tx)
    await _expire(tx, seats, overdue)
    await seats.write()
    return 1


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
