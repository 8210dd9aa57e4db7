"""HTTP of the catalogue: networks, platforms, solutions, placements. No logic here."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from services.catalogue import checks, registry, seats
from services.catalogue.checks import Fault
from services.catalogue.inputs import (
    Identifier,
    NetworkFilter,
    NetworkInput,
    OfferInput,
    PlatformFilter,
    PlatformInput,
    SolutionFilter,
    SolutionInput,
)
from services.catalogue.seat_store import Placements
from services.catalogue.seats import HoldRules, Wanted
from services.catalogue.store import Store
from services.catalogue.views import (
    NetworkPage,
    NetworkView,
    PlacementView,
    PlatformPage,
    PlatformView,
    SolutionPage,
    SolutionView,
)
from shared.clock import Clock
from shared.command_route import CommandRoute
from shared.commands import Answer, CommandOf
from shared.mongo import Document, Mongo
from shared.observability import current_trace
from shared.problems import Problem
from shared.reference import Reference
from shared.unit_of_work import Tx

PathId = Annotated[Identifier, Path()]


def network_routes(mongo: Mongo, reference: Reference) -> APIRouter:
    """Networks."""
    routes = APIRouter(prefix="/v1/networks", tags=["networks"])

    @routes.put("/{network_id}", response_model=NetworkView)
    async def put_network(network_id: PathId, body: NetworkInput, command: CommandOf) -> JSONResponse:
        """Create or replace. Published, but for the head, when anything changed. Platforms may be named beforehand."""
        network = body.network(network_id)
        _refuse(checks.network_faults(network, reference))

        async def put(tx: Tx) -> Answer:
            return NetworkView.of(await registry.put_network(tx, network)).answer()

        return await command(put, status=200)

    @routes.get("/{network_id}")
    async def get_network(network_id: str) -> NetworkView:
        network = await Store(mongo).network(network_id)
        if network is None:
            raise Problem(404, "unknown_network", f"there is no network {network_id!r}")
        return NetworkView.of(network)

    @routes.get("")
    async def list_networks(query: Annotated[NetworkFilter, Query()]) -> NetworkPage:
        """By id."""
        where = _where(academie=query.academie, platform_ids=query.platform_id)
        found, following = await Store(mongo).page_of_networks(where, query.cursor, query.limit)
        return NetworkPage(items=[NetworkView.of(network) for network in found], next=following)

    return routes


def platform_routes(mongo: Mongo, reference: Reference, clock: Clock) -> APIRouter:
    """Platforms."""
    routes = APIRouter(prefix="/v1/platforms", tags=["platforms"])

    @routes.put("/{platform_id}", response_model=PlatformView)
    async def put_platform(platform_id: PathId, body: PlatformInput, command: CommandOf) -> JSONResponse:
        """Create or replace. Published when anything changed. Its network may be named beforehand."""
        platform = body.platform(platform_id, clock())
        _refuse(checks.platform_faults(platform, reference))

        async def put(tx: Tx) -> Answer:
            return PlatformView.of(await registry.put_platform(tx, platform)).answer()

        return await command(put, status=200)

    @routes.get("/{platform_id}")
    async def get_platform(platform_id: str) -> PlatformView:
        platform = await Store(mongo).platform(platform_id)
        if platform is None:
            raise Problem(404, "unknown_platform", f"there is no platform {platform_id!r}")
        return PlatformView.of(platform)

    @routes.get("")
    async def list_platforms(query: Annotated[PlatformFilter, Query()]) -> PlatformPage:
        """By id."""
        where = _where(academie=query.academie, departement=query.departement, default_network_id=query.network_id)
        found, following = await Store(mongo).page_of_platforms(where, query.cursor, query.limit)
        return PlatformPage(items=[PlatformView.of(platform) for platform in found], next=following)

    return routes


def solution_routes(mongo: Mongo, reference: Reference) -> APIRouter:
    """Solutions with their sessions."""
    routes = APIRouter(prefix="/v1/solutions", tags=["solutions"])

    @routes.put("/{solution_id}", response_model=SolutionView)
    async def put_solution(solution_id: PathId, body: SolutionInput, command: CommandOf) -> JSONResponse:
        """Create or replace; a withdrawn one is published again. Seats that are taken cannot be put away."""
        solution = body.solution(solution_id)
        _refuse([*checks.solution_faults(solution, reference), *checks.session_faults(body.as_sent())])

        async def put(tx: Tx) -> Answer:
            return SolutionView.of(*await registry.put_solution(tx, solution)).answer()

        return await command(put, status=200)

    @routes.delete("/{solution_id}", response_model=SolutionView)
    async def withdraw_solution(solution_id: str, command: CommandOf) -> JSONResponse:
        """Take it off the list: no new offers. Placements already made stand."""

        async def withdraw(tx: Tx) -> Answer:
            return SolutionView.of(*await registry.withdraw_solution(tx, solution_id)).answer()

        return await command(withdraw, status=200)

    @routes.get("/{solution_id}")
    async def get_solution(solution_id: str) -> SolutionView:
        """With the free places of each session."""
        store = Store(mongo)
        solution = await store.solution(solution_id)
        if solution is None:
            raise Problem(404, "unknown_solution", f"there is no solution {solution_id!r}")
        networks = await store.networks([solution.network_id])
        return SolutionView.of(solution, networks[solution.network_id])

    @routes.get("")
    async def list_solutions(query: Annotated[SolutionFilter, Query()]) -> SolutionPage:
        """Those on offer, by id."""
        store = Store(mongo)
        where = _where(kind=query.kind, track=query.track, network_id=query.network_id)
        found, following = await store.page_of_solutions(
            where, query.cursor, query.limit, free=query.free, academie=query.academie
        )
        networks = await store.networks(solution.network_id for solution in found)
        return SolutionPage(items=[SolutionView.of(s, networks[s.network_id]) for s in found], next=following)

    return routes


def placement_routes(mongo: Mongo, rules: HoldRules) -> APIRouter:
    """Offers, and what became of them."""
    routes = APIRouter(prefix="/v1/placements", tags=["placements"], route_class=CommandRoute)

    async def offer(tx: Tx, wanted: Sequence[Wanted]) -> list[Answer | Exception]:
        made = await seats.offer(tx, rules, wanted)
        return [each if isinstance(each, Problem) else PlacementView.of(each).answer() for each in made]

    @routes.post("", status_code=201, response_model=PlacementView)
    async def offer_place(body: OfferInput, command: CommandOf) -> JSONResponse:
        """Hold a seat for a youth who had an interview. `held_until` counts from now, whatever day `on` is."""
        wanted = Wanted(body.youth_id, body.solution_id, body.session_id, body.on, current_trace())
        return await command.of_many(offer, wanted)

    @routes.get("/{placement_id}")
    async def get_placement(placement_id: str) -> PlacementView:
        placement = await Placements(mongo).find(placement_id)
        if placement is None:
            raise Problem(404, "unknown_placement", f"there is no placement {placement_id!r}")
        return PlacementView.of(placement)

    return routes


def _where(**fields: str | None) -> Document:
    return {name: value for name, value in fields.items() if value is not None}


def _refuse(faults: Sequence[Fault]) -> None:
    """422 with every fault, in the shape of the framework's own."""
    if faults:
        errors = [{"in": "body", "field": f.field, "code": f.code, "message": f.message} for f in faults]
        fields = ", ".join(fault.field for fault in faults[:20])
        raise Problem(422, "invalid_request", f"mend these fields and send again: {fields}", errors=errors)
