"""Answers that lie ready in memory, sent as soon as a request is read: without a task, and without the application.

The way through an application costs each request some hundred microseconds of a core, whatever it answers. Where many
ask for the same, that is all that it costs; and fifty who ask at once wait for each other.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.observability import Metrics

Header: TypeAlias = tuple[bytes, bytes]
Reply: TypeAlias = tuple[int, list[Header], bytes]
"""Status, headers (with the body's length) and body."""

AtHand: TypeAlias = Callable[[bytes, bytes, list[Header]], Reply | None]
"""The reply to a GET of this path and query, as written in the request, with these headers; None where the application
is to be asked. Names of headers are in small letters.
"""

_OF_BODIES: Final = (b"content-length", b"transfer-encoding")
_MOST_KNOWN: Final = 1_024
_LONGEST_KNOWN: Final = 4_096


class _Get(NamedTuple):
    """A plain GET, as it was read."""

    path: bytes
    query: bytes
    headers: list[Header]


class Ready:
    """Where to look for what lies ready, and the requests that were met: who asks again writes the same again."""

    def __init__(self, at_hand: Sequence[AtHand], metrics: Metrics) -> None:
        self.at_hand = at_hand
        self.metrics = metrics
        self._known: dict[bytes, _Get] = {}

    def reply(self, get: _Get) -> Reply | None:
        """The reply to this request, if one lies ready."""
        for look in self.at_hand:
            reply = look(*get)
            if reply is not None:
                return reply
        return None

    def known(self, data: bytes) -> _Get | None:
        """The request that these bytes are, if they are known to be one, whole."""
        return self._known.get(data)

    def note(self, data: bytes, get: _Get) -> None:
        """These bytes were read, from a request's beginning, and were this request and nothing else."""
        if len(data) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[bytes(data)] = get


class AtOnceProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it; a plain GET is first looked for among what lies `ready`."""

    def __init__(self, ready: Ready, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._ready = ready
        self._within = False  # a request, of which the rest is to come
        self._answered = False  # that request, or the last one
        self._begun = 0
        self._met: list[_Get] = []
        self._answered_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Answer at once what is known, and read anything else."""
        if self._within:
            super().data_received(data)
            return
        get = self._ready.known(data)
        if get is not None and self._is_free() and self._answer(get):
            return
        self._begun = 0
        self._met.clear()
        super().data_received(data)
        if self._met and self._begun == 1 and not self._within:
            self._ready.note(data, self._met[0])

    def on_message_begin(self) -> None:
        """A request begins."""
        self._within = True
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Answer at once, or leave it to the application."""
        get = self._plain_get() if self._is_free() else None
        self._answered = get is not None and self._answer(get)
        if get is not None and self._answered:
            self._met.append(get)
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is read to its end."""
        self._within = False
        if not self._answered:
            super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, if nobody was answered at once since this was set."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _is_free(self) -> bool:
        """Whether an answer may be sent: nobody before waits for his, and it can be taken."""
        return (
            getattr(self.cycle, "response_complete", True)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _plain_get(self) -> _Get | None:
        """The request, if it is a GET like most: without a body, and the connection stays open after it."""
        parser = self.parser
        if (
            parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or self.expect_100_continue
            or b"#" in self.url
            or any(name in _OF_BODIES for name, _ in self.headers)
        ):
            return None
        path, _, query = self.url.partition(b"?")
        return _Get(path, query, self.headers)

    def _answer(self, get: _Get) -> bool:
        began = perf_counter()
        reply = self._ready.reply(get)
        if reply is None:
            return False
        status, headers, body = reply
        head = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            head += (name, b": ", value, b"\r\n")
        self._ready.metrics.answered(status, perf_counter() - began)
        self.transport.write(b"".join((*head, b"\r\n", body)))
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        return True
