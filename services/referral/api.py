"""The worklist of the platforms over HTTP. No logic here: it is in the handlers."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from services.referral import views
from services.referral.handlers import Handlers
from services.referral.inputs import Came, Contact, Dismissal, Interview, Resolution, Transfer
from shared.clock import random_id
from shared.command_route import CommandRoute
from shared.commands import CommandOf
from shared.http import Cursor, Limit, Page
from shared.mongo import Mongo
from shared.problems import Problem


def router(mongo: Mongo, handlers: Handlers) -> APIRouter:
    """The routes under /v1/youths and /v1/disputes."""
    routes = APIRouter(route_class=CommandRoute)

    @routes.get("/v1/youths", response_model=Page, tags=["youths"])
    async def list_youths(filters: Annotated[views.Worklist, Query()]) -> dict[str, Any]:
        """The worklist."""
        return await views.worklist(mongo, filters)

    @routes.get("/v1/youths/{youth_id}", tags=["youths"])
    async def get_youth(youth_id: str) -> JSONResponse:
        """One youth with identity."""
        return JSONResponse(await views.one_youth(mongo, youth_id))

    @routes.post("/v1/youths", status_code=201, tags=["youths"])
    async def register_youth(body: Came, command: CommandOf) -> JSONResponse:
        """A youth who came by himself (origin `spontaneous`); one whom we know stays the same youth."""
        row_id = body.source_row or random_id()
        dispute: list[str] = []

        async def work(tx: Any) -> dict[str, Any]:
            answer = await handlers.come(tx, body, row_id)
            dispute[:] = [answer["dispute_id"]] if "dispute_id" in answer else []
            return answer

        response = await command(work)
        if dispute:
            raise Problem(
                409,
                "identity_disputed",
                "several youths, or one with another INE or birth date, may be meant: settle the dispute",
                dispute_id=dispute[0],
            )
        return response

    @routes.post("/v1/youths/{youth_id}/contacts", status_code=201, tags=["youths"])
    async def add_contact(youth_id: str, body: Contact, command: CommandOf) -> JSONResponse:
        """An attempt to reach the youth, whatever came of it."""
        return await command(lambda tx: handlers.attempt_contact(tx, youth_id, body))

    @routes.post("/v1/youths/{youth_id}/interviews", status_code=201, tags=["youths"])
    async def add_interview(youth_id: str, body: Interview, command: CommandOf) -> JSONResponse:
        """The positioning interview."""
        return await command(lambda tx: handlers.interview(tx, youth_id, body))

    @routes.post("/v1/youths/{youth_id}/dismissal", status_code=201, tags=["youths"])
    async def dismiss_youth(youth_id: str, body: Dismissal, command: CommandOf) -> JSONResponse:
        """No follow-up needed."""
        return await command(lambda tx: handlers.dismiss(tx, youth_id, body))

    @routes.post("/v1/youths/{youth_id}/transfer", status_code=201, tags=["youths"])
    async def transfer_youth(youth_id: str, body: Transfer, command: CommandOf) -> JSONResponse:
        """Another platform answers for the youth from now on."""
        return await command(lambda tx: handlers.transfer(tx, youth_id, body))

    @routes.get("/v1/disputes", response_model=Page, tags=["disputes"])
    async def list_disputes(
        state: Literal["open", "resolved"] = "open", limit: Limit = 100, cursor: Cursor = None
    ) -> dict[str, Any]:
        """Rows of which a person must say whom they name."""
        items, following = await views.disputes(mongo, state=state, cursor=cursor, limit=limit)
        return {"items": items, "next": following}

    @routes.post("/v1/disputes/{dispute_id}/resolution", status_code=201, tags=["disputes"])
    async def resolve_dispute(dispute_id: str, body: Resolution, command: CommandOf) -> JSONResponse:
        """The same youth as one of the candidates, or another."""
        return await command(lambda tx: handlers.resolve(tx, dispute_id, body))

    return routes
