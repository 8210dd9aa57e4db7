"""How long a service takes to answer, as it sees it itself: for operators, beside what its callers measure."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability import Metrics


class Timed:
    """ASGI middleware, around everything else: notes how long each request took until its answer began.

    From when the server hands over the request, read and parsed, to when the answer's first part is handed to the
    server. An answer that goes on for long, as server-sent events do, is not counted for all that time.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(message["status"], perf_counter() - began)
            await send(message)

        await self._app(scope, receive, note)
