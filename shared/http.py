"""What every service's HTTP side has: problem details, health, metrics, dead letters, strict inputs, cursors."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.consumer import NotYet
from shared.identifiers import parse_iso_date
from shared.mongo import StoreError
from shared.observability import describe, set_trace
from shared.problems import PROBLEM_JSON, Problem, response

log = structlog.get_logger(__name__)

Limit = Annotated[int, Query(ge=1, le=500, description="Most items of a page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next` of the page before.")]


_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)  # room for every sum of days and months


def _day(value: object) -> date:
    day = parse_iso_date(value) if isinstance(value, str) else None
    if day is None:
        raise PydanticCustomError("not_a_date", "write a day that exists as YYYY-MM-DD")
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise PydanticCustomError("date_out_of_range", "give a day from 1900-01-01 to 2199-12-31")
    return day


Day = Annotated[
    date, BeforeValidator(_day, json_schema_input_type=str), WithJsonSchema({"type": "string", "format": "date"})
]
"""A day in a request, written exactly `YYYY-MM-DD`; pydantic alone takes numbers and times for days as well."""


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_time", "write a moment as 2013-03-31T08:00:00Z, or a day as 2013-03-31")
    return value


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_text, json_schema_input_type=str), AfterValidator(_aware)]
"""A moment in a request: RFC 3339, UTC where no zone is given; a day alone is its beginning. Never a number."""


class Input(BaseModel):
    """A request body: an unknown field is refused, so that a misspelt one is not silently lost."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Page(BaseModel):
    """A page of a list; `next` goes into `cursor` of the following request, null on the last page."""

    items: list[dict[str, Any]]
    next: str | None = None


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, Any]] | None = None


_PROBLEM = {
    "description": "Problem details: `code` is stable, `detail` says what mends it",
    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": _PROBLEM,
    "5XX": _PROBLEM,
    422: {"model": ProblemDetails, **_PROBLEM},
}


def install(app: FastAPI) -> None:
    """Error handlers and tracing."""
    app.add_middleware(_Trace)
    app.add_exception_handler(Problem, _problem)  # type: ignore[arg-type]  # Starlette types them all as Exception
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]  # likewise
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]  # likewise
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(NotYet, _not_yet)  # type: ignore[arg-type]  # likewise
    app.add_exception_handler(Exception, _unexpected)


async def _problem(_request: Request, error: Problem) -> Response:
    return response(error)


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    problems = error.errors()
    if any(item["type"] == "json_invalid" for item in problems):
        return response(Problem(400, "invalid_json", "the body is no JSON in UTF-8; send a JSON object"))
    errors = [
        {
            "in": str(item["loc"][0]) if item["loc"] else "body",
            "field": ".".join(str(part) for part in item["loc"][1:]),
            "code": item["type"],
            "message": item["msg"],
        }
        for item in problems
    ]
    fields = ", ".join(sorted({item["field"] or item["in"] for item in errors}))
    return response(Problem(422, "invalid_request", f"mend these fields and send again: {fields}", errors=errors))


async def _http(_request: Request, error: HTTPException) -> Response:
    codes = {404: "no_such_path", 405: "method_not_allowed", 400: "invalid_request"}
    answer = response(Problem(error.status_code, codes.get(error.status_code, "http_error"), str(error.detail)))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _store(_request: Request, error: Exception) -> Response:
    log.warning("store_unavailable", error=describe(error))
    return response(
        Problem(
            503,
            "store_unavailable",
            "the store does not answer, and may or may not have done it: send the same again with the same "
            "Idempotency-Key, and it is done once",
            retry_after_s=2,
        )
    )


async def _not_yet(_request: Request, error: NotYet) -> Response:
    return response(Problem(503, error.code, f"{error.message}; try again in a moment", retry_after_s=2))


async def _unexpected(_request: Request, error: Exception) -> Response:
    log.error("unexpected", error=describe(error))
    return response(Problem(500, "unexpected", "an error of ours; it is in the service's log with this trace"))


class _Trace:
    """Goes on in the caller's trace, or begins one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            set_trace(headers.get(b"traceparent", b"").decode("ascii", "replace") or None)
        await self._app(scope, receive, send)


def metrics_router(registry: Any, refresh: Any) -> APIRouter:
    """GET /metrics in Prometheus' text format."""
    router = APIRouter(tags=["operations"])

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        await refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def health_router(live: Any, ready: Any) -> APIRouter:
    """GET /live (restart me when this fails) and GET /ready (send me no work while this fails)."""
    router = APIRouter(tags=["operations"])

    @router.get("/live")
    async def is_live() -> JSONResponse:
        return _health(await live())

    @router.get("/ready")
    async def is_ready() -> JSONResponse:
        return _health(await ready())

    return router


def _health(failures: Sequence[tuple[str, str]]) -> JSONResponse:
    body = {"status": "fail" if failures else "ok", "failures": [{"check": n, "reason": r} for n, r in failures]}
    return JSONResponse(body, status_code=503 if failures else 200)
