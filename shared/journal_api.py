"""The journal over HTTP, the same in every service: what waits to be published, and publishing all of it again."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from shared.http import Input, Moment
from shared.journal import Journal
from shared.mongo import Document
from shared.problems import Problem


class PublicationRequest(Input):
    """What to publish again."""

    since: Moment | None = Field(
        None, description="Only what was recorded at or after this moment (RFC 3339; UTC where no zone is given)."
    )


def router(journal: Journal) -> APIRouter:
    """GET /v1/journal, POST /v1/journal/publications and GET /v1/journal/publications/{id}."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/v1/journal")
    async def state() -> dict[str, Any]:
        """Events that wait to be published for the first time, and how far the running publication has come."""
        found = await journal.state()
        oldest, publication = found["oldest_pending_at"], found["publication"]
        return {
            **found,
            "oldest_pending_at": oldest.isoformat() if oldest else None,
            "publication": _view(publication) if publication else None,
        }

    @routes.post("/v1/journal/publications", status_code=202)
    async def publish_again(request: PublicationRequest) -> JSONResponse:
        """Publish the journal again, whole or since a moment, for a broker that has lost it. Changes nothing else."""
        return JSONResponse(_view(await journal.publish_again(request.since)), status_code=202)

    @routes.get("/v1/journal/publications/{publication_id}")
    async def publication(publication_id: str) -> dict[str, Any]:
        """How far a publication has come."""
        found = await journal.find(publication_id)
        if found is None:
            raise Problem(404, "unknown_publication", f"there is no publication {publication_id!r}")
        return _view(found)

    return routes


def _view(publication: Document) -> dict[str, Any]:
    since, ended_at = publication["since"], publication["ended_at"]
    return {
        "publication_id": publication["_id"],
        "state": publication["state"],
        "since": since.isoformat() if since else None,
        "events": publication["events"],
        "published": publication["published"],
        "begun_at": publication["begun_at"].isoformat(),
        "ended_at": ended_at.isoformat() if ended_at else None,
    }
