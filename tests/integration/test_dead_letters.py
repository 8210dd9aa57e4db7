"""Dead letters as a tool: found, looked at, replayed, tried again by themselves; and an alarm instead of too many."""

import asyncio
from base64 import b64decode
from collections import Counter

import httpx
import pytest

from shared.bus import ensure_topics
from shared.envelope import to_headers
from shared.settings import ServiceSettings
from tests.backends import Kafka
from tests.support.counting import TOPIC, Counting, contact, counting_settings
from tests.support.probe import Raw, eventually, produce, running


@pytest.fixture
def settings(mongo_url: str, kafka: Kafka, db_name: str) -> ServiceSettings:
    return counting_settings(mongo_url, db_name, kafka.bootstrap, idempotence=kafka.supports_idempotence)


@pytest.fixture
async def topic(settings: ServiceSettings) -> str:
    await ensure_topics(settings, [settings.topic(TOPIC)])
    return settings.topic(TOPIC)


async def listed(client: httpx.AsyncClient, number: int, **filters: str) -> list[dict[str, object]]:
    async def look() -> list[dict[str, object]]:
        items = (await client.get("/v1/dead-letters", params=filters)).json()["items"]
        return items if len(items) == number else []

    return await eventually(look, what=f"{number} dead letters")


async def test_a_dead_letter_keeps_the_original_to_the_byte(settings: ServiceSettings, topic: str) -> None:
    value = b"\xff\xfe not JSON \x00"
    headers = [(name, text.encode()) for name, text in to_headers(contact("odd")).items() if name != "traceparent"]
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    noise: list[tuple[str, bytes | None]] = [("x-noise", b"\xff\x00"), ("x-none", None)]
    counting = Counting(settings)
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, (b"\xfekey", value, [*headers, trace, *noise]), contact("good"))
        [item] = await listed(client, 1)
        assert (item["code"], item["trace"], item["state"]) == ("bad_json", trace[1].decode(), "waiting")
        assert (item["next_try_at"], item["replayed_by"], item["replays"]) == (None, None, 0)
        path = f"/v1/dead-letters/{item['dead_letter_id']}"
        one = (await client.get(path)).json()
        assert (b64decode(one["value"]), b64decode(one["key"])) == (value, b"\xfekey")
        raw = [(name, None if content is None else b64decode(content)) for name, content in one["raw_headers"]]
        assert set(noise) < set(raw)
        answer = await client.get(f"{path}/value")
        assert (answer.content, answer.headers["content-type"]) == (value, "application/octet-stream")
        assert (await client.get("/v1/dead-letters/none")).json()["code"] == "unknown_dead_letter"


async def test_those_that_fit_are_replayed_together_and_what_was_applied_before_changes_nothing(
    settings: ServiceSettings, topic: str
) -> None:
    counting = Counting(settings)
    counting.fail_on = {f"bad{number}" for number in range(12)}
    broken: list[Raw] = [
        (b"k", b"{", [(n, t.encode()) for n, t in to_headers(contact(f"x{i}")).items()]) for i in range(3)
    ]
    async with running(counting.service.app("counting", [])) as client:
        await produce(
            settings.kafka_bootstrap,
            topic,
            *[contact(f"good{number}") for number in range(30)],
            *[contact(f"bad{number}") for number in range(12)],
            *broken,
        )
        await listed(client, 15)
        assert await counting.has(30)
        assert len(await listed(client, 3, code="bad_json")) == 3
        assert len(await listed(client, 15, topic=topic, since="2013-01-01")) == 15
        assert (await client.get("/v1/dead-letters", params={"until": "2013-01-01T00:00:00Z"})).json()["items"] == []

        counting.fail_on = {"bad3"}
        first = (await client.post("/v1/dead-letters/replay", json={"code": "not_applicable", "limit": 5})).json()
        rest = await client.post(
            "/v1/dead-letters/replay", json={"code": "not_applicable", "cursor": first["next"], "limit": 500}
        )
        assert first["remaining"] == 7
        assert first["replayed"] + rest.json()["replayed"] == 11
        assert first["failed"].get("not_applicable", 0) + rest.json()["failed"].get("not_applicable", 0) == 1
        assert (rest.json()["remaining"], rest.json()["next"]) == (0, None)

        counting.fail_on = set()
        everything = (await client.post("/v1/dead-letters/replay", json={})).json()
        assert (everything["replayed"], everything["failed"]) == (1, {"bad_json": 3})
        again = (await client.post("/v1/dead-letters/replay", json={"state": "replayed"})).json()
        assert (again["replayed"], again["failed"]) == (12, {})
        assert list((await counting.counts()).values()) == [1] * 42
        assert {item["replayed_by"] for item in await listed(client, 12, state="replayed")} == {"person"}

        for body, field in (({"codes": "x"}, "codes"), ({"limit": 501}, "limit"), ({"since": "soon"}, "since")):
            refused = await client.post("/v1/dead-letters/replay", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
        assert (await client.get("/v1/dead-letters", params={"sate": "waiting"})).status_code == 422


async def test_two_persons_replay_the_same_at_once_and_each_has_its_effect_once(
    settings: ServiceSettings, topic: str
) -> None:
    counting = Counting(settings)
    counting.fail_on = {f"bad{number}" for number in range(20)}
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *[contact(f"bad{number}") for number in range(20)])
        await listed(client, 20)
        counting.fail_on = set()
        answers = await asyncio.gather(*(client.post("/v1/dead-letters/replay", json={}) for _ in range(4)))
        assert [answer.json()["failed"] for answer in answers] == [{}] * 4
        assert list((await counting.counts()).values()) == [1] * 20


async def test_of_a_batch_those_that_can_never_be_applied_are_set_aside_and_a_replay_finds_them_new(
    settings: ServiceSettings, topic: str
) -> None:
    counting = Counting(settings)
    counting.never = {"never1", "never2"}
    counting.fail_on = {"bad"}
    sent = [contact(name) for name in ("a", "never1", "b", "never1", "bad", "never2", "c")]
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, *sent)
        codes = Counter(str(item["code"]) for item in await listed(client, 4))
        assert codes == {"never": 3, "not_applicable": 1}
        await eventually(lambda: counting.has(3))
        again = (await client.post("/v1/dead-letters/replay", json={"code": "never"})).json()
        assert (again["replayed"], again["failed"]) == (0, {"never": 3})
        counting.never, counting.fail_on = set(), set()
        assert (await client.post("/v1/dead-letters/replay", json={})).json()["replayed"] == 4
        assert await counting.counts() == dict.fromkeys(["a", "b", "c", "never1", "never2", "bad"], 1)


async def test_operators_see_how_many_wait_by_code_and_for_how_long(settings: ServiceSettings, topic: str) -> None:
    counting = Counting(settings)
    counting.fail_on = {"bad"}
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, (b"k", b"{", []), (b"k", b"[", []), contact("bad"))
        await listed(client, 3)

        async def metrics() -> dict[str, float]:
            lines = (await client.get("/metrics")).text.splitlines()
            found = [line.rsplit(" ", 1) for line in lines if line.startswith("foquale_dead_letter")]
            return {name: float(value) for name, value in found}

        before = await metrics()
        assert before['foquale_dead_letters{code="bad_json",service="counting"}'] == 2
        assert before['foquale_dead_letters{code="not_applicable",service="counting"}'] == 1
        age = 'foquale_dead_letter_age_seconds{service="counting"}'
        assert 0 < before[age] < 60
        counting.fail_on = set()
        await client.post("/v1/dead-letters/replay", json={})
        after = await metrics()
        assert 'foquale_dead_letters{code="not_applicable",service="counting"}' not in after
        assert after[age] > before[age]


async def test_what_a_handler_failed_at_is_tried_again_by_itself_and_what_nobody_can_read_is_not(
    settings: ServiceSettings, topic: str
) -> None:
    impatient = settings.model_copy(update={"retry_first_s": 0.4, "retry_longest_s": 0.4})
    one, other = Counting(impatient), Counting(impatient)
    for counting in (one, other):
        counting.fail_on = {"bad"}
    async with running(one.service.app("one", [])) as client, running(other.service.app("other", [])):
        await produce(settings.kafka_bootstrap, topic, contact("good"), contact("bad"), (b"k", b"{", []))
        await listed(client, 2)

        async def tried() -> bool:
            [item] = (await client.get("/v1/dead-letters", params={"code": "not_applicable"})).json()["items"]
            return bool(item["replays"] >= 2 and item["next_try_at"])

        await eventually(tried, what="two more tries")
        for counting in (one, other):
            counting.fail_on = set()
        [healed] = await listed(client, 1, state="replayed")
        assert healed["replayed_by"] == "schedule"
        assert await one.counts() == {"good": 1, "bad": 1}
        [left] = await listed(client, 1, state="waiting")
        assert (left["code"], left["replays"], left["next_try_at"]) == ("bad_json", 0, None)


async def test_after_the_last_try_it_waits_for_a_person(settings: ServiceSettings, topic: str) -> None:
    counting = Counting(settings.model_copy(update={"retry_first_s": 0.1, "retry_longest_s": 0.1, "retry_most": 3}))
    counting.fail_on = {"bad"}
    async with running(counting.service.app("counting", [])) as client:
        await produce(settings.kafka_bootstrap, topic, contact("bad"))

        async def given_up() -> bool:
            items = (await client.get("/v1/dead-letters")).json()["items"]
            return bool(items and items[0]["replays"] == 3 and items[0]["next_try_at"] is None)

        await eventually(given_up)
        counting.fail_on = set()
        assert (await client.post("/v1/dead-letters/replay", json={})).json()["replayed"] == 1
        assert await counting.counts() == {"bad": 1}
