"""Commands about networks, platforms and solutions: create or replace, and say so on the bus when anything changed."""

from dataclasses import replace

from services.catalogue.announcements import network_registered, platform_registered, solution_described
from services.catalogue.domain import Network, Platform, Solution, session_changes, to_millisecond, with_places_taken
from services.catalogue.store import Store
from shared.events import SolutionPublished, SolutionUpdated, SolutionWithdrawn
from shared.problems import Problem
from shared.unit_of_work import Tx


async def put_network(tx: Tx, network: Network) -> Network:
    """Its solutions go with it into another académie, as at a reform. Of a new head nothing is published."""
    store = Store.within(tx)
    before = await store.network(network.network_id)
    if before is not None and before == network:
        kept = replace(network, version=before.version)
        if before.head != network.head:
            await store.put_network(kept)
        return kept
    registered = replace(network, version=before.version + 1 if before else 1)
    await store.put_network(registered)
    tx.emit(network_registered(registered))
    if before and before.academie != network.academie:
        for solution in await store.solutions_of(network.network_id):
            moved = replace(solution, version=solution.version + 1)
            await store.put_solution(moved)
            tx.emit(solution_described(SolutionUpdated, moved, network.academie))
    return registered


async def put_platform(tx: Tx, platform: Platform) -> Platform:
    """Each registration that changes something is a new claim on its communes."""
    store = Store.within(tx)
    before = await store.platform(platform.platform_id)
    if before is not None and before == platform:
        return before
    registered = replace(platform, registered_at=to_millisecond(tx.now), version=before.version + 1 if before else 1)
    await store.put_platform(registered)
    tx.emit(platform_registered(registered))
    return registered


async def put_solution(tx: Tx, solution: Solution) -> tuple[Solution, Network]:
    """Publish it, or a new version of it. 404 `unknown_network`; 409 `places_taken` when seats taken would be lost."""
    store = Store.within(tx)
    network = await store.network(solution.network_id)
    if network is None:
        raise Problem(404, "unknown_network", f"there is no network {solution.network_id!r}; register it first")
    before = await store.solution(solution.solution_id)
    if before is not None and before == solution:
        return before, network
    changes = session_changes(before.sessions if before else (), solution.sessions)
    if changes.too_small:
        raise Problem(
            409,
            "places_taken",
            "; ".join(f"session {s.session_id!r} has {s.taken} places taken" for s in changes.too_small)
            + ": keep the session, with at least as many places",
            sessions=[{"session_id": s.session_id, "taken": s.taken} for s in changes.too_small],
        )
    published = replace(
        solution,
        version=before.version + 1 if before else 1,
        sessions=with_places_taken(solution.sessions, before.sessions if before else ()),
    )
    await store.put_solution(published)
    await store.change_sessions(solution.solution_id, changes)
    event = SolutionUpdated if before and not before.withdrawn else SolutionPublished
    tx.emit(solution_described(event, published, network.academie))
    return published, network


async def withdraw_solution(tx: Tx, solution_id: str) -> tuple[Solution, Network]:
    """No new offers on it; placements made stand. Withdrawn again, it stays so."""
    store = Store.within(tx)
    before = await store.solution(solution_id)
    if before is None:
        raise Problem(404, "unknown_solution", f"there is no solution {solution_id!r}")
    network = (await store.networks([before.network_id]))[before.network_id]
    if before.withdrawn:
        return before, network
    withdrawn = replace(before, withdrawn=True, version=before.version + 1)
    await store.put_solution(withdrawn)
    tx.emit(SolutionWithdrawn(solution_id=solution_id, version=withdrawn.version))
    return withdrawn, network
