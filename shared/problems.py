"""Errors as RFC 9457 problem details: what is wrong, a stable code, and what mends it."""

from typing import Any

from fastapi.responses import JSONResponse

PROBLEM_JSON = "application/problem+json"


class Problem(Exception):
    """Refuse the request with this status and code. `detail` names the field where there is one, and the remedy."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.more = more


def not_known_yet(what: str, identifier: str) -> Problem:
    """This service has not heard of it from the bus: it may, in a moment."""
    return Problem(
        404,
        "not_known_yet",
        f"{what} {identifier!r} is not known here yet; if it exists, try again in a moment",
        retry_after_s=1,
    )


def response(problem: Problem) -> JSONResponse:
    """The problem as an answer."""
    headers = {"Retry-After": str(problem.more["retry_after_s"])} if "retry_after_s" in problem.more else None
    return JSONResponse(
        {
            "type": "about:blank",
            "title": problem.code.replace("_", " "),
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            **problem.more,
        },
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )
