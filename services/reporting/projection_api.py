"""The projection over HTTP: build it anew, verify it, see how far that is."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from services.reporting.builds import Builds, Kind
from shared.http import Input
from shared.mongo import Document
from shared.problems import Problem


class RebuildRequest(Input):
    """How to build anew."""

    anyway: bool = Field(False, description="Switch even where the log tells of fewer youths than the live projection.")


class VerificationRequest(Input):
    """Nothing to choose."""


def router(builds: Builds) -> APIRouter:
    """Rebuilds and verifications; one at a time."""
    routes = APIRouter(tags=["operations"])

    async def find(build_id: str, kind: Kind) -> Document:
        build = await builds.find(build_id, kind)
        if build is None:
            raise Problem(404, "unknown_build", f"there is no {kind} {build_id!r}")
        return build

    @routes.get("/v1/projection")
    async def projection() -> dict[str, Any]:
        """The live projection: its generation, since when it is live, how many youths it knows."""
        found = await builds.projection()
        return {**found, "since": _moment(found["since"])}

    @routes.post("/v1/projection/rebuilds", status_code=202)
    async def rebuild(request: RebuildRequest) -> JSONResponse:
        """Build the projection anew from the log, beside the live one, and switch to it in one step."""
        build = await builds.ask("rebuild", anyway=request.anyway)
        return JSONResponse({"rebuild_id": build["_id"]}, status_code=202)

    @routes.get("/v1/projection/rebuilds/{rebuild_id}")
    async def rebuild_state(rebuild_id: str) -> dict[str, Any]:
        """How far a rebuild is: `read` of `of` records."""
        return {"rebuild_id": rebuild_id, **_view(await find(rebuild_id, "rebuild"))}

    @routes.post("/v1/projection/verifications", status_code=202)
    async def verify(_request: VerificationRequest) -> JSONResponse:
        """Recompute everything from the log and compare it with the live projection, which stays as it is."""
        build = await builds.ask("verification")
        return JSONResponse({"verification_id": build["_id"]}, status_code=202)

    @routes.get("/v1/projection/verifications/{verification_id}")
    async def verification_state(verification_id: str) -> dict[str, Any]:
        """How far a verification is, and at its end every difference (the first thousand)."""
        build = await find(verification_id, "verification")
        return {
            "verification_id": verification_id,
            **_view(build),
            "figures": build.get("figures"),
            "differences": build["differences"],
        }

    return routes


def _view(build: Document) -> dict[str, Any]:
    return {
        **{name: build[name] for name in ("state", "generation", "read", "of", "youths", "reason")},
        "held_ms": build.get("held_ms"),
        "started_at": _moment(build["started_at"]),
        "ended_at": _moment(build["ended_at"]),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
