"""Answers that lie ready in memory, sent as soon as a request is read: without a task, and without the application.

The way through an application costs each request some hundred microseconds of a core, whatever it answers. Where many
ask for the same, that is all that it costs; and fifty who ask at once wait for each other.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.observability import Metrics

Header: TypeAlias = tuple[bytes, bytes]
Reply: TypeAlias = tuple[int, list[Header], bytes]
"""Status, headers (with the body's length) and body."""

AtHand: TypeAlias = Callable[[bytes, bytes, list[Header]], Reply | None]
"""The reply to a GET of this path and query, as written in the request, with these headers; None where the application
is to be asked. Names of headers are in small letters.
"""

_NO_FRAGMENT: Final = b"#"


class AtOnceProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it; a plain GET is first looked for among what is `at_hand`."""

    def __init__(self, at_hand: Sequence[AtHand], metrics: Metrics, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._at_hand = at_hand
        self._metrics = metrics
        self._answered = False

    def on_headers_complete(self) -> None:
        """Answer at once, or leave it to the application."""
        self._answered = self._is_plain() and self._answer()
        if not self._answered:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Nobody reads the body of what was answered."""
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read to its end."""
        if not self._answered:
            super().on_message_complete()

    def _is_plain(self) -> bool:
        """Whether it is a GET like most: nobody before it waits for an answer, and the connection stays open."""
        parser = self.parser
        return bool(
            parser.get_method() == b"GET"
            and getattr(self.cycle, "response_complete", True)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.transport.is_closing()
        )

    def _answer(self) -> bool:
        began = perf_counter()
        path, _, query = self.url.partition(b"?")
        if _NO_FRAGMENT in query:
            return False
        for look in self._at_hand:
            reply = look(path, query, self.headers)
            if reply is not None:
                self._send(*reply, began)
                return True
        return False

    def _send(self, status: int, headers: Sequence[Header], body: bytes, began: float) -> None:
        head = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            head += (name, b": ", value, b"\r\n")
        self._metrics.answered(status, perf_counter() - began)
        self.transport.write(b"".join((*head, b"\r\n", body)))
        self.on_response_complete()
