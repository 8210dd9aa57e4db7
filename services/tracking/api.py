"""Tracking's HTTP side: offers answered, contracts FQE and what becomes of them."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from services.tracking import commands
from services.tracking.inputs import (
    Acceptance,
    ContractInput,
    ContractList,
    EndInput,
    PlacementList,
    Refusal,
    ReviewInput,
    StartInput,
)
from services.tracking.store import Reader
from services.tracking.views import ContractPage, ContractView, PlacementPage, PlacementView
from shared.command_route import CommandRoute
from shared.commands import CommandOf
from shared.problems import not_known_yet


def routers(reader: Reader) -> tuple[APIRouter, APIRouter]:
    """The routes over one store."""
    return _placements(reader), _contracts(reader)


def _placements(reader: Reader) -> APIRouter:
    routes = APIRouter(prefix="/v1/placements", tags=["placements"], route_class=CommandRoute)

    @routes.get("")
    async def list_placements(query: Annotated[PlacementList, Query()]) -> PlacementPage:
        """Offers and their answers, by state, network or youth."""
        found, following = await reader.placements(query.equal(), query.cursor, query.limit)
        return PlacementPage(items=[PlacementView.of(placement) for placement in found], next=following)

    @routes.get("/{placement_id}")
    async def get_placement(placement_id: str) -> PlacementView:
        """An offer and its answer; 404 `not_known_yet` until the bus has told of it."""
        found = await reader.placement(placement_id)
        if found is None:
            raise not_known_yet("placement", placement_id)
        return PlacementView.of(found)

    @routes.post("/{placement_id}/acceptance", status_code=201, response_model=PlacementView)
    async def accept(placement_id: str, command: CommandOf, request: Acceptance) -> JSONResponse:
        """The youth takes the place. 409 `already_answered`, `placement_declined`, `placement_expired`."""
        return await command(lambda tx: commands.accept_placement(tx, placement_id, request))

    @routes.post("/{placement_id}/refusal", status_code=201, response_model=PlacementView)
    async def decline(placement_id: str, command: CommandOf, request: Refusal) -> JSONResponse:
        """The youth does not take the place. 409 `already_answered`, `placement_expired`, `contract_signed`."""
        return await command(lambda tx: commands.decline_placement(tx, placement_id, request))

    return routes


def _contracts(reader: Reader) -> APIRouter:
    routes = APIRouter(prefix="/v1/contracts", tags=["contracts"], route_class=CommandRoute)

    @routes.get("")
    async def list_contracts(query: Annotated[ContractList, Query()]) -> ContractPage:
        """Contracts by youth, state or network; with `overdue_on` those whose review is overdue, oldest first."""
        if query.overdue_on is None:
            found, following = await reader.contracts(query.equal(), query.cursor, query.limit)
        else:
            found, following = await reader.overdue(query.overdue_on, query.equal(), query.cursor, query.limit)
        return ContractPage(items=[ContractView.of(contract) for contract in found], next=following)

    @routes.get("/{contract_id}")
    async def get_contract(contract_id: str) -> ContractView:
        """A contract, its reviews and its end; 404 `unknown_contract`."""
        found = await reader.contract(contract_id)
        if found is None:
            raise commands.unknown_contract(contract_id)
        return ContractView.of(found)

    @routes.post("", status_code=201, response_model=ContractView)
    async def sign(command: CommandOf, request: ContractInput) -> JSONResponse:
        """Sign a contract FQE on an accepted placement.

        422: every broken rule is in `errors` with its field. 409 `placement_not_accepted`, `placement_declined`,
        `placement_expired`, `contract_exists` (on this placement), `contract_running` (of this youth). 404
        `not_known_yet` until the bus has told of the offer and of the youth's detection.
        """
        return await command(lambda tx: commands.sign_contract(tx, request))

    @routes.post("/{contract_id}/start", status_code=201, response_model=ContractView)
    async def start(contract_id: str, command: CommandOf, request: StartInput) -> JSONResponse:
        """The youth is really there. 409 `already_started`, `contract_ended`."""
        return await command(lambda tx: commands.start_contract(tx, contract_id, request))

    @routes.post("/{contract_id}/reviews", status_code=201, response_model=ContractView)
    async def review(contract_id: str, command: CommandOf, request: ReviewInput) -> JSONResponse:
        """A review took place. 409 `not_started`, `contract_ended`; 422 `next_review_not_after`."""
        return await command(lambda tx: commands.review_contract(tx, contract_id, request))

    @routes.post("/{contract_id}/end", status_code=201, response_model=ContractView)
    async def end(contract_id: str, command: CommandOf, request: EndInput) -> JSONResponse:
        """The contract is over; the youth may have another. 409 `contract_ended`; 422 `end_before_signature`."""
        return await command(lambda tx: commands.end_contract(tx, contract_id, request))

    return routes
