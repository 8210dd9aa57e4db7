"""Many readers at once: each keeps one connection and asks again as soon as it has its answer.

    readers.py HOST PORT READERS SECONDS PATHS RESULT

PATHS is a JSON list; each reader goes through it in an order of its own. They say that they read gzip, as browsers and
HTTP clients do.

With `ETAGS=1` in the environment a reader asks as a browser does, with the ETag of the answer it had. With `EACH_S=0.1`
it asks so often, by a clock of its own, and what it waits counts from when it wanted to ask.
"""

import asyncio
import json
import os
import random
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvloop

_WARM_UP_S: Final = 1.0
_READS: Final = "Accept-Encoding: gzip"


class Reader(asyncio.Protocol):
    """One connection; `seconds` gets how long each answer took. Answers need a Content-Length, or be 304."""

    def __init__(self, host: str, paths: list[str], *, etags: bool, each_s: float = 0.0, phase: float = 0.0) -> None:
        """`each_s`: how often it asks, 0 is again and again; `phase`: when in that time, from 0 to 1."""
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}
        self._host = host
        self._paths = paths
        self._etags: dict[str, bytes] | None = {} if etags else None
        self._number = 0
        self._buffer = b""
        self._each_s = each_s
        self._wanted = time.perf_counter() + each_s * phase

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask_in_time()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        status = int(head[9:12])
        length = 0 if status == 304 else int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self.seconds.append(time.perf_counter() - self._wanted)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if self._etags is not None and b"\r\netag: " in head:
            at = head.index(b"\r\netag: ") + 8
            self._etags[self._path] = self._buffer[at:end].split(b"\r\n", 1)[0]
        self._buffer = b""
        self._wanted = self._wanted + self._each_s if self._each_s else time.perf_counter()
        self._ask_in_time()

    def forget(self) -> None:
        """Begin to count anew."""
        self.seconds.clear()
        self.statuses.clear()

    def close(self) -> None:
        """End."""
        self._transport.abort()

    def _ask_in_time(self) -> None:
        left = self._wanted - time.perf_counter()
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        self._path = self._paths[self._number % len(self._paths)]
        self._number += 1
        known = self._etags.get(self._path) if self._etags is not None else None
        tag = b"If-None-Match: %b\r\n" % known if known else b""
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n{_READS}\r\n".encode() + tag + b"\r\n"
        )


def _same(reader: Reader) -> Reader:
    return reader


async def main() -> dict[str, Any]:
    """The rate, the 50th and 99th percentile in ms, and the number of answers by status."""
    host, port, readers, seconds, paths, _result = sys.argv[1:]
    loop = asyncio.get_running_loop()
    rng = random.Random(1)
    all_paths = json.loads(paths)
    made = []
    for _ in range(int(readers)):
        own = rng.sample(all_paths, len(all_paths))
        each_s = float(os.environ.get("EACH_S", "0"))
        reader = Reader(host, own, etags=os.environ.get("ETAGS") == "1", each_s=each_s, phase=rng.random())
        await loop.create_connection(partial(_same, reader), host, int(port))
        made.append(reader)
    await asyncio.sleep(_WARM_UP_S)
    for reader in made:
        reader.forget()
    began = time.perf_counter()
    await asyncio.sleep(float(seconds))
    took = time.perf_counter() - began
    times = sorted(second for reader in made for second in reader.seconds)
    statuses: dict[int, int] = {}
    for reader in made:
        for status, count in reader.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
        reader.close()
    return {
        "rps": len(times) / took,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[len(times) * 99 // 100] * 1e3,
        "statuses": statuses,
    }


if __name__ == "__main__":
    Path(sys.argv[-1]).write_text(json.dumps(uvloop.run(main())))
