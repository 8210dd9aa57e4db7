"""GET /v1/indicators for a query that was answered before: straight from memory, in front of the application.

The application checks a query and answers it the first time, refuses what cannot be, and documents both. What it has
answered is kept by the query string, and is all that this does again: at once where the answer may be given as it is,
else as soon as it was made anew.
"""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from services.reporting.answers import Answer, Answers
from services.reporting.squeezing import Body, reads_gzip
from shared.at_once import AtHand, Header, Reply
from shared.mongo import StoreError
from shared.problems import Problem

PATH: Final = "/v1/indicators"
JSON: Final[list[Header]] = [(b"content-type", b"application/json"), (b"cache-control", b"no-cache")]


def at_hand(answers: Answers) -> AtHand:
    """Figures that may be given as they are."""
    wanted = PATH.encode()

    def look(path: bytes, query: bytes, headers: list[Header]) -> Reply | None:
        answer = answers.known(query) if path == wanted else None
        if answer is None or not answers.holds(answer):
            return None
        return reply(answer.etag, answer.body, headers, JSON)

    return look


class Front:
    """ASGI middleware: answers what it knows; everything else is the application's."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            answer = self._answers.known(scope["query_string"])
            if answer is not None and await self._renewed(answer):
                status, headers, body = reply(answer.etag, answer.body, scope["headers"], JSON)
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)

    async def _renewed(self, answer: Answer) -> bool:
        """False where it can no longer be given, as where a unit is gone: the application says why."""
        try:
            await self._answers.renew(answer)
        except (Problem, StoreError):
            return False
        return True


def condition(headers: list[Header]) -> bytes | None:
    """The request's If-None-Match."""
    for name, value in headers:
        if name == b"if-none-match":
            return value
    return None


def reply(etag: bytes, body: Body, asked: list[Header], described: list[Header]) -> Reply:
    """Status, headers and body: squeezed for who reads that, 304 without a body for who has the same already.

    `asked` are the request's headers, `described` the further ones of a whole answer.
    """
    headers = [(b"etag", etag), (b"vary", b"accept-encoding")]
    if_none_match = condition(asked)
    if if_none_match is not None and has(if_none_match, etag):
        return 304, [*headers, (b"cache-control", b"no-cache")], b""
    sent = body.plain
    if reads_gzip(asked) and (squeezed := body.squeezed()) is not None:
        sent = squeezed
        headers.append((b"content-encoding", b"gzip"))
    return 200, [*headers, (b"content-length", b"%d" % len(sent)), *described], sent


def has(if_none_match: bytes, etag: bytes) -> bool:
    """Whether the caller has it: compared weakly, as RFC 9110 has it for this header."""
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag.removeprefix(b"W/") in tags or tags == [b"*"]
