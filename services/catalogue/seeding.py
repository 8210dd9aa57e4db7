"""Puts the shipped networks, platforms and solutions that are not there yet. What a person has put stays as it is.

Replicas that start at once make one set: both look and write in one transaction, and of two that write the same
document one begins again and finds it there.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from services.catalogue.announcements import network_registered, platform_registered, solution_described
from services.catalogue.domain import Network, Platform, Session, Solution, in_order, to_millisecond
from services.catalogue.store import Store
from shared.events import SolutionPublished
from shared.mongo import Mongo
from shared.reference import Reference, ReferenceNetwork, ReferencePlatform, ReferenceSolution
from shared.unit_of_work import Tx, UnitOfWork

log = structlog.get_logger(__name__)

_BATCH = 500


async def seed(mongo: Mongo, unit_of_work: UnitOfWork, reference: Reference) -> None:
    """Put what is missing, in few transactions. On a catalogue that has it all, three queries."""
    networks = {network.network_id: network for network in reference.networks()}
    platforms = {platform.platform_id: platform for platform in reference.platforms()}
    solutions = {solution.solution_id: solution for solution in reference.solutions()}

    async def put_networks(tx: Tx, ids: Sequence[str]) -> int:
        absent = await Store.within(tx).missing("networks", ids)
        added = [_network(networks[key]) for key in ids if key in absent]
        await Store.within(tx).add_networks(added)
        tx.emit(*map(network_registered, added))
        return len(added)

    async def put_platforms(tx: Tx, ids: Sequence[str]) -> int:
        absent = await Store.within(tx).missing("platforms", ids)
        added = [_platform(platforms[key], to_millisecond(tx.now)) for key in ids if key in absent]
        await Store.within(tx).add_platforms(added)
        tx.emit(*map(platform_registered, added))
        return len(added)

    async def put_solutions(tx: Tx, ids: Sequence[str]) -> int:
        absent = await Store.within(tx).missing("solutions", ids)
        added = [_solution(solutions[key]) for key in ids if key in absent]
        await Store.within(tx).add_solutions(added)
        known = await Store.within(tx).networks(solution.network_id for solution in added)
        tx.emit(*(solution_described(SolutionPublished, s, known[s.network_id].academie) for s in added))
        return len(added)

    for collection, ids, put in (
        ("networks", list(networks), put_networks),
        ("platforms", list(platforms), put_platforms),
        ("solutions", list(solutions), put_solutions),
    ):
        missing = await Store(mongo).missing(collection, ids)
        added = await _in_batches(unit_of_work, [key for key in ids if key in missing], put)
        if added:
            log.info("seeded", collection=collection, documents=added)


async def _in_batches(
    unit_of_work: UnitOfWork, ids: Sequence[str], put: Callable[[Tx, Sequence[str]], Awaitable[int]]
) -> int:
    added = 0
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]

        async def work(tx: Tx, batch: Sequence[str] = batch) -> int:
            return await put(tx, batch)

        added += await unit_of_work.run(work)
    return added


def _network(network: ReferenceNetwork) -> Network:
    return Network(network.network_id, network.name, network.academie, network.platform_ids)


def _platform(platform: ReferencePlatform, now: datetime) -> Platform:
    return Platform(
        platform_id=platform.platform_id,
        name=platform.name,
        departement=platform.departement,
        academie=platform.academie,
        communes=platform.communes,
        default_network_id=platform.default_network_id,
        registered_at=now,
    )


def _solution(solution: ReferenceSolution) -> Solution:
    return Solution(
        solution_id=solution.solution_id,
        title=solution.title,
        kind=solution.kind,
        track=solution.track,
        network_id=solution.network_id,
        uai=solution.uai,
        commune=solution.commune,
        sector=solution.sector,
        lon=solution.lon,
        lat=solution.lat,
        sessions=in_order(Session(s.session_id, s.starts_on, s.ends_on, s.places) for s in solution.sessions),
    )
