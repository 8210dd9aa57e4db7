"""How fast offers are made: fifty clients over a hundred solutions, half of them with fewer places than are wanted.

Each offer is an HTTP request, durable and never one too many; the same is asked of a version with a lock per solution
(`locked_offers`). Afterwards every solution has given exactly its places, or all that were wanted, and each offer made
has its event in the log, once.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import MongoClient

from deploy.local import Process, free_port
from deploy.local.processes import HOST
from shared.bus import Bus, Outgoing
from shared.clock import event_id, utc_now
from shared.envelope import Envelope
from shared.events import InterviewDone, PlacementOffered
from shared.settings import ServiceSettings
from tests.bench.machine import PARTITIONS, ROOT, Machine, median

_CLIENTS: Final = 50
_SOLUTIONS: Final = 100
_WARM_UP: Final = 50
_ROUNDS: Final = 3
_LEAST: Final = 300
_MOST: Final = 1_500
_PER_S: Final = 12  # offers wanted in each round, of each second of budget
_PATIENCE_S: Final = 60.0
_MADE: Final = 201
_REFUSED: Final = 409


def measure(machine: Machine, budget: float) -> dict[str, float]:
    """`offers_per_s` and `offers_locked_per_s`, offers made per second, and `offers_vs_lock`, their ratio.

    Raises:
        AssertionError: a solution gave more or fewer places than it has, or the events are not those of the offers.
    """
    number = int(min(_MOST, max(_LEAST, budget * _PER_S)))
    grouped, locked = [], []
    for each in range(_ROUNDS):
        ours, simple = machine.fresh(f"offers{each}"), machine.fresh(f"offerslocked{each}")
        running = ours.start("catalogue", seed="false")
        try:
            grouped.append(offers_per_s(ours, running.url, number))
        finally:
            running.stop()
        with _locked(simple) as url:
            locked.append(offers_per_s(simple, url, number // 2))
    return {
        "offers_per_s": median(grouped),
        "offers_locked_per_s": median(locked),
        "offers_vs_lock": median(mine / other for mine, other in zip(grouped, locked, strict=True)),
    }


@dataclass(frozen=True, slots=True)
class _Wish:
    youth_id: str
    solution: int


@contextmanager
def _locked(machine: Machine) -> Iterator[str]:
    """The version with locks, as a process; its URL."""
    machine.topics_ready()
    port = free_port()
    environment = {
        "FOQUALE_HOST": HOST,
        "FOQUALE_CATALOGUE_PORT": str(port),
        "FOQUALE_LOG_LEVEL": "WARNING",
        "FOQUALE_MONGO_URL": machine.mongo_url,
        "FOQUALE_KAFKA_BOOTSTRAP": machine.kafka_bootstrap,
        "FOQUALE_MONGO_PREFIX": f"{machine.prefix}_",
        "FOQUALE_TOPIC_PREFIX": f"{machine.prefix}.",
    }
    command = [sys.executable, "-m", "tests.bench.locked_offers"]
    log = machine.directory / "logs" / "locked_offers.log"
    with Process("offers with locks", command, log=log, directory=ROOT, environment=environment) as process:
        url = f"http://{HOST}:{port}"
        process.wait_until(lambda: _is_ready(url), deadline=_PATIENCE_S)
        yield url


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def offers_per_s(
    machine: Machine, url: str, number: int, meanwhile: AbstractContextManager[None] | None = None
) -> float:
    """Offers made per second where `number` are wanted by as many youths; `meanwhile` is entered while they are."""
    chosen = random.Random(number)
    wishes = [_Wish(f"youth-{n}", chosen.randrange(_SOLUTIONS)) for n in range(number)]
    warm_up = [_Wish(f"early-{n}", _SOLUTIONS) for n in range(_WARM_UP)]
    asked = Counter(wish.solution for wish in wishes)
    wanted = {n: asked[n] for n in range(_SOLUTIONS)}
    places = {n: number + 5 if n % 2 == 0 else max(1, number // 2) for n, number in wanted.items()}
    places[_SOLUTIONS] = _WARM_UP
    _prepare(url, places)
    asyncio.run(_interview(machine, [wish.youth_id for wish in (*warm_up, *wishes)]))
    _until_heard(machine, _WARM_UP + number)
    assert asyncio.run(_ask(url, warm_up)) == {_MADE: _WARM_UP}
    with meanwhile or nullcontext():
        began = time.perf_counter()
        answers = asyncio.run(_ask(url, wishes))
        took = time.perf_counter() - began
    made = sum(min(places[n], wanted[n]) for n in range(_SOLUTIONS))
    assert answers == {_MADE: made, _REFUSED: number - made}, f"{answers} instead of {made} offers of {number}"
    _verify_places(url, places, wanted | {_SOLUTIONS: _WARM_UP})
    events = asyncio.run(_events(machine, made + _WARM_UP))
    assert len(events) == len(set(events)) == made + _WARM_UP, f"{len(events)} events of {made + _WARM_UP} offers"
    return made / took


def _prepare(url: str, places: dict[int, int]) -> None:
    with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False) as http:
        network = {"name": "Bench", "academie": "09", "platform_ids": []}
        http.put("/v1/networks/FOQ-BENCH", json=network).raise_for_status()
        for n, number in places.items():
            solution = {
                "title": f"Solution {n}",
                "kind": "trainee",
                "network_id": "FOQ-BENCH",
                "commune": "59350",
                "sessions": [{"session_id": "S", "starts_on": "2013-09-02", "places": number}],
            }
            http.put(f"/v1/solutions/solution-{n}", json=solution).raise_for_status()


async def _interview(machine: Machine, youths: Sequence[str]) -> None:
    """Let the bus tell that these youths had an interview."""
    settings = ServiceSettings(
        service="referral", port=1, kafka_bootstrap=machine.kafka_bootstrap, topic_prefix=f"{machine.prefix}."
    )
    bus = Bus(settings)
    await bus.start()
    try:
        data = [InterviewDone(youth_id=youth, on=date(2013, 4, 2)) for youth in youths]
        envelopes = [
            Envelope(event_id(), each.TYPE, "/bench", each.youth_id, utc_now(), each.model_dump_json().encode())
            for each in data
        ]
        assert all(await bus.publish([Outgoing(settings.topic(InterviewDone.TOPIC), each) for each in envelopes]))
    finally:
        await bus.stop()


def _until_heard(machine: Machine, youths: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    with MongoClient[dict[str, Any]](machine.mongo_url) as client:
        known = client[f"{machine.prefix}_catalogue"]["youths"]
        while (heard := known.count_documents({})) < youths:
            assert time.monotonic() < until, f"the catalogue has heard of {heard} interviews of {youths}"
            time.sleep(0.05)


async def _ask(url: str, wishes: Sequence[_Wish]) -> dict[int, int]:
    """Ask for all the offers, by fifty clients at once, each on a connection of its own: answers by status."""
    left = iter(wishes)
    answers: Counter[int] = Counter()

    async def client() -> None:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for wish in left:
            order = {"youth_id": wish.youth_id, "solution_id": f"solution-{wish.solution}", "session_id": "S"}
            body = json.dumps(order).encode()
            head = f"POST /v1/placements HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            (length,) = (int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            answers[int(lines[0].split()[1])] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return dict(answers)


def _verify_places(url: str, places: dict[int, int], wanted: dict[int, int]) -> None:
    with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False) as http:
        for n, number in places.items():
            (session,) = http.get(f"/v1/solutions/solution-{n}").raise_for_status().json()["sessions"]
            held = min(number, wanted[n])
            assert session["held"] == held, f"solution {n} holds {session['held']} of {number} places, not {held}"


async def _events(machine: Machine, expected: int) -> list[str]:
    """The placements of which the log tells that they were offered; waits until there are that many."""
    partitions = [TopicPartition(f"{machine.prefix}.{PlacementOffered.TOPIC}", n) for n in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=machine.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    offered: list[str] = []
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        until = time.monotonic() + _PATIENCE_S
        quiet = 0
        while quiet < 3 and time.monotonic() < until:
            batches = await consumer.getmany(timeout_ms=200)
            records = [record for batch in batches.values() for record in batch]
            types = (dict(record.headers)["ce_type"].decode() for record in records)
            offered += [
                json.loads(record.value)["placement_id"]
                for record, type_ in zip(records, types, strict=True)
                if type_ == PlacementOffered.TYPE
            ]
            # One too many comes late as well.
            quiet = quiet + 1 if not records and len(offered) >= expected else 0
    finally:
        await consumer.stop()
    return offered
