"""A million youths: how much memory reporting holds once it has applied them, and how it answers fifty readers then."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from deploy.local import Process, free_port
from deploy.local.processes import HOST, answers
from services.reporting.generations import FIRST, GROWTHS
from tests.bench import load, oracle
from tests.bench.events import owners
from tests.bench.load import Load
from tests.bench.machine import ROOT, Machine, Running, median
from tests.bench.oracle import Wrong
from tests.bench.projection import caught_up

_YOUTHS: Final = 1_000_000
_READERS: Final = 50
_AT_EASE: Final = {"EACH_S": "0.05"}
_MOVING_PER_S: Final = 500
_ROUNDS: Final = 3
_SETTLING_S: Final = 30.0
_QUIET: Final = 0.25
_MEASUREMENTS: Final = 2 * _ROUNDS + 9
_SECONDS_AROUND: Final = 2.0
"""What each takes beside the seconds in which it measures: readers start, and warm up."""
_ASKING_S: Final = _MEASUREMENTS * (1.0 + _SECONDS_AROUND)


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """Memory, and then queries of the same process while nothing comes in, and while something does."""
    youths = int(_YOUTHS * min(1.0, budget / 200))
    began = time.monotonic()
    data = load.put(machine, "million", youths, long=False, processes=2, linger_ms=100, within_s=budget * 0.5)
    end = began + budget
    with caught_up(data, within_s=max(end - _ASKING_S - time.monotonic(), 30.0)) as (running, rate):
        rss_mb = running.peak_rss_mb()
        oracle.assert_answers(running.url, data.truth(), periods=oracle.PERIODS[1:3])
        _wait_until_settled(data, until=min(time.monotonic() + _SETTLING_S, end - _ASKING_S))
        seconds = (end - time.monotonic()) / _MEASUREMENTS - _SECONDS_AROUND
        queries = _queries(machine, running, data, seconds=max(1.0, min(4.0, seconds)))
        return {
            "projection_rss_mb": rss_mb,
            "projection_million_events_per_s": rate,
            "million_facts": float(youths),
            "million_events": float(data.records),
            "projection_rss_after_queries_mb": running.peak_rss_mb(),
            **queries,
        }


def _wait_until_settled(data: Load, until: float) -> None:
    """Until the facts that grew are in their documents and the store has written them, or no time is left."""
    with MongoClient[dict[str, Any]](data.world.mongo_url) as client:
        growths = client[f"{data.world.prefix}_reporting"][FIRST.collection(GROWTHS)]
        while (growths.find_one({}, {"_id": 1}) is not None or _busy() > _QUIET) and time.monotonic() < until:
            pass


def _busy() -> float:
    """The share of the machine's processors that was used over a second."""
    used, all_ = _jiffies()
    time.sleep(1.0)
    used_then, all_then = _jiffies()
    return (used_then - used) / max(1, all_then - all_)


def _jiffies() -> tuple[int, int]:
    """Used and all processor time of this machine so far: proc(5), the first line of /proc/stat."""
    times = [int(time_) for time_ in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _queries(machine: Machine, running: Running, data: Load, seconds: float) -> dict[str, float]:
    asked, empty = [], []
    for page in pages():  # as somebody has seen each of them before
        httpx.get(f"{running.url}{page}", timeout=30, trust_env=False).raise_for_status()
    pages_asked = read(machine, running.url, pages(), seconds)
    with _empty(machine) as url:
        for _ in range(_ROUNDS):
            asked.append(read(machine, running.url, paths(), seconds))
            empty.append(read(machine, url, ["/"], seconds))
        asked_at_ease = read(machine, running.url, paths(), seconds, **_AT_EASE)
        empty_at_ease = read(machine, url, ["/"], seconds, **_AT_EASE)
        pages_at_ease = read(machine, running.url, pages(), seconds, **_AT_EASE)
        known = read(machine, running.url, paths(), seconds, ETAGS="1")
    if known["statuses"].get("304", 0) < 0.9 * sum(known["statuses"].values()):
        raise Wrong(f"readers who know the answer were not told so: {known['statuses']}")
    server = {
        "query_server_p99_ms": _on_the_server(machine, running, paths(), seconds),
        "page_server_p99_ms": _on_the_server(machine, running, pages(), seconds),
    }
    rps = median(each["rps"] for each in asked)
    empty_rps = median(each["rps"] for each in empty)
    with _moving(data):
        moving = read(machine, running.url, paths(), seconds)
        pages_moving = read(machine, running.url, pages(), seconds)
    return {
        "query_p50_ms": median(each["p50_ms"] for each in asked),
        "query_p99_ms": median(each["p99_ms"] for each in asked),
        "query_rps": rps,
        **server,
        "empty_rps": empty_rps,
        "query_vs_empty": rps / empty_rps,
        "query_304_rps": known["rps"],
        "query_at_ease_p50_ms": asked_at_ease["p50_ms"],
        "query_at_ease_p99_ms": asked_at_ease["p99_ms"],
        "query_at_ease_rps": asked_at_ease["rps"],
        "empty_at_ease_p99_ms": empty_at_ease["p99_ms"],
        "query_moving_p99_ms": moving["p99_ms"],
        "query_moving_rps": moving["rps"],
        "page_p50_ms": pages_asked["p50_ms"],
        "page_p99_ms": pages_asked["p99_ms"],
        "page_rps": pages_asked["rps"],
        "page_at_ease_p99_ms": pages_at_ease["p99_ms"],
        "page_moving_p99_ms": pages_moving["p99_ms"],
    }


def paths() -> list[str]:
    """Twenty questions, as people and boards ask them."""
    year = "from=2013-01-01&to=2013-12-31"
    academies = sorted({owner.academie for owner in owners()})[:4]
    departements = ("59", "75", "2A", "974")
    wanted = [
        f"by=academie&{year}",
        f"by=academie&view=cohort&{year}",
        f"by=academie&view=activity&{year}",
        "by=academie",
        f"by=national&{year}",
        "by=national",
        "by=national&view=activity&from=2013-05-01&to=2013-05-31",
        "by=national&view=cohort&from=2013-03-11&to=2013-06-20",
        "by=academie&from=2013-03-11&to=2013-06-20",
        f"by=departement&view=activity&{year}",
        f"by=departement&view=cohort&{year}",
        "by=departement&view=activity&from=2013-09-01&to=2013-09-30",
        *(f"by=academie&code={code}&{year}" for code in academies),
        *(f"by=departement&code={code}&{year}" for code in departements),
    ]
    return [f"/v1/indicators?{each}" for each in wanted]


def pages() -> list[str]:
    """Pages as people leaf through them: France, académies of theirs, in both languages, and the definitions."""
    academies = sorted({owner.academie for owner in owners()})[:8]
    return [
        "/?year=2013",
        "/?year=2013&lang=en",
        "/?year=2013&period=3",
        "/definitions",
        *(f"/academies/{code}?year=2013" for code in academies),
        *(f"/academies/{code}?year=2013&lang=en" for code in academies[:4]),
    ]


def read(machine: Machine, url: str, asked: list[str], seconds: float, **env: str) -> dict[str, Any]:
    """What fifty readers were answered who asked these, in turn, for so many seconds: `rps`, `p50_ms`, `p99_ms`."""
    host, _, port = url.removeprefix("http://").partition(":")
    arguments = ["-m", "tests.bench.readers", host, port, str(_READERS), str(seconds), json.dumps(asked)]
    result = machine.directory / "readers.json"
    machine.run("readers", [sys.executable, *arguments, str(result)], within_s=seconds + 20, **env)
    told: dict[str, Any] = json.loads(result.read_text())
    if not set(told["statuses"]) <= {"200", "304"}:
        raise Wrong(f"readers were answered {told['statuses']}")
    return told


def _on_the_server(machine: Machine, running: Running, asked: list[str], seconds: float) -> float:
    """The 99th percentile of what the service itself says its answers take, ms, under readers who never rest."""
    before = _answers_within(running)
    read(machine, running.url, asked, seconds)
    after = _answers_within(running)
    return quantile({most: count - before[most] for most, count in after.items()}, 0.99) * 1e3


def _answers_within(running: Running) -> dict[float, float]:
    """How many requests were answered within so many seconds, as the service counts them."""
    text = httpx.get(f"{running.url}/metrics", timeout=30, trust_env=False).raise_for_status().text
    within: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "foquale_answer_seconds_bucket":
                bound = float(sample.labels["le"])
                within[bound] = within.get(bound, 0.0) + sample.value
    return within


def quantile(within: Mapping[float, float], part: float) -> float:
    """Below which number of seconds this part of all lies, evenly spread within a bucket; `within` counts up."""
    bounds = sorted(within)
    wanted = within[bounds[-1]] * part
    lower, fewer = 0.0, 0.0
    for bound in bounds:
        if within[bound] >= wanted:
            share = (wanted - fewer) / (within[bound] - fewer) if within[bound] > fewer else 0.0
            return lower + (bound - lower) * share if bound < math.inf else lower
        lower, fewer = bound, within[bound]
    raise ValueError("nothing was answered")


@contextmanager
def _empty(machine: Machine) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.empty", str(port)]
    process = Process("empty", command, log=machine.directory / "logs" / "empty.log", directory=ROOT)
    with process:
        process.wait_until(lambda: answers(port), deadline=30)
        yield f"http://{HOST}:{port}"


@contextmanager
def _moving(data: Load) -> Iterator[None]:
    """Events come in meanwhile, one by one."""
    machine = data.world
    arguments = [machine.kafka_bootstrap, f"{machine.prefix}.referral.events", str(_MOVING_PER_S), "60"]
    command = [sys.executable, "-m", "tests.bench.trickle", *arguments]
    process = Process("trickle", command, log=machine.directory / "logs" / "trickle.log", directory=ROOT)
    with process:
        time.sleep(2.0)
        yield
        if not process.running:
            raise Wrong(f"no events came in. {process.log_tail()}")
