"""Bodies and events of the catalogue's tests: one valid example each, changed by keyword."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from services.catalogue.app import app
from services.catalogue.settings import CatalogueSettings
from shared.bus import ensure_topics
from shared.clock import Clock, random_id, utc_now
from shared.envelope import Envelope
from shared.events import (
    ContractEnded,
    ContractSigned,
    Event,
    InterviewDone,
    PlacementAccepted,
    PlacementDeclined,
)
from shared.journal import waiting
from shared.mongo import Mongo
from shared.unit_of_work import UnitOfWork
from tests.backends import Kafka
from tests.support.probe import consume, eventually, produce, running

Body = dict[str, Any]


class MovableClock:
    """The real time, and what the test has moved it forward by."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, **delta: float) -> None:
        self.ahead += timedelta(**delta)


def network(**changes: Any) -> Body:
    return {"name": "Réseau de Valenciennes", "academie": "09", "platform_ids": ["PSAD-59-03"], **changes}


def platform(**changes: Any) -> Body:
    return {
        "name": "Plateforme de Valenciennes",
        "departement": "59",
        "academie": "09",
        "communes": ["59606"],
        "default_network_id": "FOQ-59-03",
        **changes,
    }


def session(session_id: str = "autumn", places: int = 5, **changes: Any) -> Body:
    return {"session_id": session_id, "starts_on": "2013-09-03", "ends_on": "2014-07-04", "places": places, **changes}


def solution(network_id: str, *sessions: Body, **changes: Any) -> Body:
    return {
        "title": "Retour en CAP cuisine",
        "kind": "school",
        "track": "professional",
        "network_id": network_id,
        "commune": "59606",
        "sector": "34",
        "lon": 3.52,
        "lat": 50.36,
        "sessions": list(sessions) or [session()],
        **changes,
    }


def envelope(event: Event, event_id: str | None = None, at: datetime | None = None) -> Envelope:
    """The event as its service would publish it."""
    return Envelope(
        id=event_id or random_id(),
        type=event.TYPE,
        source=f"/foquale/{event.TYPE.split('.')[2]}",
        subject=event.subject(),
        time=at or datetime.now(UTC),
        data=event.model_dump_json().encode(),
    )


def interview(youth_id: str, on: date = date(2013, 4, 2), **changes: Any) -> InterviewDone:
    return InterviewDone(youth_id=youth_id, on=on, **changes)


def accepted(placement: Body) -> PlacementAccepted:
    return PlacementAccepted(**_about(placement))


def declined(placement: Body) -> PlacementDeclined:
    return PlacementDeclined(**_about(placement), reason="too_far")


def signed(placement: Body, contract_id: str, ends_on: date = date(2014, 7, 4)) -> ContractSigned:
    return ContractSigned(
        **_about(placement),
        contract_id=contract_id,
        kind="school",
        track="professional",
        tutor_role="cpe",
        starts_on=date(2013, 9, 3),
        ends_on=ends_on,
    )


def ended(placement: Body, contract_id: str, on: date = date(2013, 12, 2)) -> ContractEnded:
    return ContractEnded(youth_id=placement["youth_id"], on=on, contract_id=contract_id, reason="dropped_out")


def _about(placement: Body) -> Body:
    return {
        "youth_id": placement["youth_id"],
        "on": date(2013, 5, 2),
        "placement_id": placement["placement_id"],
        "solution_id": placement["solution_id"],
    }


class Catalogue:
    """A running catalogue, spoken to over HTTP, and the bus around it.

    Tests share one, so each takes a view of it with names of its own: `net`, `sol`, and youths by `id`.
    """

    def __init__(self, settings: CatalogueSettings, app: FastAPI, http: httpx.AsyncClient, unique: str = "") -> None:
        self.settings = settings
        self.app = app
        self.http = http
        self.unit_of_work: UnitOfWork = app.state.unit_of_work
        self.mongo = self.unit_of_work.mongo
        self.unique = unique
        self.net = self.id("net")
        self.sol = self.id("sol")

    def named(self, unique: str) -> "Catalogue":
        """The same catalogue, seen by another test."""
        return Catalogue(self.settings, self.app, self.http, unique)

    def id(self, name: object) -> str:
        return f"{name}-{self.unique}"

    async def put(self, path: str, body: Body) -> Body:
        answer = await self.http.put(f"/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def get(self, path: str, **query: Any) -> Body:
        answer = await self.http.get(f"/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def put_network(self, **changes: Any) -> Body:
        return await self.put(f"networks/{self.net}", network(**changes))

    async def put_solution(self, *sessions: Body, **changes: Any) -> Body:
        return await self.put(f"solutions/{self.sol}", solution(self.net, *sessions, **changes))

    async def with_offer(self, *sessions: Body, **changes: Any) -> None:
        """A network with a solution."""
        await self.put_network()
        await self.put_solution(*sessions, **changes)

    async def with_interviewed(self, *names: object) -> None:
        """Youths who had an interview, of whom the catalogue has heard."""
        await self.hear(*[interview(self.id(name)) for name in names])

    async def try_offer(self, name: object, session_id: str = "autumn", **changes: Any) -> httpx.Response:
        body = {"youth_id": self.id(name), "solution_id": self.sol, "session_id": session_id, **changes}
        return await self.http.post("/v1/placements", json=body)

    async def offer(self, name: object, session_id: str = "autumn", **changes: Any) -> Body:
        answer = await self.try_offer(name, session_id, **changes)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def seats(self, session_id: str = "autumn") -> tuple[int, int, int]:
        """(held, occupied, free)."""
        sessions = (await self.get(f"solutions/{self.sol}"))["sessions"]
        found = next(s for s in sessions if s["session_id"] == session_id)
        return found["held"], found["occupied"], found["free"]

    async def placement(self, placement: Body) -> Body:
        """How it is now."""
        return await self.get(f"placements/{placement['placement_id']}")

    async def state(self, placement: Body) -> str:
        return str((await self.placement(placement))["state"])

    async def hear(self, *events: Event | Envelope) -> None:
        """Put events on the bus and wait until the catalogue has applied them or set them aside."""
        envelopes = [event if isinstance(event, Envelope) else envelope(event) for event in events]
        for topic in ("referral.events", "tracking.events"):
            here = [e for e in envelopes if e.type.split(".")[2] == topic.partition(".")[0]]
            if here:
                await produce(self.settings.kafka_bootstrap, self.settings.topic(topic), *here)
        keys = {f"{e.source}|{e.id}" for e in envelopes}

        async def all_seen() -> bool:
            seen = await self.mongo["inbox"].count_documents({"_id": {"$in": sorted(keys)}})
            return int(seen) + len({e.id for e in envelopes} & set(await self.dead_letters())) >= len(keys)

        await eventually(all_seen, what="the catalogue's hearing of the events")

    async def dead_letters(self) -> dict[str, str]:
        """Event id -> code."""
        rows = await self.mongo["dead_letters"].find().to_list(None)
        return {bytes(dict(row["headers"])["ce_id"]).decode(): row["code"] for row in rows}

    async def published(self, kind: str | None = None) -> list[Body]:
        """The data of this test's events, in the order they were written to be published; of one type where given."""
        rows = await self.mongo["outbox"].find({"subject": {"$regex": self.unique}}).sort("_id", 1).to_list(None)
        return [json.loads(bytes(row["data"])) for row in rows if kind is None or f".{kind}.v" in row["type"]]

    async def on_the_bus(self, count: int) -> list[Envelope]:
        """This test's events as they lie in the log, once there are `count`."""
        bootstrap, topic = self.settings.kafka_bootstrap, self.settings.topic("catalogue.events")

        async def all_published() -> bool:
            return not await waiting(self.mongo)

        await eventually(all_published, what="the outbox's publishing")
        total = int(await self.mongo["outbox"].count_documents({}))
        mine = [e for e in await consume(bootstrap, topic, count=total) if self.unique in e.subject]
        assert len(mine) == count, [(e.type, e.subject) for e in mine]
        return mine


def settings_for(mongo_url: str, kafka: Kafka, **changes: Any) -> CatalogueSettings:
    """Settings with a database and topics that no one else has."""
    unique = f"t{uuid.uuid4().hex[:12]}"
    return CatalogueSettings(
        mongo_url=mongo_url,
        mongo_prefix=f"test_{unique}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_session_ms=1_500,
        kafka_partitions=3,
        topic_prefix=f"{unique}.",
        **{"seed": False, "expiry_poll_s": 0.1, **changes},
    )


@asynccontextmanager
async def backends_of(settings: CatalogueSettings) -> AsyncIterator[Mongo]:
    """The topics and the database of a catalogue; the database is dropped at the end."""
    names = ("referral.events", "tracking.events", "catalogue.events")
    await ensure_topics(settings, [settings.topic(name) for name in names])
    mongo = Mongo(settings.mongo_url, settings.database)
    try:
        yield mongo
    finally:
        await mongo.drop()
        await mongo.close()


@asynccontextmanager
async def running_catalogue(settings: CatalogueSettings, clock: Clock = utc_now) -> AsyncIterator[Catalogue]:
    """The catalogue within the test's process."""
    application = app(settings, clock=clock)
    async with running(application) as client:
        yield Catalogue(settings, application, client)


@asynccontextmanager
async def served_catalogue(settings: CatalogueSettings) -> AsyncIterator[Catalogue]:
    """The catalogue behind a real HTTP server on a port of its own; several may share settings, as replicas."""
    application = app(settings)
    server = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none")
    )
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started or serving.done()

    await eventually(started, within_s=60, what="the server's start")
    port = server.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits) as client:
        yield Catalogue(settings, application, client)
    server.should_exit = True
    await serving


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and stable code of a refusal, which must be problem details."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def faults(answer: httpx.Response) -> set[tuple[str, str]]:
    """Field and code of each fault of a 422."""
    assert code(answer) == (422, "invalid_request"), answer.text
    return {(error["field"], error["code"]) for error in answer.json()["errors"]}
