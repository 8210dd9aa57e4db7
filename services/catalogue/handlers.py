"""What the catalogue does with each event it reads. The table event -> handler is in `app`."""

from collections.abc import Sequence

from services.catalogue.domain import Contract
from services.catalogue.heard_store import Contracts, Youths
from services.catalogue.seats import News, apply
from shared.consumer import Received
from shared.events import ContractEnded, ContractSigned, InterviewDone, PlacementAccepted, PlacementDeclined
from shared.unit_of_work import Tx


async def on_interviews_done(tx: Tx, events: Sequence[Received[InterviewDone]]) -> None:
    """The youths may be offered places from now on; their needs and wishes are those of the latest interview."""
    await Youths(tx).note((event.data, event.envelope.time, event.envelope.id) for event in events)


async def on_placements_accepted(tx: Tx, events: Sequence[Received[PlacementAccepted]]) -> None:
    """The offers no longer expire."""
    await apply(tx, [News(event.data.placement_id, "accepted") for event in events])


async def on_placements_declined(tx: Tx, events: Sequence[Received[PlacementDeclined]]) -> None:
    """The seats are free again, also those accepted before."""
    await apply(tx, [News(event.data.placement_id, "declined") for event in events])


async def on_contracts_signed(tx: Tx, events: Sequence[Received[ContractSigned]]) -> None:
    """The seats are occupied, unless the contract is known to have ended early."""
    signed = [
        Contract(event.data.contract_id, placement_id=event.data.placement_id, ends_on=event.data.ends_on)
        for event in events
    ]
    await _apply(tx, await Contracts(tx).join(signed))


async def on_contracts_ended(tx: Tx, events: Sequence[Received[ContractEnded]]) -> None:
    """The seats of contracts that ended before their last day are free; one not heard of yet is remembered."""
    ended = [Contract(event.data.contract_id, ended_on=event.data.on) for event in events]
    await _apply(tx, await Contracts(tx).join(ended))


async def _apply(tx: Tx, contracts: Sequence[Contract]) -> None:
    news = [
        News(contract.placement_id, happening, contract.contract_id)
        for contract in contracts
        if (happening := contract.happening()) is not None and contract.placement_id is not None
    ]
    await apply(tx, news)
