"""How fast a SIEI list goes in: from the start of its upload until reporting counts every youth it made known.

The lists are the simulator's, which also says what must come of them. The naive way, for comparison, is what a simple
service would do: each row a request, a transaction and a publication of its own, the next one after the answer.
"""

import csv
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from deploy.simulate import simulate
from shared.reference import load
from tests.bench.machine import Machine, Running

_SEED: Final = 20130331
_NAIVE_ROWS: Final = 400
_LEAST_YOUTHS: Final = 5_000
_MOST_YOUTHS: Final = 60_000
_YOUTHS_PER_S: Final = 1_000  # of budget: half of it goes to preparing, and to the naive way
_POLL_S: Final = 0.02
_IDLE_S: Final = 1.0
_PATIENCE_S: Final = 120.0
_OUTCOMES: Final = ("accepted", "matched", "disputed", "repeated")
_FIGURES: Final = "/v1/indicators?by=national&from=2013-01-01&to=2013-12-31&view=activity"


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """`import_rows_per_s`, `import_naive_rows_per_s` and their ratio `import_vs_naive`; about `budget` seconds.

    Raises:
        AssertionError: an import's counts, or reporting's figures, are not what the simulator says.
    """
    lists = lists_of(int(min(_MOST_YOUTHS, max(_LEAST_YOUTHS, budget * _YOUTHS_PER_S))), machine.directory / "imports")
    with services(machine.fresh("imports")) as running:
        referral, reporting = (_Client(each.url) for each in running)
        sent = list(islice(_rows(lists[0].path), _NAIVE_ROWS))
        began = time.perf_counter()
        alone = Counter(_send(referral, number, row) for number, row in enumerate(sent))
        _until_detected(reporting, alone["accepted"])
        naive = len(sent) / (time.perf_counter() - began)

        took = upload(lists, *running, alone)
    fast = (sum(each.expected["rows"] for each in lists) - len(sent)) / took
    return {"import_rows_per_s": fast, "import_naive_rows_per_s": naive, "import_vs_naive": fast / naive}


class List(NamedTuple):
    """A SIEI list as a file, and the counts that must come of it."""

    path: Path
    expected: dict[str, Any]


def lists_of(youths: int, folder: Path) -> list[List]:
    """The simulator's lists of so many youths, in the order of their campaigns."""
    simulate(youths, _SEED, folder, load())
    expected: dict[str, dict[str, Any]] = json.loads((folder / "expected.json").read_text())["lists"]
    return [List(folder / f"siei-{campaign}.csv", counts) for campaign, counts in expected.items()]


@contextmanager
def services(world: Machine) -> Iterator[tuple[Running, Running]]:
    """Referral and reporting, and the catalogue beside them."""
    running = [world.start(service) for service in ("catalogue", "referral", "reporting")]
    try:
        yield running[1], running[2]
    finally:
        for each in running:
            each.stop()


def upload(lists: Sequence[List], referral: Running, reporting: Running, alone: Counter[str]) -> float:
    """Upload the lists, one after the other; the seconds until reporting counts what they made known.

    `alone` are outcomes of rows of the first list that were sent by themselves before.
    """
    to, figures = _Client(referral.url), _Client(reporting.url)
    began = time.perf_counter()
    counts = [_upload(to, each.path) for each in lists]
    _until_detected(figures, sum(each.expected["accepted"] for each in lists))
    took = time.perf_counter() - began
    _verify(counts, [each.expected for each in lists], alone)
    return took


class _Client:
    """One connection that stays open while it is used."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE_S)
        self._used_at = 0.0

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        if time.monotonic() - self._used_at > _IDLE_S:
            self._connection.close()  # the service may have closed it: open it anew
        self._used_at = time.monotonic()
        self._connection.request(method, path, body, {"content-type": kind} if body else {})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]!r}"
        return json.loads(text)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def _send(referral: _Client, number: int, row: Mapping[str, str]) -> str:
    """One row as an event: its outcome, or the code that rejects it."""
    event = {
        "specversion": "1.0",
        "id": f"row-{number}",
        "source": "/bench",
        "type": "fr.education.siei.dropout-detected.v1",
        "data": row,
    }
    answer = referral.ask("POST", "/v1/siei/dropouts", json.dumps(event).encode(), "application/cloudevents+json")
    (result,) = answer["results"]
    return str(result.get("outcome") or result["code"])


def _upload(referral: _Client, path: Path) -> dict[str, Any]:
    counts: dict[str, Any] = referral.ask("POST", "/v1/siei/imports", path.read_bytes(), "text/csv")
    assert counts["state"] == "done", counts
    return counts


def _until_detected(reporting: _Client, youths: int) -> None:
    """Wait until reporting counts that many youths, and see that it counts no more."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        rows = reporting.ask("GET", _FIGURES)["rows"]
        counted = rows[0]["activity"]["detected"] if rows else 0
        if counted >= youths:
            break
        assert time.monotonic() < until, f"reporting counts {counted} of {youths} youths after {_PATIENCE_S:g} s"
        time.sleep(_POLL_S)
    assert counted == youths, f"reporting counts {counted} youths instead of {youths}"


def _verify(counts: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]], alone: Counter[str]) -> None:
    """The counts are the simulator's; rows that were sent alone before have no effect when they come in the list."""
    before = sum(alone[outcome] for outcome in _OUTCOMES)
    for told, figures in zip(counts, expected, strict=True):
        wanted = {name: figures[name] for name in ("rows", *_OUTCOMES, "rejected", "warnings")}
        if before:
            wanted |= {outcome: wanted[outcome] - alone[outcome] for outcome in _OUTCOMES}
            wanted["repeated"] += before
            before = 0
        found = {name: told[name] for name in wanted}
        assert found == wanted, f"a list gave {found} instead of {wanted}"
