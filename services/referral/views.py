"""What referral shows: the worklist, one youth, disputes. Identity leaves this service only here, to its platforms."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.referral import store
from services.referral.domain import State, Youth
from shared.mongo import Document, Mongo
from shared.problems import Problem

Filter = Annotated[str | None, Field(max_length=64)]


class Worklist(BaseModel):
    """The filters of GET /v1/youths."""

    model_config = ConfigDict(extra="forbid")

    platform_id: Filter = None
    network_id: Filter = None
    academie: Filter = None
    departement: Filter = None
    state: State | None = None
    campaign: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}$")] = None
    ine: Filter = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[str | None, Field(max_length=128, description="`next` of the page before.")] = None

    def query(self, latest: str | None) -> Document:
        """The filters as a query."""
        query: Document = {}
        for name in ("platform_id", "network_id", "academie", "departement"):
            if getattr(self, name) is not None:
                query[f"owner.{name}"] = getattr(self, name)
        if self.campaign is not None:
            query["campaigns"] = self.campaign
        if self.ine is not None:
            query["ine"] = self.ine.strip().upper()
        if self.cursor is not None:
            query["_id"] = {"$gt": self.cursor}
        if self.state == "to_contact" and latest is not None:
            again = {"state": "unreachable", "unreachable_campaign": {"$lt": latest}}
            query["$or"] = [{"state": "to_contact"}, again, {"state": "unreachable", "unreachable_campaign": None}]
        elif self.state == "unreachable" and latest is not None:
            query |= {"state": "unreachable", "unreachable_campaign": {"$gte": latest}}
        elif self.state is not None:
            query["state"] = self.state
        return query


async def worklist(mongo: Mongo, filters: Worklist) -> Document:
    """A page of youths, by identifier."""
    latest = await store.latest_campaign(mongo)
    found = mongo["youths"].find(filters.query(latest)).sort("_id", 1).limit(filters.limit + 1)
    youths = [store.from_document(row) for row in await found.to_list(None)]
    following = youths[filters.limit - 1].youth_id if len(youths) > filters.limit else None
    return {"items": [youth_view(youth, latest) for youth in youths[: filters.limit]], "next": following}


async def one_youth(mongo: Mongo, youth_id: str) -> Document:
    """One youth, whole."""
    youth = await store.find_youth(mongo, youth_id)
    if youth is None:
        raise Problem(404, "unknown_youth", f"there is no youth {youth_id!r}; find him in GET /v1/youths")
    latest = await store.latest_campaign(mongo)
    return {
        **youth_view(youth, latest),
        "address": youth.address,
        "postal_code": youth.postal_code,
        "email": youth.email,
        "guardian_name": youth.guardian_name,
        "guardian_phone": youth.guardian_phone,
        "last_course": youth.last_course,
        "last_level": youth.last_level,
        "status": youth.status,
        "highest_diploma": youth.highest_diploma,
        "followed_by_mission_locale": youth.followed_by_mission_locale,
        "dismissal": None
        if youth.dismissal is None
        else {"on": youth.dismissal[0].isoformat(), "reason": youth.dismissal[1]},
        "attempts": [{"on": a.on.isoformat(), "channel": a.channel, "outcome": a.outcome} for a in youth.attempts],
        "interviewed_on": youth.interviewed_on.isoformat() if youth.interviewed_on else None,
        "assigned_on": youth.assigned_on.isoformat(),
        "detected_on": youth.detected_on.isoformat(),
    }


def youth_view(youth: Youth, latest: str | None) -> dict[str, Any]:
    """A youth as on the worklist."""
    return {
        "youth_id": youth.youth_id,
        "state": youth.state(latest),
        "platform_id": youth.owner.platform_id,
        "network_id": youth.owner.network_id,
        "departement": youth.owner.departement,
        "academie": youth.owner.academie,
        "family_name": youth.family_name,
        "given_names": youth.given_names,
        "birth_date": youth.birth_date.isoformat(),
        "sex": youth.sex,
        "commune": youth.commune,
        "ine": youth.ine,
        "phone": youth.phone,
        "last_school": youth.last_school,
        "left_on": youth.left_on.isoformat() if youth.left_on else None,
        "campaigns": list(youth.campaigns),
        "sightings": [
            {
                "campaign": seen.campaign,
                "source": seen.source,
                "source_row": seen.source_row,
                "phone": seen.phone,
                "email": seen.email,
            }
            for seen in youth.sightings
        ],
    }


async def disputes(
    mongo: Mongo, *, state: Literal["open", "resolved"], cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """Disputes with their row and candidates."""
    query: Document = {"state": state}
    if cursor:
        query["_id"] = {"$gt": cursor}
    rows = await mongo["disputes"].find(query).sort("_id", 1).limit(limit + 1).to_list(None)
    wanted = {youth_id for row in rows[:limit] for youth_id in row["candidates"]}
    found = mongo["youths"].find({"_id": {"$in": list(wanted)}})
    latest = await store.latest_campaign(mongo)
    youths = {row["_id"]: youth_view(store.from_document(row), latest) async for row in found}
    items = [
        {
            "dispute_id": row["_id"],
            "state": row["state"],
            "reason": row["reason"],
            "row": {name: value for name, value in row["row"].items() if name not in ("ine_form", "warnings", "on")},
            "candidates": [youths[youth_id] for youth_id in row["candidates"] if youth_id in youths],
            "decision": row.get("decision"),
            "youth_id": row.get("youth_id"),
            "at": row["at"].isoformat(),
        }
        for row in rows[:limit]
    ]
    return items, rows[limit - 1]["_id"] if len(rows) > limit else None


async def rejections(
    mongo: Mongo, *, code: str | None, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """Rows that came as events and were rejected; of under-16s only the count exists."""
    query: Document = {}
    if code:
        query["code"] = code
    if cursor:
        query["_id"] = {"$gt": cursor}
    rows = await mongo["rejections"].find(query).sort("_id", 1).limit(limit + 1).to_list(None)
    items = [{**{k: v for k, v in row.items() if k != "_id"}, "at": row["at"].isoformat()} for row in rows[:limit]]
    return items, rows[limit - 1]["_id"] if len(rows) > limit else None
