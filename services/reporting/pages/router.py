"""The pages of figures over HTTP, and the files that all pages need."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from services.reporting.front import condition, reply
from services.reporting.pages.figures import FiguresPages
from services.reporting.pages.kept import HEADERS, Look, Pages
from services.reporting.pages.periods import FiguresQuery
from services.reporting.pages.route import PageQuery, asked, page_router
from services.reporting.pages.site import SECURITY_HEADERS, Site
from shared.problems import Problem

_FOR_EVER: Final = "public, max-age=31536000, immutable"


def router(site: Site, pages: Pages, figures: FiguresPages) -> APIRouter:
    """France, an académie, the definitions."""
    routes = page_router(site)

    async def shown(request: Request, look: Look) -> Response:
        page = await pages.show(asked(request), look)
        status, headers, body = reply(page.etag, page.body, request.scope["headers"], HEADERS)
        response = Response(body, status)
        response.raw_headers = headers
        return response

    @routes.get("/")
    async def national(request: Request, query: Annotated[FiguresQuery, Query()]) -> Response:
        """France, the map and the table of its académies."""
        return await shown(request, lambda state: figures.national(asked(request), query, state))

    @routes.get("/academies/{code}")
    async def academie(request: Request, code: str, query: Annotated[FiguresQuery, Query()]) -> Response:
        """An académie."""
        return await shown(request, lambda state: figures.academie(asked(request), code, query, state))

    @routes.get("/definitions")
    async def definitions(request: Request, _query: Annotated[PageQuery, Query()]) -> Response:
        """What every indicator counts."""
        return await shown(request, figures.definitions)

    return routes


def static(site: Site) -> APIRouter:
    """Style sheet, script and icon; under a link of `Site.static_link` for ever the same."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name}")
    async def file(request: Request, name: str) -> Response:
        found = site.static.get(name)
        if found is None:
            raise Problem(404, "no_such_path", f"there is no file {name!r}; the pages name those that there are")
        etag = f'"{found.digest}"'
        kept = _FOR_EVER if request.query_params.get("v") == found.digest else "no-cache"
        headers = {**SECURITY_HEADERS, "etag": etag, "cache-control": kept}
        if condition(request.scope["headers"]) == etag.encode():
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=found.media_type, headers=headers)

    return routes
