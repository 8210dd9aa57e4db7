"""A router for pages: what goes wrong in one is shown as a page as well, and every answer has the strict headers."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from services.reporting.pages.site import HTML, SECURITY_HEADERS, Asked, Site
from services.reporting.pages.writing import Lang
from shared.mongo import StoreError
from shared.observability import describe
from shared.problems import Problem

log = structlog.get_logger(__name__)

_TITLES: Final = (404, 409, 422, 503)


class PageQuery(BaseModel):
    """What every page may be asked; a parameter that a page does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lang: Lang = Field("fr", description="Language of the page.")


def asked(request: Request) -> Asked:
    """The page that a request asks for."""
    return Asked(request.url.path, request.url.query)


def html(body: bytes, status: int = 200) -> Response:
    """A page as an answer; it is asked for again each time it is shown."""
    return Response(body, status, media_type=HTML, headers={"cache-control": "no-cache"})


def page_router(site: Site) -> APIRouter:
    """A router whose routes answer with pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def shown(request: Request) -> Response:
                try:
                    response = await handle(request)
                except (Problem, RequestValidationError, StoreError) as error:
                    response = problem_page(site, asked(request), error)
                response.headers.update(SECURITY_HEADERS)
                return response

            return shown

    return APIRouter(route_class=PageRoute, include_in_schema=False)


def problem_page(site: Site, page: Asked, error: Problem | RequestValidationError | StoreError) -> Response:
    """What is wrong and what to do, in the reader's language where the code is one that pages know."""
    problem, errors = _problem(error)
    texts = site.texts(page.lang)
    known = str(problem.status) if problem.status in _TITLES else "other"
    body = site.render(
        "problem.html",
        page,
        title=getattr(texts.problem, f"title_{known}"),
        detail=_detail(texts, problem),
        status=problem.status,
        code=problem.code,
        errors=errors,
        suggestions=[(page.to(path), name) for path, name in problem.more.get("suggestions", ())],
    )
    response = html(body, problem.status)
    if "retry_after_s" in problem.more:
        response.headers["retry-after"] = str(problem.more["retry_after_s"])
    return response


def _problem(error: Problem | RequestValidationError | StoreError) -> tuple[Problem, list[tuple[str, str]]]:
    if isinstance(error, Problem):
        return error, []
    if isinstance(error, RequestValidationError):
        errors = [(".".join(map(str, item["loc"][1:])), str(item["msg"])) for item in error.errors()]
        fields = ", ".join(sorted({field for field, _ in errors}))
        return Problem(422, "invalid_request", f"mend in the address: {fields}", fields=fields), errors
    log.warning("store_unavailable", error=describe(error))
    return Problem(503, "store_unavailable", "the store does not answer; try again shortly", retry_after_s=2), []


def _detail(texts: Any, problem: Problem) -> str:
    """By its code in `problem`, or in `refusals` where forms have theirs; else as the API says it."""
    refusals = getattr(texts, "refusals", None)
    text = getattr(texts.problem, problem.code, None) or getattr(refusals, problem.code, None)
    try:
        return str(text.format(**problem.more)) if text else problem.detail
    except KeyError:
        return problem.detail
