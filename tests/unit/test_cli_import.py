"""`foquale import` against a small referral: what is told, what is written, and what happens when it goes wrong."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from deploy.addresses import addresses
from deploy.cli.failures import Failure
from deploy.cli.send_list import ERROR_COLUMNS, import_list, summary, write_errors
from deploy.client import Client

LIST = "campaign;source\n" + "2013-03;SCOLARITE\n" * 20_000
COUNTS: dict[str, Any] = {
    "state": "done",
    "reason": None,
    "rows": 10,
    "accepted": 6,
    "matched": 1,
    "disputed": 0,
    "repeated": 1,
    "rejected": {"over_25": 1, "unknown_school": 1},
    "warnings": {"bad_ine": 2},
}


class Referral(httpx.AsyncBaseTransport):
    """Takes a list in as the real one does, and can break off, refuse, fail or take its time."""

    def __init__(self, *, refuse: dict[str, Any] | None = None, break_off: bool = False, later: int = 0) -> None:
        self.received = b""
        self.import_id = ""
        self.asked = 0
        self._refuse, self._break_off, self._later = refuse, break_off, later
        self.final: dict[str, Any] = COUNTS

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.import_id = request.headers["Import-Id"]
            assert request.headers["Content-Type"] == "text/csv"
            assert isinstance(request.stream, httpx.AsyncByteStream)
            return await self._take(request.stream)
        if request.url.path.endswith("/errors"):
            return self._errors(request)
        if not self.import_id:
            return httpx.Response(404, json={"code": "unknown_import", "detail": "no"})
        self.asked += 1
        return httpx.Response(200, json=self._counts(running=self.asked < self._later))

    async def _take(self, chunks: AsyncIterator[bytes] | httpx.AsyncByteStream) -> httpx.Response:
        async for chunk in chunks:
            self.received += chunk
        if self._break_off:
            raise httpx.ReadError("connection reset")
        if self._refuse is not None:
            return httpx.Response(400, json=self._refuse)
        return httpx.Response(202, json=self._counts(running=self._later > 0))

    def _counts(self, *, running: bool) -> dict[str, Any]:
        return {**self.final, "import_id": self.import_id, **({"state": "running"} if running else {})}

    def _errors(self, request: httpx.Request) -> httpx.Response:
        first = {"line": 3, "field": "birth_date", "code": "over_25", "message": "26; too old"}
        second = {"line": 7, "field": "last_school", "code": "unknown_school", "message": "x", "suggestion": "0010001W"}
        if request.url.params.get("cursor"):
            return httpx.Response(200, json={"items": [second], "next": None})
        return httpx.Response(200, json={"items": [first], "next": "3"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


async def _import(referral: Referral, file: Path) -> Any:
    async with Client(addresses({}), transport=referral) as client:
        return await import_list(client, file, Console(quiet=True))


async def test_the_whole_file_is_sent_and_its_end_awaited(file: Path) -> None:
    referral = Referral(later=2)
    counts = await _import(referral, file)
    assert referral.received == LIST.encode()
    assert counts["state"] == "done"
    assert referral.asked == 2


def test_the_summary_tells_everything() -> None:
    lines = summary({**COUNTS, "import_id": "i"})  # type: ignore[typeddict-item]  # counts of any kind
    words = [line.split() for line in lines]
    assert words == [
        ["10", "rows"],
        ["accepted", "6"],
        ["matched", "1"],
        ["disputed", "0"],
        ["repeated", "1"],
        ["rejected", "2"],
        ["over_25", "1"],
        ["unknown_school", "1"],
        ["warnings", "2"],
        ["bad_ine", "2"],
    ]


async def test_every_rejected_row_is_written(tmp_path: Path) -> None:
    async with Client(addresses({}), transport=Referral()) as client:
        assert await write_errors(client, "i", tmp_path / "errors.csv") == 2
    with (tmp_path / "errors.csv").open(encoding="utf-8", newline="") as out:
        rows = list(csv.reader(out, delimiter=";"))
    assert rows == [
        list(ERROR_COLUMNS),
        ["3", "birth_date", "over_25", "26; too old", ""],
        ["7", "last_school", "unknown_school", "x", "0010001W"],
    ]


async def test_a_refused_header_is_told_with_its_file(file: Path) -> None:
    refusal = {"code": "bad_header", "detail": "line 1: the header lacks ine", "status": 400}
    with pytest.raises(Failure, match=r"list\.csv, line 1: the header lacks ine$"):
        await _import(Referral(refuse=refusal), file)


async def test_a_connection_that_breaks_leaves_word_of_what_was_taken_in(file: Path) -> None:
    with pytest.raises(Failure, match=r"10 rows were taken in\. Send the list again"):
        await _import(Referral(break_off=True), file)


async def test_an_import_that_fails_says_why(file: Path) -> None:
    referral = Referral()
    referral.final = {**COUNTS, "state": "failed", "reason": "interrupted; send the list again"}
    with pytest.raises(Failure, match="interrupted; send the list again"):
        await _import(referral, file)
