"""What the catalogue does with each event it reads. The table event -> handler is in `app`."""

from collections.abc import Iterator, Sequence

from services.catalogue.domain import Contract
from services.catalogue.heard_store import Contracts, Youths
from services.catalogue.seats import News, apply
from shared.consumer import Received
from shared.events import ContractEnded, ContractSigned, InterviewDone, PlacementAccepted, PlacementDeclined
from shared.unit_of_work import Tx

PlacementNews = PlacementAccepted | PlacementDeclined | ContractSigned | ContractEnded


async def on_interviews_done(tx: Tx, events: Sequence[Received[InterviewDone]]) -> None:
    """The youths may be offered places from now on; their needs and wishes are those of the latest interview."""
    await Youths(tx).note((event.data, event.envelope.time, event.envelope.id) for event in events)


async def on_placements_moved(tx: Tx, events: Sequence[Received[PlacementNews]]) -> None:
    """Answers and contracts move the seats of offers: kept, given back, occupied, freed (the rule is in `domain`).

    One handler for all four, so that a batch touches each placement and each session once however its events
    alternate. An end heard before its contract's signature is remembered, and counts when the signature comes.
    """
    contracts = iter(await Contracts(tx).join([known for event in events if (known := _contract(event.data))]))
    await apply(tx, [news for event in events if (news := _news(event.data, contracts))])


def _contract(event: PlacementNews) -> Contract | None:
    match event:
        case ContractSigned():
            return Contract(event.contract_id, placement_id=event.placement_id, ends_on=event.ends_on)
        case ContractEnded():
            return Contract(event.contract_id, ended_on=event.on)
        case _:
            return None


def _news(event: PlacementNews, contracts: Iterator[Contract]) -> News | None:
    """`contracts`: those of the contract events still to come, in order."""
    match event:
        case PlacementAccepted():
            return News(event.placement_id, "accepted")
        case PlacementDeclined():
            return News(event.placement_id, "declined")
        case _:
            contract = next(contracts)
            happening = contract.happening()
            if happening is None or contract.placement_id is None:
                return None
            return News(contract.placement_id, happening, contract.contract_id)
