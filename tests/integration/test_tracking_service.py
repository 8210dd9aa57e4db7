"""The tracking service on a real store and broker: from the offer to the end of the contract, whatever the bus does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.tracking.app import app
from services.tracking.settings import TrackingSettings
from shared.bus import ensure_topics
from shared.envelope import Envelope
from shared.events import ContractSigned
from tests.backends import Kafka
from tests.support.probe import consume, eventually, produce, running
from tests.support.tracking import MINOR, ON, contract_body, detected, dismissed, envelope, expired, offered

Publish = Callable[..., Awaitable[None]]


@pytest.fixture
async def settings(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str) -> TrackingSettings:
    settings = TrackingSettings(
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_partitions=3,
        topic_prefix=topic_prefix,
        kafka_session_ms=1_500,  # the embedded broker takes half of it to form a group
        relay_lease_s=2,
    )
    topics = ("referral.events", "catalogue.events", "tracking.events")
    await ensure_topics(settings, [settings.topic(topic) for topic in topics])
    return settings


@pytest.fixture
def publish(settings: TrackingSettings) -> Publish:
    """Put events on the topics of the services that they come from."""

    async def publish(*events: Envelope) -> None:
        for event in events:
            service = event.type.split(".")[2]
            await produce(settings.kafka_bootstrap, settings.topic(f"{service}.events"), event)

    return publish


@pytest.fixture
async def client(settings: TrackingSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app(settings)) as client:
        yield client


async def placement(client: httpx.AsyncClient, placement_id: str, state: str = "offered") -> dict[str, Any]:
    """The placement, once it is in this state."""

    async def look() -> dict[str, Any] | None:
        answer = await client.get(f"/v1/placements/{placement_id}")
        found: dict[str, Any] = answer.json()
        return found if found.get("state") == state else None

    found = await eventually(look, what=f"{placement_id} {state}")
    assert found is not None
    return found


async def sign(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    """The answer to a contract, once the youth's detection is known."""

    async def look() -> httpx.Response | None:
        answer = await client.post("/v1/contracts", json=body)
        return None if answer.status_code == 404 and answer.json()["code"] == "not_known_yet" else answer

    answer = await eventually(look, what="the contract's answer")
    assert answer is not None
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return found


async def published(settings: TrackingSettings, count: int, within_s: float = 15) -> list[tuple[str, dict[str, Any]]]:
    events = await consume(settings.kafka_bootstrap, settings.topic("tracking.events"), count=count, within_s=within_s)
    assert all(event.subject == json.loads(event.data)["youth_id"] for event in events)
    return [(event.type.split(".")[3], json.loads(event.data)) for event in events]


async def test_from_the_offer_to_the_end_of_the_contract(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(detected("y")), envelope(offered("y", "p")))
    shown = await placement(client, "p")
    assert (shown["youth_id"], shown["kind"], shown["network_id"]) == ("y", "school", "network")

    problem(await client.post("/v1/contracts", json=contract_body("p")), 409, "placement_not_accepted")
    answer = await client.post("/v1/placements/p/acceptance", json={"on": "2013-03-21"})
    assert answer.status_code == 201
    assert answer.json()["state"] == "accepted"
    problem(await client.post("/v1/placements/p/acceptance", json=ON), 409, "already_answered")

    answer = await sign(client, contract_body("p"))
    assert answer.status_code == 201
    contract = answer.json()
    path = f"/v1/contracts/{contract['contract_id']}"
    assert (await client.get(path)).json() == contract
    assert (contract["state"], contract["next_review_on"]) == ("signed", "2013-06-01")
    assert (await placement(client, "p", "contracted"))["contract_id"] == contract["contract_id"]
    problem(await client.post("/v1/placements/p/refusal", json={**ON, "reason": "too_far"}), 409, "contract_signed")
    problem(await client.post("/v1/contracts", json=contract_body("p")), 409, "contract_exists")

    problem(await client.post(f"{path}/reviews", json={**ON, "outcome": "on_track"}), 409, "not_started")
    running_now = (await client.post(f"{path}/start", json={"on": "2013-04-03"})).json()
    assert (running_now["state"], running_now["next_review_on"]) == ("running", "2013-06-02")
    problem(await client.post(f"{path}/start", json=ON), 409, "already_started")

    answer = await client.post(f"{path}/reviews", json={"on": "2013-05-06", "outcome": "at_risk"})
    assert answer.json()["next_review_on"] == "2013-07-05"
    upside_down = {"on": "2013-05-06", "outcome": "at_risk", "next_on": "2013-05-06"}
    refused = problem(await client.post(f"{path}/reviews", json=upside_down), 422, "next_review_not_after")
    assert [error["field"] for error in refused["errors"]] == ["next_on"]

    early = {"on": "2013-03-24", "reason": "completed"}
    problem(await client.post(f"{path}/end", json=early), 422, "end_before_signature")
    ended = (await client.post(f"{path}/end", json={"on": "2013-07-05", "reason": "completed"})).json()
    assert (ended["state"], ended["next_review_on"], ended["end_reason"]) == ("ended", None, "completed")
    problem(await client.post(f"{path}/end", json={**ON, "reason": "lost"}), 409, "contract_ended")
    assert (await client.get(path)).json() == ended

    common = {"youth_id": "y", "contract_id": contract["contract_id"]}
    placed = {"youth_id": "y", "placement_id": "p", "solution_id": "solution"}
    assert await published(settings, 5) == [
        ("placement-accepted", {**placed, "on": "2013-03-21"}),
        (
            "contract-signed",
            {
                **common,
                **placed,
                "on": "2013-03-25",
                "kind": "school",
                "track": "professional",
                "tutor_role": "cpe",
                "starts_on": "2013-04-02",
                "ends_on": "2013-07-05",
            },
        ),
        ("training-started", {**common, "on": "2013-04-03", "kind": "school"}),
        ("review-done", {**common, "on": "2013-05-06", "outcome": "at_risk", "next_on": "2013-07-05"}),
        ("contract-ended", {**common, "on": "2013-07-05", "reason": "completed"}),
    ]


async def test_a_refused_place_comes_back_and_the_reason_crosses_as_a_code(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(offered("y", "p")))
    await placement(client, "p")
    wordy = await client.post("/v1/placements/p/refusal", json={**ON, "reason": "His mother is ill"})
    assert problem(wordy, 422, "invalid_request")["errors"][0]["field"] == "reason"
    await client.post("/v1/placements/p/acceptance", json={"on": "2013-03-21"})
    answer = await client.post("/v1/placements/p/refusal", json={"on": "2013-03-22", "reason": "too_far"})
    assert (answer.status_code, answer.json()["state"]) == (201, "declined")
    problem(await client.post("/v1/placements/p/acceptance", json=ON), 409, "placement_declined")
    problem(await client.post("/v1/contracts", json=contract_body("p")), 409, "placement_declined")
    assert (await published(settings, 2))[1] == (
        "placement-declined",
        {"youth_id": "y", "on": "2013-03-22", "placement_id": "p", "solution_id": "solution", "reason": "too_far"},
    )


async def test_a_contracts_broken_rules_are_named_together_and_nothing_is_signed(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(detected("y", MINOR)), envelope(offered("y", "p", kind="civic_service", track=None)))
    await placement(client, "p")
    await client.post("/v1/placements/p/acceptance", json=ON)
    broken = contract_body("p", signatures={"tutor": "2013-04-03"}, hours_per_week=20, formula="combined")
    found = problem(await sign(client, broken), 422, "signature_after_start")
    assert {error["field"]: error["code"] for error in found["errors"]} == {
        "signatures.tutor": "signature_after_start",
        "signatures.youth": "youth_signature_needed",
        "signatures.guardian": "guardian_signature_needed",
        "ends_on": "civic_service_duration",
        "hours_per_week": "civic_service_hours",
    }
    assert all(error["message"] for error in found["errors"])
    sound = contract_body(
        "p",
        ends_on="2013-12-20",
        hours_per_week=21,
        formula="combined",
        signatures={"tutor": "2013-03-25", "youth": "2013-03-25", "guardian": "2013-03-27"},
    )
    assert (await client.post("/v1/contracts", json=sound)).status_code == 201
    assert [what for what, _ in await published(settings, 2)] == ["placement-accepted", "contract-signed"]


async def test_what_the_bus_has_not_told_yet_is_to_be_tried_again(client: httpx.AsyncClient, publish: Publish) -> None:
    for answer in (
        await client.post("/v1/placements/p/acceptance", json=ON),
        await client.post("/v1/placements/p/refusal", json={**ON, "reason": "family"}),
        await client.post("/v1/contracts", json=contract_body("p")),
        await client.get("/v1/placements/p"),
    ):
        problem(answer, 404, "not_known_yet")
        assert answer.headers["retry-after"] == "1"
    await publish(envelope(offered("y", "p")))
    await placement(client, "p")
    await client.post("/v1/placements/p/acceptance", json=ON)
    found = problem(await client.post("/v1/contracts", json=contract_body("p")), 404, "not_known_yet")
    assert "detection" in found["detail"]
    await publish(envelope(detected("y")))
    assert (await sign(client, contract_body("p"))).status_code == 201


async def test_a_place_no_longer_held_cannot_be_taken(client: httpx.AsyncClient, publish: Publish) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await publish(
        envelope(offered("y", "overdue", held_until=past)),
        envelope(offered("y", "gone")),
        envelope(expired("y", "gone")),
        envelope(expired("y", "early")),
        envelope(offered("y", "early")),
    )
    await placement(client, "overdue")
    problem(await client.post("/v1/placements/overdue/acceptance", json=ON), 409, "placement_expired")
    for placement_id in ("gone", "early"):
        await placement(client, placement_id, "expired")
        problem(await client.post(f"/v1/placements/{placement_id}/acceptance", json=ON), 409, "placement_expired")
        refusal = {**ON, "reason": "unreachable"}
        problem(await client.post(f"/v1/placements/{placement_id}/refusal", json=refusal), 409, "placement_expired")
        problem(await client.post("/v1/contracts", json=contract_body(placement_id)), 409, "placement_expired")


async def test_an_expiry_heard_of_alone_shows_no_half_known_placement(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    await publish(envelope(expired("y", "early")), envelope(offered("y", "after")))
    await placement(client, "after")
    problem(await client.get("/v1/placements/early"), 404, "not_known_yet")
    problem(await client.post("/v1/placements/early/acceptance", json=ON), 404, "not_known_yet")
    assert [item["placement_id"] for item in (await client.get("/v1/placements")).json()["items"]] == ["after"]


async def test_events_seen_twice_change_nothing(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    offer, dismissal = envelope(offered("y", "p")), envelope(dismissed("y"))
    await publish(offer)
    await placement(client, "p")
    await publish(dismissal, dismissal, offer, dismissal, envelope(offered("y", "p")), envelope(dismissed("y")))
    await placement(client, "p", "declined")
    await publish(envelope(offered("z", "last")))
    await placement(client, "last")
    await client.post("/v1/placements/last/acceptance", json=ON)
    events = await published(settings, 3, within_s=3)
    assert sorted(what for what, _ in events) == ["placement-accepted", "placement-declined"]


async def test_a_dismissal_declines_what_is_open_and_leaves_contracts_and_later_offers_alone(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(detected("y")), envelope(offered("y", "signed")))
    await placement(client, "signed")
    await client.post("/v1/placements/signed/acceptance", json={"on": "2013-03-21"})
    contract = (await sign(client, contract_body("signed"))).json()
    await publish(
        envelope(offered("y", "open")),
        envelope(offered("y", "taken")),
        envelope(offered("y", "later", on=date(2013, 3, 23))),
        envelope(offered("someone-else", "other")),
    )
    for placement_id in ("open", "taken", "later", "other"):
        await placement(client, placement_id)
    await client.post("/v1/placements/taken/acceptance", json={"on": "2013-03-21"})

    await publish(envelope(dismissed("y", date(2013, 3, 22))))
    for placement_id in ("open", "taken"):
        shown = await placement(client, placement_id, "declined")
        assert (shown["reason"], shown["answered_on"]) == ("youth_dismissed", "2013-03-22")
    await publish(envelope(offered("y", "overtaken")))
    await placement(client, "overtaken", "declined")
    await placement(client, "signed", "contracted")
    await placement(client, "later")
    await placement(client, "other")
    assert (await client.get(f"/v1/contracts/{contract['contract_id']}")).json()["state"] == "signed"

    declined = [data for what, data in await published(settings, 6) if what == "placement-declined"]
    assert sorted(data["placement_id"] for data in declined) == ["open", "overtaken", "taken"]
    assert {data["reason"] for data in declined} == {"youth_dismissed"}
    assert {data["on"] for data in declined} == {"2013-03-22"}


async def test_an_idempotency_key_gives_the_same_contract_again(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(detected("y")), envelope(offered("y", "p")))
    await placement(client, "p")
    key = {"Idempotency-Key": "accept"}
    accepted = [await client.post("/v1/placements/p/acceptance", json=ON, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in accepted] == [201, 201]
    problem(await client.post("/v1/placements/p/acceptance", json=ON), 409, "already_answered")
    await sign(client, contract_body("p", starts_on="2013-03-20"))  # refused: it only waits for the detection
    key = {"Idempotency-Key": "sign"}
    answers = await asyncio.gather(
        *[client.post("/v1/contracts", json=contract_body("p"), headers=key) for _ in range(5)]
    )
    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["contract_id"] for answer in answers}) == 1
    assert [what for what, _ in await published(settings, 2)] == ["placement-accepted", "contract-signed"]


async def test_two_replicas_racing_for_one_youth_sign_one_contract(
    settings: TrackingSettings, publish: Publish
) -> None:
    places = [f"p{number}" for number in range(8)]
    await publish(envelope(detected("y")), *[envelope(offered("y", place)) for place in places])
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(running(app(settings))) for _ in range(2)]
        for place in places:
            await placement(replicas[0], place)
            await replicas[0].post(f"/v1/placements/{place}/acceptance", json=ON)
        # Refused: it only waits for the detection, which comes by another topic.
        problem(await sign(replicas[0], contract_body("p0", ends_on="2013-04-01")), 422, "ends_before_start")
        answers = await asyncio.gather(
            *[
                replicas[number % 2].post("/v1/contracts", json=contract_body(place))
                for number, place in enumerate(places)
            ]
        )
        [won] = [answer.json() for answer in answers if answer.status_code == 201]
        for answer in answers:
            if answer.status_code != 201:
                assert won["contract_id"] in problem(answer, 409, "contract_running")["detail"]

        listed = (await replicas[1].get("/v1/contracts", params={"youth_id": "y"})).json()["items"]
        assert listed == [won]
        await replicas[1].post(f"/v1/contracts/{won['contract_id']}/end", json={"on": "2013-05-02", "reason": "moved"})
        free = next(place for place in places if place != won["placement_id"])
        assert (await replicas[0].post("/v1/contracts", json=contract_body(free))).status_code == 201
        events = await published(settings, len(places) + 3)
    assert [what for what, _ in events if what != "placement-accepted"] == [
        "contract-signed",
        "contract-ended",
        "contract-signed",
    ]


async def test_an_acceptance_and_a_dismissal_that_race_end_in_one_consistent_state(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    youths = [f"y{number}" for number in range(10)]
    await publish(*[envelope(offered(youth, f"p-{youth}")) for youth in youths])
    for youth in youths:
        await placement(client, f"p-{youth}")
    accepting = [client.post(f"/v1/placements/p-{youth}/acceptance", json=ON) for youth in youths]
    answers, _ = await asyncio.gather(
        asyncio.gather(*accepting), publish(*[envelope(dismissed(youth)) for youth in youths])
    )
    for youth, answer in zip(youths, answers, strict=True):
        assert answer.status_code in (201, 409)
        await placement(client, f"p-{youth}", "declined")
    taken = sum(answer.status_code == 201 for answer in answers)
    events = [what for what, _ in await published(settings, len(youths) + taken)]
    assert events.count("placement-declined") == len(youths)
    assert events.count("placement-accepted") == taken


async def test_lists_page_and_the_overdue_come_oldest_first(client: httpx.AsyncClient, publish: Publish) -> None:
    youths = [f"y{number}" for number in range(6)]
    await publish(
        *[envelope(detected(youth)) for youth in youths],
        *[envelope(offered(youth, f"p-{youth}", network_id=f"n{youth[1]}"[:2])) for youth in youths],
    )
    contracts: dict[str, str] = {}
    for number, youth in enumerate(youths):
        await placement(client, f"p-{youth}")
        await client.post(f"/v1/placements/p-{youth}/acceptance", json=ON)
        contract = (await sign(client, contract_body(f"p-{youth}"))).json()
        contracts[youth] = contract["contract_id"]
        if youth != "y5":
            day = f"2013-04-{20 - number:02}"
            await client.post(f"/v1/contracts/{contract['contract_id']}/start", json={"on": day})
    end = {"on": "2013-05-02", "reason": "lost"}
    await client.post(f"/v1/contracts/{contracts['y4']}/end", json=end)

    async def listed(path: str, **params: str | int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get(path, params={**params, **cursor})).json()
            assert len(page["items"]) <= int(params.get("limit", 100))
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = {"cursor": page["next"]}

    due = [
        (item["youth_id"], item["next_review_on"]) for item in await listed("/v1/contracts", overdue_on="2013-07-01")
    ]
    assert due == [("y3", "2013-06-16"), ("y2", "2013-06-17"), ("y1", "2013-06-18"), ("y0", "2013-06-19")]
    paged = await listed("/v1/contracts", overdue_on="2013-07-01", limit=1)
    assert [item["youth_id"] for item in paged] == ["y3", "y2", "y1", "y0"]
    on_the_day = await listed("/v1/contracts", overdue_on="2013-06-17")
    assert [item["youth_id"] for item in on_the_day] == ["y3"]
    of_network = await listed("/v1/contracts", overdue_on="2013-07-01", network_id="n1")
    assert [item["youth_id"] for item in of_network] == ["y1"]
    assert await listed("/v1/contracts", overdue_on="2013-07-01", state="ended") == []

    assert {item["youth_id"] for item in await listed("/v1/contracts", limit=2)} == set(youths)
    assert [item["youth_id"] for item in await listed("/v1/contracts", state="signed")] == ["y5"]
    assert [item["youth_id"] for item in await listed("/v1/contracts", state="ended")] == ["y4"]
    assert [item["placement_id"] for item in await listed("/v1/placements", limit=4)] == [f"p-{y}" for y in youths]
    assert await listed("/v1/placements", state="offered") == []
    assert [item["youth_id"] for item in await listed("/v1/placements", network_id="n2")] == ["y2"]
    broken = await client.get("/v1/contracts", params={"overdue_on": "2013-07-01", "cursor": "x"})
    problem(broken, 422, "bad_cursor")


async def test_only_what_the_bus_may_carry_leaves(
    client: httpx.AsyncClient, publish: Publish, settings: TrackingSettings
) -> None:
    await publish(envelope(detected("y")), envelope(offered("y", "p")))
    await placement(client, "p")
    await client.post("/v1/placements/p/acceptance", json=ON)
    tutor = {"name": "Claire Martin", "role": "Madame Martin, 06 12 34 56 78"}
    contract = (await sign(client, contract_body("p", tutor=tutor))).json()
    assert contract["tutor"] == tutor
    events = await consume(settings.kafka_bootstrap, settings.topic("tracking.events"), count=2)
    signed = ContractSigned.model_validate_json(events[1].data)
    assert signed.tutor_role == "other"
    assert b"Martin" not in b"".join(event.data for event in events)
    assert set(json.loads(events[1].data)) == set(ContractSigned.model_fields)
