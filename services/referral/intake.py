"""Rows into youths: the one way in for lists, events and youths who come by themselves.

A batch of eligible rows is matched and stored in the transaction it is given. Exactness under concurrency: whoever
makes a new youth writes the claims on his names and INE; two transactions that do so for the same person collide in
the store, and the one that loses looks again and finds the other's youth.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from services.referral import store
from services.referral.directory import Directory
from services.referral.domain import Youth, detected, new_youth, see_again
from services.referral.eligibility import Row
from services.referral.matching import Dispute, SameAs, decide
from shared.events import DisputeOpened, Event
from shared.unit_of_work import Tx

Outcome = Literal["accepted", "matched", "disputed", "repeated"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a row: `about` is the youth's or the dispute's identifier, None for a row repeated."""

    outcome: Outcome
    about: str | None = None


@dataclass
class _Batch:
    """What the store knows of a batch of rows, and what the batch changes.

    `asked_claims` were looked for in the store, `known_claims` are those that it has.
    """

    youths: dict[str, Youth]
    claims: dict[str, list[str]]
    asked_claims: set[str]
    new: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    known_claims: frozenset[str] = frozenset()
    touched_claims: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)

    def holders(self, claim: str | None) -> list[tuple[str, Youth]]:
        return [(youth_id, self.youths[youth_id]) for youth_id in self.claims.get(claim, ())] if claim else []

    def put(self, youth: Youth, *, is_new: bool) -> None:
        self.youths[youth.youth_id] = youth
        (self.new if is_new else self.changed).add(youth.youth_id)
        for claim in claims_of(youth):
            holders = self.claims.setdefault(claim, [])
            if youth.youth_id not in holders:
                holders.append(youth.youth_id)
                self.touched_claims.add(claim)


def claims_of(person: Row | Youth) -> tuple[str, ...]:
    """The claims on a person: his names with the birth date, and his INE if he has one."""
    names = f"n:{person.identity}"
    return (names,) if person.ine is None else (names, f"i:{person.ine}")


class Intake:
    """Matches and stores rows."""

    def __init__(self, directory: Directory, new_id: Callable[[], str]) -> None:
        self._directory = directory
        self._new_id = new_id

    async def take(self, tx: Tx, rows: Sequence[Row]) -> list[Taken]:
        """Take rows in, in their order. Emits what is to be published; of who is in dispute, nothing."""
        if not rows:
            return []
        await self._directory.read(tx)
        seen = await store.known_rows(tx, {row.key for row in rows})
        batch = await self._load(tx, [row for row in rows if row.key not in seen])
        disputes: list[tuple[str, Row, Dispute]] = []
        taken: list[Taken] = []
        for row in rows:
            key = row.key
            if key in seen:
                taken.append(Taken("repeated"))
                continue
            seen.add(key)
            by_ine = batch.holders(f"i:{row.ine}" if row.ine else None)
            decision = decide(row, by_ine, batch.holders(f"n:{row.identity}"))
            if isinstance(decision, Dispute):
                dispute_id = self._new_id()
                disputes.append((dispute_id, row, decision))
                batch.about[key] = dispute_id
                taken.append(Taken("disputed", dispute_id))
            elif isinstance(decision, SameAs):
                taken.append(Taken("matched", self._see_again(batch, decision.youth_id, row)))
            else:
                taken.append(Taken("accepted", self._make(batch, row)))
        await self._save(tx, batch, disputes)
        return taken

    async def settle(self, tx: Tx, row: Row, youth_id: str | None) -> str:
        """A person has settled a dispute: the row is about that youth, or somebody new. The youth's identifier."""
        await self._directory.read(tx)
        batch = await self._load(tx, [row], also=[youth_id] if youth_id else [])
        settled = self._make(batch, row) if youth_id is None else self._see_again(batch, youth_id, row)
        batch.about.pop(row.key)  # the row is marked since it was disputed
        await self._save(tx, batch, [])
        await tx["rows"].update_one({"_id": row.key}, {"$set": {"about": settled}}, session=tx.session)
        return settled

    async def _load(self, tx: Tx, rows: Sequence[Row], also: Iterable[str] = ()) -> _Batch:
        wanted = {claim for row in rows for claim in claims_of(row)}
        claims = await store.find_claims(tx, wanted)
        youth_ids = {youth_id for holders in claims.values() for youth_id in holders} | set(also)
        youths = await store.find_youths(tx, youth_ids) if youth_ids else {}
        return _Batch(youths, claims, wanted, known_claims=frozenset(claims))

    def _make(self, batch: _Batch, row: Row) -> str:
        owner = self._directory.owner(row.commune, row.departement, row.on)
        youth = new_youth(self._new_id(), row, owner)
        batch.put(youth, is_new=True)
        batch.events.append(detected(youth, row))
        batch.about[row.key] = youth.youth_id
        return youth.youth_id

    def _see_again(self, batch: _Batch, youth_id: str, row: Row) -> str:
        owner = self._directory.owner(row.commune, row.departement, row.on)
        youth, event = see_again(batch.youths[youth_id], row, owner)
        batch.put(youth, is_new=False)
        if event is not None:
            batch.events.append(event)
        batch.about[row.key] = youth_id
        return youth_id

    async def _save(self, tx: Tx, batch: _Batch, disputes: Sequence[tuple[str, Row, Dispute]]) -> None:
        # The youth whom a row gives his first INE takes a claim that the loaded ones may not hold: read before written.
        await self._reload_unread_claims(tx, batch)
        await store.save_rows(tx, batch.about)
        fresh = {claim: batch.claims[claim] for claim in batch.touched_claims - batch.known_claims}
        grown = {claim: batch.claims[claim] for claim in batch.touched_claims & batch.known_claims}
        await store.save_claims(tx, fresh, grown)
        await store.save_youths(
            tx,
            [batch.youths[youth_id] for youth_id in sorted(batch.new)],
            [batch.youths[youth_id] for youth_id in sorted(batch.changed - batch.new)],
        )
        if disputes:
            await tx["disputes"].insert_many(
                [
                    {
                        "_id": dispute_id,
                        "state": "open",
                        "reason": dispute.reason,
                        "row": store.row_to_document(row),
                        "candidates": list(dispute.candidates),
                        "at": tx.now,
                    }
                    for dispute_id, row, dispute in disputes
                ],
                session=tx.session,
            )
        on = tx.now.date()
        opened = (DisputeOpened(dispute_id=dispute_id, on=on, source=row.source) for dispute_id, row, _ in disputes)
        tx.emit(*batch.events, *opened)

    async def _reload_unread_claims(self, tx: Tx, batch: _Batch) -> None:
        unread = batch.touched_claims - batch.asked_claims
        stored = await store.find_claims(tx, unread) if unread else {}
        for claim, holders in stored.items():
            batch.claims[claim] = [*holders, *(each for each in batch.claims[claim] if each not in holders)]
        batch.known_claims |= frozenset(stored)
