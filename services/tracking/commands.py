"""What tracking does for a client: one transaction each, with the event that tells the others.

A rule that the domain finds broken becomes a 422 whose `errors` name every field; a state that does not allow the
command a 409.
"""

from typing import TypeVar

from services.tracking import store
from services.tracking.domain import Broken, Contract, Failure, Placement, Refused, contract_failures, sign
from services.tracking.inputs import Acceptance, ContractInput, EndInput, Refusal, ReviewInput, StartInput
from services.tracking.roles import role_code
from services.tracking.views import ContractView, PlacementView
from shared.clock import random_id
from shared.commands import Answer
from shared.events import (
    ContractEnded,
    ContractSigned,
    PlacementAccepted,
    PlacementDeclined,
    ReviewDone,
    TrainingStarted,
)
from shared.problems import Problem, not_known_yet
from shared.unit_of_work import Tx

T = TypeVar("T")


async def accept_placement(tx: Tx, placement_id: str, request: Acceptance) -> Answer:
    """The youth takes the offered place."""
    on = request.on
    accepted = _settled((await _placement(tx, placement_id)).accept(on, tx.now))
    await store.save_placements(tx, [accepted])
    view = PlacementView.of(accepted)
    tx.emit(PlacementAccepted(youth_id=view.youth_id, on=on, placement_id=placement_id, solution_id=view.solution_id))
    return view.json_object()


async def decline_placement(tx: Tx, placement_id: str, request: Refusal) -> Answer:
    """The youth does not take the offered place."""
    on = request.on
    declined = _settled((await _placement(tx, placement_id)).decline(on, request.reason))
    await store.save_placements(tx, [declined])
    view = PlacementView.of(declined)
    tx.emit(
        PlacementDeclined(
            youth_id=view.youth_id,
            on=on,
            placement_id=placement_id,
            solution_id=view.solution_id,
            reason=request.reason,
        )
    )
    return view.json_object()


async def sign_contract(tx: Tx, request: ContractInput) -> Answer:
    """Sign the contract FQE on an accepted placement."""
    placement = await _placement(tx, request.placement_id)
    terms = request.terms()
    taken, contract = _settled(sign(random_id(), placement, terms))
    birth_month = await store.birth_month(tx, contract.youth_id)
    if birth_month is None:
        raise not_known_yet("the detection of youth", contract.youth_id)
    failures = contract_failures(terms, contract.kind, birth_month)
    if failures:
        raise _unprocessable(failures)
    other = await store.open_contract(tx, contract.youth_id)
    if other is not None:
        raise Problem(
            409, "contract_running", f"the youth has contract {other.contract_id}, {other.state}; end that one first"
        )
    await store.save_placements(tx, [taken])
    await store.save_contract(tx, contract)
    tx.emit(
        ContractSigned(
            youth_id=contract.youth_id,
            on=terms.on,
            contract_id=contract.contract_id,
            placement_id=contract.placement_id,
            solution_id=contract.solution_id,
            kind=contract.kind,
            track=contract.track,
            tutor_role=role_code(terms.tutor.role),
            starts_on=terms.starts_on,
            ends_on=terms.ends_on,
        )
    )
    return ContractView.of(contract).json_object()


async def start_contract(tx: Tx, contract_id: str, request: StartInput) -> Answer:
    """The training has begun and the youth is there."""
    on = request.on
    running = _settled((await _contract(tx, contract_id)).start(on))
    await store.save_contract(tx, running)
    tx.emit(TrainingStarted(youth_id=running.youth_id, on=on, contract_id=contract_id, kind=running.kind))
    return ContractView.of(running).json_object()


async def review_contract(tx: Tx, contract_id: str, request: ReviewInput) -> Answer:
    """A review of the situation took place."""
    on = request.on
    reviewed = _settled((await _contract(tx, contract_id)).review(on, request.outcome, request.next_on))
    await store.save_contract(tx, reviewed)
    done = reviewed.reviews[-1]
    tx.emit(
        ReviewDone(
            youth_id=reviewed.youth_id, on=on, contract_id=contract_id, outcome=done.outcome, next_on=done.next_on
        )
    )
    return ContractView.of(reviewed).json_object()


async def end_contract(tx: Tx, contract_id: str, request: EndInput) -> Answer:
    """The contract is over; the youth may have another."""
    on = request.on
    ended = _settled((await _contract(tx, contract_id)).end(on, request.reason))
    await store.save_contract(tx, ended)
    tx.emit(ContractEnded(youth_id=ended.youth_id, on=on, contract_id=contract_id, reason=request.reason))
    return ContractView.of(ended).json_object()


async def _placement(tx: Tx, placement_id: str) -> Placement:
    known = (await store.placements(tx, [placement_id])).get(placement_id)
    if not isinstance(known, Placement):
        raise not_known_yet("placement", placement_id)
    return known


async def _contract(tx: Tx, contract_id: str) -> Contract:
    known = await store.contract(tx, contract_id)
    if known is None:
        raise unknown_contract(contract_id)
    return known


def unknown_contract(contract_id: str) -> Problem:
    """Contracts are made here: one that is not known does not exist."""
    return Problem(404, "unknown_contract", f"there is no contract {contract_id!r}; GET /v1/contracts lists them")


def _settled(outcome: T | Refused | Broken) -> T:
    if isinstance(outcome, Refused):
        raise Problem(409, outcome.code, outcome.message)
    if isinstance(outcome, Broken):
        raise _unprocessable(outcome.failures)
    return outcome


def _unprocessable(failures: tuple[Failure, ...]) -> Problem:
    """`code` is the first failure's; `errors` has them all."""
    return Problem(
        422,
        failures[0].code,
        "; ".join(f"{failure.field}: {failure.message}" for failure in failures),
        errors=[{"field": item.field, "code": item.code, "message": item.message} for item in failures],
    )
