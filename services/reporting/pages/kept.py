"""Pages as they were last made, so that many readers cost little: sent from memory, in front of the application.

A page is of a *state*: the figures, how far the topics are applied, the day, and what else pages show. While the state
stays the same a page is sent again as it is. Once it is another, the view is made anew, and the page only where the
view differs; the readers meanwhile get the last one. Only who asks for a page that nobody has asked for of late, and
that may be old, waits. Making is done in short pieces and with rests, so that others come in between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.reporting.front import reply
from services.reporting.pages.site import HTML, SECURITY_HEADERS, Asked, Site
from services.reporting.squeezing import Body
from shared.at_once import Header, Reply
from shared.mongo import StoreError
from shared.observability import describe
from shared.problems import Problem

log = structlog.get_logger(__name__)

State = tuple[object, ...]
View = tuple[State, str, dict[str, Any]]
"""The state that a view is of, which may be a little older than the one it was asked for; template and plain data."""

Look = Callable[[State], Awaitable[View]]

_MOST_KEPT: Final = 256
_HOLDS_S: Final = 0.6
_OLDEST_S: Final = 1.0
_LONGEST_S: Final = 10.0
"""A page that is asked for all the time is renewed behind its readers; they wait only where it is older than this."""
_REST: Final = 2.0
"""After a page was made behind its readers, for so many times as long none is."""
_LONGEST_PIECE_S: Final = 0.001
HEADERS: Final[list[Header]] = [
    (b"content-type", HTML.encode()),
    (b"cache-control", b"no-cache"),
    *((name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]


@dataclass(slots=True, eq=False)
class Page:
    """A page and of when it is: `fresh_at` (monotonic) is when it was last known to be of the state of that moment."""

    asked: Asked
    look: Look
    body: Body = field(default_factory=Body)
    etag: bytes = b""
    view: bytes = b""
    state: State = ()
    fresh_at: float = float("-inf")
    asked_at: float = float("-inf")
    renewal: asyncio.Task[None] | None = None


class Pages:
    """The kept pages. `state` is asked at most once in `age_s`; with 0 every page is always of the moment."""

    def __init__(self, site: Site, state: Callable[[], Awaitable[State]], *, age_s: float) -> None:
        self._site = site
        self._ask_state = state
        self._age_s = age_s
        self._state: State = ()
        self._writes = 0
        self._state_at = float("-inf")
        self._kept: dict[tuple[str, bytes], Page] = {}
        self._first: dict[tuple[str, bytes], Page] = {}
        self._making = asyncio.Lock()
        self._behind = asyncio.Lock()

    async def show(self, asked: Asked, look: Look) -> Page:
        """The page of now; kept for when it is asked for again. Who asks meanwhile waits for the same one."""
        key = asked.path, asked.query.encode()
        page = self._first.setdefault(key, Page(asked, look))
        try:
            await self._make(page)
        finally:
            self._first.pop(key, None)
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = page
        return page

    def known(self, path: str, query: bytes) -> Page | None:
        """The page that was last shown there; to be renewed before it is sent again."""
        return self._kept.get((path, query))

    def look_anew(self) -> None:
        """Take no page for fresh any more: something was written here."""
        self._state_at = float("-inf")
        self._writes += 1
        for page in self._kept.values():
            page.fresh_at = float("-inf")
            page.state = ()

    def holds(self, page: Page) -> bool:
        """Whether the page may be sent as it is; where another is due, it is being made from now on."""
        now, before = monotonic(), page.asked_at
        if now >= page.fresh_at + self._age_s:
            if page.state == self._state and now < self._state_at + self._age_s:
                page.fresh_at = now
            elif not self._age_s or now >= page.fresh_at + (_LONGEST_S if now < before + _OLDEST_S else _OLDEST_S):
                return False
            elif page.renewal is None and (now >= page.fresh_at + _HOLDS_S or now >= self._state_at + self._age_s):
                page.renewal = asyncio.create_task(self._renew_behind(page, now))
        page.asked_at = now
        return True

    def at_hand(self, path: bytes, query: bytes, headers: list[Header]) -> Reply | None:
        """A page that may be sent as it is (`shared.at_once`)."""
        page = self._kept.get((path.decode("latin-1"), query))
        return reply(page.etag, page.body, headers, HEADERS) if page is not None and self.holds(page) else None

    async def renew(self, page: Page) -> None:
        """See to it that the page may be sent."""
        if not self.holds(page):
            page.asked_at = monotonic()
            await self._make(page)

    async def _renew_behind(self, page: Page, asked_at: float) -> None:
        """Renew a page while the last one is still being sent."""
        try:
            if page.state == await self._now():
                page.fresh_at = monotonic()
            elif asked_at >= page.fresh_at + _HOLDS_S:
                async with self._behind:
                    began = monotonic()
                    await self._make(page)
                    await asyncio.sleep((monotonic() - began) * _REST)
        except (Problem, StoreError) as error:
            log.info("page_not_renewed", path=page.asked.path, error=describe(error))
        finally:
            page.renewal = None

    async def _now(self) -> State:
        if monotonic() >= self._state_at + self._age_s:
            at = monotonic()
            self._state = (*await self._ask_state(), self._writes)
            self._state_at = at
        return self._state

    async def _make(self, page: Page) -> None:
        """Make the page one of now; one page at a time, so that each is soon done."""
        asked_at = monotonic()
        async with self._making:
            if page.fresh_at >= asked_at:
                return  # made while this one waited
            fresh_at, state = monotonic(), await self._now()
            if page.state == state and page.etag:
                page.fresh_at = fresh_at
                return
            state, template, shown = await page.look(state)
            view = blake2b(msgspec.json.encode([template, shown], enc_hook=repr), digest_size=12).digest()
            if view != page.view:
                body = await self._rendered(template, page.asked, shown)
                page.body.write(body)
                page.view = view
                page.etag = b'W/"%b"' % blake2b(body, digest_size=12).hexdigest().encode()
            page.state, page.fresh_at = state, fresh_at

    async def _rendered(self, template: str, asked: Asked, shown: dict[str, Any]) -> bytes:
        """The page, made a piece at a time: others come in between."""
        parts: list[str] = []
        began = monotonic()
        for part in self._site.parts(template, asked, **shown):
            parts.append(part)
            if self._age_s and monotonic() > began + _LONGEST_PIECE_S:
                await asyncio.sleep(0)
                began = monotonic()
        return "".join(parts).encode()


class KeptPages:
    """ASGI middleware: sends what is kept; everything else is the application's. What writes makes pages look anew."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, partial(self._written, send))
            return
        page = self._pages.known(scope["path"], scope["query_string"]) if scope["method"] == "GET" else None
        if page is None or not await self._renewed(page):
            await self._app(scope, receive, send)
            return
        status, headers, body = reply(page.etag, page.body, scope["headers"], HEADERS)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _written(self, send: Send, message: Message) -> None:
        """Whoever was told what became of his writing sees it in what he asks for next."""
        if message["type"] == "http.response.start":
            self._pages.look_anew()
        await send(message)

    async def _renewed(self, page: Page) -> bool:
        """False where it can no longer be shown: the application says why."""
        try:
            await self._pages.renew(page)
        except (Problem, StoreError):
            return False
        return True
