"""Dead letters over HTTP, the same in every service: list, look at one, replay one or a filtered set."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from shared import dead_letters
from shared.consumer import BatchConsumer
from shared.dead_letters import Filter
from shared.http import Cursor, Input, Limit, Moment, Page
from shared.mongo import Document, Mongo
from shared.problems import Problem
from shared.unit_of_work import UnitOfWork

State = Literal["waiting", "replayed"]
Code = Annotated[str | None, Field(max_length=64)]
Topic = Annotated[str | None, Field(max_length=255)]


class ListQuery(BaseModel):
    """Which dead letters to list; all that are given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State | None = None
    code: Code = None
    topic: Topic = None
    since: Moment | None = Field(
        None, description="Kept at or after this moment (RFC 3339; UTC where no zone is given)."
    )
    until: Moment | None = Field(None, description="Kept at or before this moment.")
    limit: Limit = 100
    cursor: Cursor = None

    def filter(self) -> Filter:
        """As the store understands it."""
        return Filter(self.state, self.code, self.topic, self.since, self.until)


class ReplayRequest(Input):
    """Which dead letters to replay; all that are given must hold."""

    state: State = Field("waiting", description="`replayed` replays again what was replayed; it changes nothing.")
    code: Code = None
    topic: Topic = None
    since: Moment | None = Field(
        None, description="Kept at or after this moment (RFC 3339; UTC where no zone is given)."
    )
    until: Moment | None = Field(None, description="Kept at or before this moment.")
    limit: int = Field(100, ge=1, le=500, description="Most to try in this request.")
    cursor: Annotated[str | None, Field(max_length=512, description="`next` of the answer before.")] = None

    def filter(self) -> Filter:
        """As the store understands it."""
        return Filter(self.state, self.code, self.topic, self.since, self.until)


def router(unit_of_work: UnitOfWork, consumers: Mapping[str, BatchConsumer]) -> APIRouter:
    """`consumers` by the topic they read: a dead letter is replayed by the one that could not apply it."""
    routes = APIRouter(tags=["dead letters"])
    _add_views(routes, unit_of_work.mongo)
    _add_replays(routes, unit_of_work, consumers)
    return routes


async def _find(mongo: Mongo, dead_letter_id: str) -> Document:
    row = await dead_letters.find(mongo, dead_letter_id)
    if row is None:
        raise Problem(404, "unknown_dead_letter", f"there is no dead letter {dead_letter_id!r}; list them first")
    return row


def _add_views(routes: APIRouter, mongo: Mongo) -> None:
    @routes.get("/v1/dead-letters", response_model=Page)
    async def list_dead_letters(query: Annotated[ListQuery, Query()]) -> dict[str, Any]:
        """Records that could not be read or applied, with the reason; `value` is the original, base64."""
        rows, following = await dead_letters.page(mongo, query.filter(), cursor=query.cursor, limit=query.limit)
        return {"items": [_view(row) for row in rows], "next": following}

    @routes.get("/v1/dead-letters/{dead_letter_id}")
    async def one_dead_letter(dead_letter_id: str) -> dict[str, Any]:
        """One dead letter; `value`, `key` and `raw_headers` are the original bytes, base64."""
        row = await _find(mongo, dead_letter_id)
        return {**_view(row), "raw_headers": [[name, _base64(content)] for name, content in row["headers"]]}

    @routes.get(
        "/v1/dead-letters/{dead_letter_id}/value",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {}}},
            204: {"description": "The record has no value."},
        },
    )
    async def value(dead_letter_id: str) -> Response:
        """The original bytes of the record's value, and nothing else."""
        row = await _find(mongo, dead_letter_id)
        if row["value"] is None:
            return Response(status_code=204)
        return Response(bytes(row["value"]), media_type="application/octet-stream")


def _add_replays(routes: APIRouter, unit_of_work: UnitOfWork, consumers: Mapping[str, BatchConsumer]) -> None:
    mongo = unit_of_work.mongo

    async def replay(row: Document) -> tuple[str, str] | None:
        """Apply it again; None when that went through, else the code and message of why not."""
        consumer = consumers.get(row["topic"])
        if consumer is None:
            return "topic_not_read", f"this service no longer reads {row['topic']}"
        reason = await consumer.replay(dead_letters.record_of(row))
        await dead_letters.mark(unit_of_work, row["_id"], reason=reason, by="person")
        return reason

    @routes.post("/v1/dead-letters/replay")
    async def replay_many(request: ReplayRequest) -> dict[str, Any]:
        """Apply those again that fit, in the order of their identifiers. What was applied before changes nothing."""
        wanted = request.filter()
        rows, following = await dead_letters.page(mongo, wanted, cursor=request.cursor, limit=request.limit)
        failed: Counter[str] = Counter()
        for row in rows:
            reason = await replay(row)
            if reason is not None:
                failed[reason[0]] += 1
        remaining = await dead_letters.count(mongo, wanted, following) if following else 0
        return {
            "replayed": len(rows) - failed.total(),
            "failed": dict(sorted(failed.items())),
            "remaining": remaining,
            "next": following,
        }

    @routes.post("/v1/dead-letters/{dead_letter_id}/replay")
    async def replay_dead_letter(dead_letter_id: str) -> JSONResponse:
        """Apply the record again. What was applied before changes nothing."""
        reason = await replay(await _find(mongo, dead_letter_id))
        if reason is None:
            return JSONResponse({"dead_letter_id": dead_letter_id, "state": "replayed"})
        if reason[0] == "topic_not_read":
            raise Problem(409, "topic_not_read", reason[1])
        raise Problem(409, reason[0], f"still not applicable: {reason[1]}")


def _view(row: Document) -> dict[str, Any]:
    headers = {
        name: None if content is None else bytes(content).decode("utf-8", "replace") for name, content in row["headers"]
    }
    return {
        "dead_letter_id": row["_id"],
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["offset"],
        "code": row["code"],
        "message": row["message"],
        "state": row["state"],
        "kept_at": row["kept_at"].isoformat(),
        "replays": row["replays"],
        "last_try_at": _moment(row.get("last_try_at")),
        "next_try_at": _moment(row.get("next_try_at")),
        "replayed_by": row.get("replayed_by"),
        "headers": headers,
        "trace": headers.get("traceparent"),
        "key": _base64(row["key"]),
        "value": _base64(row["value"]),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(bytes(content)).decode()
