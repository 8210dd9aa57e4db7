"""GET /v1/dead-letters and POST /v1/dead-letters/{id}/replay, the same in every service."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from shared import dead_letters
from shared.consumer import BatchConsumer
from shared.http import Cursor, Limit, Page
from shared.mongo import Document, Mongo
from shared.problems import Problem


def router(mongo: Mongo, consumers: Mapping[str, BatchConsumer]) -> APIRouter:
    """`consumers` by the topic they read: a dead letter is replayed by the one that could not apply it."""
    routes = APIRouter(tags=["dead letters"])

    @routes.get("/v1/dead-letters", response_model=Page)
    async def list_dead_letters(
        state: Literal["waiting", "replayed"] | None = None,
        code: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Records that could not be read or applied, with the reason; `value` is the original, base64."""
        rows, following = await dead_letters.page(mongo, state=state, code=code, cursor=cursor, limit=limit)
        return {"items": [_view(row) for row in rows], "next": following}

    @routes.post("/v1/dead-letters/{dead_letter_id}/replay")
    async def replay_dead_letter(dead_letter_id: str) -> JSONResponse:
        """Apply the record again. What was applied before changes nothing."""
        row = await dead_letters.find(mongo, dead_letter_id)
        if row is None:
            raise Problem(404, "unknown_dead_letter", f"there is no dead letter {dead_letter_id!r}; list them first")
        consumer = consumers.get(row["topic"])
        if consumer is None:
            raise Problem(409, "topic_not_read", f"this service no longer reads {row['topic']}")
        reason = await consumer.replay(dead_letters.record_of(row))
        await dead_letters.mark(mongo, dead_letter_id, replayed=reason is None, reason=reason)
        if reason is not None:
            raise Problem(409, reason[0], f"still not applicable: {reason[1]}")
        return JSONResponse({"dead_letter_id": dead_letter_id, "state": "replayed"})

    return routes


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
        "headers": headers,
        "trace": headers.get("traceparent"),
        "value": None if row["value"] is None else b64encode(bytes(row["value"])).decode(),
    }
