"""How SIEI rows come in over HTTP: as CloudEvents, one or a batch, or as a CSV list."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse

from services.referral import imports, views
from services.referral.eligibility import Code, Rejected
from services.referral.handlers import Handlers
from services.referral.imports import Imports
from shared.clock import random_id
from shared.commands import CommandOf
from shared.envelope import Undecodable, from_structured
from shared.events import SieiDropout
from shared.http import Cursor, Limit, Page
from shared.problems import Problem
from shared.unit_of_work import Tx, UnitOfWork

LARGEST_BATCH = 32 * 1024 * 1024
MOST_EVENTS = 10_000  # of one batch, which is one transaction
_CSV = {
    "requestBody": {
        "required": True,
        "content": {"text/csv": {"schema": {"type": "string", "description": "UTF-8, `;` or `,`, with a header line"}}},
    }
}
_EVENT = {"type": "object", "required": ["specversion", "id", "source", "type", "data"]}
_EVENTS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
        },
    }
}


def events_router(handlers: Handlers) -> APIRouter:
    """Rows as events."""
    routes = APIRouter(tags=["SIEI"])

    @routes.post("/v1/siei/dropouts", status_code=202, openapi_extra=_EVENTS)
    async def send_dropouts(request: Request, command: CommandOf) -> JSONResponse:
        """Rows as CloudEvents (structured mode); each is answered on its own."""
        events = await _events(request)
        results: list[dict[str, Any] | None] = [None] * len(events)
        good: list[tuple[int, str, dict[str, Any]]] = []
        for place, event in enumerate(events):
            read = _read(event)
            if isinstance(read, dict):
                results[place] = read
            else:
                good.append((place, *read))

        async def take(tx: Tx) -> dict[str, Any]:
            size = handlers.settings.rows_per_transaction
            for start in range(0, len(good), size):
                part = good[start : start + size]
                taken = await handlers.take_events(tx, [(event_id, values) for _, event_id, values in part])
                for (place, _, _), (event_id, outcome) in zip(part, taken, strict=True):
                    results[place] = _result(event_id, outcome)
            return {"results": results}

        return await command(take, status=202, alone=True)

    return routes


def lists_router(unit_of_work: UnitOfWork, lists: Imports) -> APIRouter:
    """Rows as lists, and what became of rows."""
    routes = APIRouter(tags=["SIEI"])

    @routes.post("/v1/siei/imports", status_code=202, openapi_extra=_CSV)
    async def import_list(
        request: Request,
        import_id: Annotated[
            str | None,
            Header(
                pattern=r"^[0-9A-Za-z-]{1,64}$",
                description="Chosen by the client, so that it can ask for progress meanwhile.",
            ),
        ] = None,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    ) -> JSONResponse:
        """A list (CSV), taken in while it is sent; the answer comes when all of it has been."""
        kind = request.headers.get("content-type", "text/csv").split(";")[0].strip().lower()
        if kind not in ("text/csv", "application/csv", "text/plain"):
            raise Problem(415, "not_csv", "send the list with Content-Type: text/csv")
        begun, to_run = await lists.begin(import_id or random_id(), idempotency_key)
        if to_run:
            await lists.run(begun, request.stream())
        return JSONResponse(await lists.find(begun), status_code=202)

    @routes.get("/v1/siei/imports/{import_id}")
    async def get_import(import_id: str) -> JSONResponse:
        """The counts of a list: what has been taken in so far."""
        return JSONResponse(await lists.find(import_id))

    @routes.get("/v1/siei/imports/{import_id}/errors", response_model=Page)
    async def get_import_errors(
        import_id: str,
        limit: Limit = 100,
        cursor: Annotated[str | None, Query(pattern=r"^\d{1,12}$")] = None,
    ) -> dict[str, Any]:
        """The rejected rows of a list, each with what mends it."""
        await lists.find(import_id)
        items, following = await imports.errors(unit_of_work.mongo, import_id, cursor, limit)
        return {"items": items, "next": following}

    @routes.get("/v1/siei/rejections", response_model=Page)
    async def get_rejections(code: Code | None = None, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """Rows that came as events and were rejected."""
        items, following = await views.rejections(unit_of_work.mongo, code=code, cursor=cursor, limit=limit)
        return {"items": items, "next": following}

    return routes


async def _events(request: Request) -> list[Any]:
    body = await request.body()
    if len(body) > LARGEST_BATCH:
        raise Problem(413, "batch_too_large", f"send at most {LARGEST_BATCH >> 20} MiB at once, or a CSV list")
    try:
        events = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(
            400, "invalid_json", "the body is no JSON in UTF-8; send a CloudEvent or an array of them"
        ) from error
    if isinstance(events, list):
        if len(events) > MOST_EVENTS:
            raise Problem(413, "batch_too_large", f"send at most {MOST_EVENTS} events at once, or a CSV list")
        return events
    if not isinstance(events, dict):
        raise Problem(400, "invalid_json", "send a CloudEvent (object) or an array of them")
    return [events]


def _read(event: Any) -> tuple[str, dict[str, Any]] | dict[str, Any]:
    """The identifier and fields of an event, or the result that refuses it."""
    ce_id = event.get("id") if isinstance(event, Mapping) and isinstance(event.get("id"), str) else None
    try:
        return _identified(event)
    except (UnicodeEncodeError, RecursionError):
        # Half a surrogate pair can be written in JSON but is no text: neither stored nor sent back.
        message = "holds text that is no Unicode, or is nested too deeply: correct it"
        return {"ce_id": None, "status": "rejected", "code": "malformed", "message": message}
    except Undecodable as error:
        return {"ce_id": ce_id, "status": "rejected", "code": error.code, "message": error.message}


def _identified(event: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(event, Mapping):
        raise Undecodable("bad_json", "a CloudEvent is a JSON object")
    json.dumps(event, ensure_ascii=False).encode()
    envelope = from_structured(event)
    if envelope.type != SieiDropout.TYPE:
        raise Undecodable("unknown_type", f"the type must be {SieiDropout.TYPE}")
    if not isinstance(event["data"], dict):
        raise Undecodable("malformed", "`data` is no JSON object: give the fields of the row")
    return envelope.id, dict(event["data"])


def _result(event_id: str, outcome: Any) -> dict[str, Any]:
    if not isinstance(outcome, Rejected):
        return {"ce_id": event_id, "status": "accepted", "outcome": outcome.outcome}
    result = {
        "ce_id": event_id,
        "status": "rejected",
        "code": outcome.code,
        "field": outcome.field,
        "message": f"{outcome.field} {outcome.message}",
    }
    if outcome.suggestion:
        result["suggestion"] = outcome.suggestion
    return result
