"""What the catalogue has heard from the bus: interviewed youths, and contracts. No identity is among it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.catalogue.domain import Contract, to_millisecond
from shared.events import InterviewDone
from shared.mongo import Document, UpdateOne
from shared.unit_of_work import Tx


class Youths:
    """Youths who had an interview, and what it found: who may be offered something, and what would fit."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def note(self, interviews: Iterable[tuple[InterviewDone, datetime, str]]) -> None:
        """Remember the latest interview of each youth. Each comes with its event's time and id.

        The later day counts; on one day the event that was recorded later; the id settles what is left.
        """
        latest: dict[str, Document] = {}
        for interview, time, event_id in interviews:
            row = _interview(interview, time, event_id)
            known = latest.get(interview.youth_id)
            if known is None or _order(known) < _order(row):
                latest[interview.youth_id] = row
        rows = self._tx["youths"].find({"_id": {"$in": sorted(latest)}}, session=self._tx.session)
        before = {row["_id"]: row["interview"] async for row in rows}
        writes: list[Any] = [
            UpdateOne({"_id": youth_id}, {"$set": {"interview": row}}, upsert=True)
            for youth_id, row in latest.items()
            if youth_id not in before or _order(before[youth_id]) < _order(row)
        ]
        if writes:
            await self._tx["youths"].bulk_write(writes, ordered=False, session=self._tx.session)

    async def interviewed(self, youth_ids: Iterable[str]) -> set[str]:
        """Those of the youths who had an interview."""
        query = {"_id": {"$in": sorted(set(youth_ids))}}
        return {row["_id"] async for row in self._tx["youths"].find(query, {"_id": 1}, session=self._tx.session)}

    async def claim(self, offers: Mapping[str, int]) -> None:
        """Count offers to youths. A write, so that of two transactions with offers to one youth at once, one waits."""
        updates = [({"_id": youth_id}, {"$inc": {"offers": number}}) for youth_id, number in sorted(offers.items())]
        if not await self._tx.mongo.update("youths", updates, self._tx.session):
            raise RuntimeError("a youth is not known here whom this transaction has read")


def _interview(interview: InterviewDone, time: datetime, event_id: str) -> Document:
    return {
        "on": interview.on.isoformat(),
        "time": to_millisecond(time),
        "event_id": event_id,
        "needs": list(interview.needs),
        "level": interview.level,
        "wishes": list(interview.wishes),
        "mobility_km": interview.mobility_km,
    }


def _order(row: Document) -> tuple[str, datetime, str]:
    return row["on"], row["time"], row["event_id"]


class Contracts:
    """Signatures and ends of contracts, joined by the contract's id; both write one document, so neither is missed."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def join(self, news: Sequence[Contract]) -> list[Contract]:
        """Add the news to what is known and return, for each, the contract as it is now known."""
        if not news:
            return []
        ids = sorted({contract.contract_id for contract in news})
        rows = self._tx["contracts"].find({"_id": {"$in": ids}}, session=self._tx.session)
        known = {row["_id"]: _contract(row) async for row in rows}
        joined = []
        for contract in news:
            before = known.get(contract.contract_id, Contract(contract.contract_id))
            known[contract.contract_id] = Contract(
                contract.contract_id,
                placement_id=before.placement_id or contract.placement_id,
                ends_on=before.ends_on or contract.ends_on,
                ended_on=before.ended_on or contract.ended_on,
            )
            joined.append(known[contract.contract_id])
        writes: list[Any] = [UpdateOne({"_id": key}, {"$set": _row(known[key])}, upsert=True) for key in ids]
        await self._tx["contracts"].bulk_write(writes, ordered=False, session=self._tx.session)
        return joined


def _row(contract: Contract) -> Document:
    return {
        "placement_id": contract.placement_id,
        "ends_on": contract.ends_on.isoformat() if contract.ends_on else None,
        "ended_on": contract.ended_on.isoformat() if contract.ended_on else None,
    }


def _contract(row: Document) -> Contract:
    return Contract(
        row["_id"],
        placement_id=row["placement_id"],
        ends_on=date.fromisoformat(row["ends_on"]) if row["ends_on"] else None,
        ended_on=date.fromisoformat(row["ended_on"]) if row["ended_on"] else None,
    )
