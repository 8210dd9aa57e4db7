"""What happens in referral: commands of the platforms, and what the bus tells."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.referral import domain, store
from services.referral.directory import Directory
from services.referral.domain import Attempt, Youth
from services.referral.eligibility import Known, Rejected, Row, judge
from services.referral.inputs import Came, Contact, Dismissal, Interview, Resolution, Transfer
from services.referral.intake import Intake, Taken
from services.referral.settings import ReferralSettings
from services.referral.tallies import Origin, refusal, taken_in
from shared.clock import random_id
from shared.consumer import Received, SomeUnapplicable, Unapplicable
from shared.events import (
    ContractEnded,
    ContractSigned,
    DisputeSettled,
    InterviewDone,
    NetworkRegistered,
    PlatformRegistered,
    SieiDropout,
)
from shared.problems import Problem, not_known_yet
from shared.unit_of_work import Tx

Answer = dict[str, Any]


@dataclass
class Handlers:
    """Referral's handlers, with what they need."""

    settings: ReferralSettings
    known: Known
    directory: Directory
    intake: Intake

    @property
    def _rule(self) -> domain.UnreachableRule:
        return domain.UnreachableRule(
            self.settings.unreachable_attempts, self.settings.unreachable_channels, self.settings.unreachable_days
        )

    def judge(self, values: Mapping[str, Any], today: date, came_on: date | None = None) -> Row | Rejected:
        """The row if it is eligible, else why not."""
        return judge(values, self.known, excluding=self.settings.excluding_diplomas, today=today, came_on=came_on)

    async def on_siei_dropout(self, tx: Tx, events: Sequence[Received[SieiDropout]]) -> None:
        """Rows that come as events: eligible ones are taken in, others counted by reason; unreadable ones set aside."""
        rows: list[Row] = []
        rejected: list[tuple[Received[SieiDropout], Rejected]] = []
        malformed: list[tuple[Received[SieiDropout], Unapplicable]] = []
        for event in events:
            judged = self.judge(event.data.values(), tx.now.date())
            if isinstance(judged, Row):
                rows.append(judged)
            elif judged.code == "malformed":
                malformed.append((event, Unapplicable("malformed", f"{judged.field} {judged.message}")))
            else:
                rejected.append((event, judged))
        if malformed:
            raise SomeUnapplicable(malformed)
        for event, judged in rejected:
            await self.note_rejection(tx, event.envelope.id, event.data.values(), judged)
        taken: list[Taken] = []
        for start in range(0, len(rows), self.settings.rows_per_transaction):
            taken += await self.intake.take(tx, rows[start : start + self.settings.rows_per_transaction])
        await self.begin_campaigns(tx, rows)
        refusals = [refusal(event.data.values(), judged.code) for event, judged in rejected]
        tx.emit(*taken_in(_of_events(tx), rows, taken, refusals))

    async def begin_campaigns(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Note the latest campaign: the unreachable of earlier ones are to be contacted again."""
        campaigns = {row.campaign for row in rows if row.origin == "siei"}
        if campaigns and max(campaigns) > (await store.latest_campaign(tx.mongo, tx) or ""):
            await store.begin_campaign(tx, max(campaigns))

    async def note_rejection(self, tx: Tx, event_id: str, values: dict[str, Any], rejected: Rejected) -> None:
        """Count a rejected row; of an under-16 only the count remains."""
        if rejected.code == "under_16":
            await self._count_rejection(tx, rejected)
            return
        row_key = hashlib.sha256(event_id.encode()).hexdigest()[:32]
        kept = await tx["rejections"].update_one(
            {"_id": row_key},
            {
                "$setOnInsert": {
                    "ce_id": event_id,
                    "campaign": str(values.get("campaign", "")),
                    "source": str(values.get("source", "")),
                    "source_row": str(values.get("source_row", "")),
                    "code": rejected.code,
                    "field": rejected.field,
                    "value": rejected.value,
                    "message": rejected.message,
                    "suggestion": rejected.suggestion,
                    "at": tx.now,
                }
            },
            upsert=True,
            session=tx.session,
        )
        if kept.upserted_id is not None:
            await self._count_rejection(tx, rejected)

    async def _count_rejection(self, tx: Tx, rejected: Rejected) -> None:
        await tx["rejection_counts"].update_one(
            {"_id": rejected.code}, {"$inc": {"rows": 1}}, upsert=True, session=tx.session
        )

    async def on_platform_registered(self, tx: Tx, events: Sequence[Received[PlatformRegistered]]) -> None:
        """Whom to assign to. An older registration never replaces a newer one."""
        changed = False
        for event in events:
            data = event.data
            before = await tx["platforms"].find_one({"_id": data.platform_id}, {"version": 1}, session=tx.session)
            if before and before["version"] >= data.version:
                continue
            await tx["platforms"].replace_one(
                {"_id": data.platform_id},
                {
                    "name": data.name,
                    "departement": data.departement,
                    "academie": data.academie,
                    "network_id": data.default_network_id,
                    "communes": list(data.communes),
                    "registered_at": data.registered_at,
                    "version": data.version,
                },
                upsert=True,
                session=tx.session,
            )
            changed = True
        if changed:
            await tx["state"].update_one(
                {"_id": "directory"}, {"$inc": {"version": 1}}, upsert=True, session=tx.session
            )

    async def on_network_registered(self, tx: Tx, events: Sequence[Received[NetworkRegistered]]) -> None:
        """Networks by name, for who reads the worklist."""
        for event in events:
            data = event.data
            before = await tx["networks"].find_one({"_id": data.network_id}, {"version": 1}, session=tx.session)
            if before and before["version"] >= data.version:
                continue
            await tx["networks"].replace_one(
                {"_id": data.network_id},
                {
                    "name": data.name,
                    "academie": data.academie,
                    "platform_ids": list(data.platform_ids),
                    "version": data.version,
                },
                upsert=True,
                session=tx.session,
            )

    async def on_contract_signed(self, tx: Tx, event: Received[ContractSigned]) -> None:
        """The youth leaves the worklist."""
        youth = await self._told_of(tx, event.data.youth_id)
        await store.replace_youth(tx, domain.contract_signed(youth, event.data.contract_id))

    async def on_contract_ended(self, tx: Tx, event: Received[ContractEnded]) -> None:
        """The youth is on the worklist again."""
        youth = await self._told_of(tx, event.data.youth_id)
        await store.replace_youth(tx, domain.contract_ended(youth, event.data.contract_id))

    async def _told_of(self, tx: Tx, youth_id: str) -> Youth:
        youth = await store.find_youth(tx.mongo, youth_id, tx)
        if youth is None:
            raise Unapplicable("unknown_youth", f"referral has no youth {youth_id!r}")
        return youth

    async def take_events(
        self, tx: Tx, events: Sequence[tuple[str, dict[str, Any]]]
    ) -> list[tuple[str, Rejected | Taken]]:
        """Rows sent over HTTP as events (identifier, fields): what became of each."""
        judged = [(event_id, values, self.judge(values, tx.now.date())) for event_id, values in events]
        rows = [row for _, _, row in judged if isinstance(row, Row)]
        outcomes = await self.intake.take(tx, rows)
        await self.begin_campaigns(tx, rows)
        refusals = [refusal(values, row.code) for _, values, row in judged if isinstance(row, Rejected)]
        tx.emit(*taken_in(_of_events(tx), rows, outcomes, refusals))
        taken = iter(outcomes)
        results: list[tuple[str, Rejected | Taken]] = []
        for event_id, values, row in judged:
            if isinstance(row, Row):
                results.append((event_id, next(taken)))
            else:
                await self.note_rejection(tx, event_id, values, row)
                results.append((event_id, row))
        return results

    async def come(self, tx: Tx, body: Came, row_id: str) -> Answer:
        """A youth came by himself: he is matched like a row; a dispute is for a person to settle."""
        values = {"source_row": row_id, **body.model_dump(mode="json", exclude={"on"}, exclude_none=True)}
        judged = self.judge(values, tx.now.date(), came_on=body.on)
        if isinstance(judged, Rejected):
            error = {"in": "body", "field": judged.field, "code": judged.code, "message": judged.message}
            if judged.suggestion:
                error["suggestion"] = judged.suggestion
            raise Problem(422, judged.code, f"{judged.field} {judged.message}", errors=[error])
        [taken] = await self.intake.take(tx, [judged])
        if taken.outcome == "repeated":
            before = await tx["rows"].find_one({"_id": judged.key}, session=tx.session)
            about = before["about"] if before else ""
            # The row of a dispute that nobody has settled is about the dispute.
            known = await store.find_youth(tx.mongo, about, tx)
            return {"youth_id" if known else "dispute_id": about, "outcome": "repeated"}
        name = "dispute_id" if taken.outcome == "disputed" else "youth_id"
        return {name: taken.about, "outcome": taken.outcome}

    async def attempt_contact(self, tx: Tx, youth_id: str, body: Contact) -> Answer:
        """Contact attempted."""
        youth = await self._youth(tx, youth_id)
        latest = await store.latest_campaign(tx.mongo, tx)
        changed, event = domain.attempt_contact(youth, Attempt(body.on, body.channel, body.outcome), latest, self._rule)
        await store.replace_youth(tx, changed)
        tx.emit(event)
        return {"youth_id": youth_id, "state": changed.state(latest), "attempts": len(changed.attempts)}

    async def interview(self, tx: Tx, youth_id: str, body: Interview) -> Answer:
        """Interview done."""
        youth = await self._youth(tx, youth_id)
        event = InterviewDone(
            youth_id=youth_id,
            on=body.on,
            needs=body.needs,
            level=body.level,
            wishes=body.wishes,
            mobility_km=body.mobility_km,
        )
        changed = domain.interview(youth, event)
        await store.replace_youth(tx, changed)
        tx.emit(event)
        return {"youth_id": youth_id, "state": changed.state(None)}

    async def dismiss(self, tx: Tx, youth_id: str, body: Dismissal) -> Answer:
        """No follow-up needed."""
        youth = await self._youth(tx, youth_id)
        if youth.closed == "dismissed":
            raise Problem(
                409, "already_dismissed", "the youth is dismissed already; a new sighting opens the case again"
            )
        changed, event = domain.dismiss(youth, body.on, body.reason)
        await store.replace_youth(tx, changed)
        tx.emit(event)
        return {"youth_id": youth_id, "state": "dismissed"}

    async def transfer(self, tx: Tx, youth_id: str, body: Transfer) -> Answer:
        """Another platform answers from now on."""
        youth = await self._youth(tx, youth_id)
        await self.directory.read(tx)
        platform = self.directory.platform(body.platform_id)
        if platform is None:
            raise not_known_yet("platform", body.platform_id)
        if platform.platform_id == youth.owner.platform_id:
            raise Problem(409, "same_platform", f"the youth belongs to {body.platform_id} already")
        if body.on < youth.assigned_on:
            raise Problem(
                422,
                "before_assignment",
                f"the assignment that holds is of {youth.assigned_on}; give that day or a later one",
                errors=[{"in": "body", "field": "on", "code": "before_assignment", "message": "too early"}],
            )
        changed, event = domain.transfer(youth, body.on, self.directory.owner_of(platform, body.on))
        await store.replace_youth(tx, changed)
        tx.emit(event)
        return {"youth_id": youth_id, "platform_id": platform.platform_id, "network_id": platform.network_id}

    async def resolve(self, tx: Tx, dispute_id: str, body: Resolution) -> Answer:
        """A person says who it is."""
        dispute = await tx["disputes"].find_one({"_id": dispute_id}, session=tx.session)
        if dispute is None:
            raise Problem(404, "unknown_dispute", f"there is no dispute {dispute_id!r}; list them first")
        if dispute["state"] != "open":
            raise Problem(409, "already_resolved", f"the dispute is settled: {dispute['decision']}")
        if body.decision == "same" and body.youth_id not in dispute["candidates"]:
            raise Problem(
                422,
                "not_a_candidate",
                f"youth_id must be one of the candidates: {', '.join(dispute['candidates'])}",
                errors=[{"in": "body", "field": "youth_id", "code": "not_a_candidate", "message": "no candidate"}],
            )
        row = store.row_from_document(dispute["row"])
        youth_id = await self.intake.settle(tx, row, body.youth_id if body.decision == "same" else None)
        await tx["disputes"].update_one(
            {"_id": dispute_id},
            {"$set": {"state": "resolved", "decision": body.decision, "youth_id": youth_id, "resolved_at": tx.now}},
            session=tx.session,
        )
        tx.emit(DisputeSettled(dispute_id=dispute_id, on=tx.now.date(), source=row.source, decision=body.decision))
        return {"dispute_id": dispute_id, "decision": body.decision, "youth_id": youth_id}

    async def _youth(self, tx: Tx, youth_id: str) -> Youth:
        youth = await store.find_youth(tx.mongo, youth_id, tx)
        if youth is None:
            raise Problem(404, "unknown_youth", f"there is no youth {youth_id!r}; find him in GET /v1/youths")
        return youth


def _of_events(tx: Tx) -> Origin:
    return Origin(tx.now.date(), random_id(), "events")
