"""The client: pages, problems, silence, metrics."""

import json

import httpx
import pytest

from deploy.addresses import addresses
from deploy.client import Client, Refused, Unreachable

HERE = addresses({})


def test_addresses_come_from_the_environment_or_are_those_of_this_machine() -> None:
    found = addresses(
        {
            "FOQUALE_REFERRAL_URL": "https://referral.example/",
            "FOQUALE_TRACKING_PORT": "9103",
            "FOQUALE_REPORTING_URL": "",
        }
    )
    assert found.referral == "https://referral.example"
    assert found.catalogue == "http://127.0.0.1:8102"
    assert found.tracking == "http://127.0.0.1:9103"
    assert found.reporting == "http://127.0.0.1:8104"


async def test_all_pages_of_a_list_are_read() -> None:
    pages = {
        None: {"items": [{"youth_id": "a"}, {"youth_id": "b"}], "next": "b"},
        "b": {"items": [{"youth_id": "c"}], "next": None},
    }
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=pages[request.url.params.get("cursor")])

    async with Client(HERE, transport=httpx.MockTransport(answer)) as client:
        youths = [youth["youth_id"] async for youth in client.youths(campaign="2013-03")]
    assert youths == ["a", "b", "c"]
    assert all(url.startswith("http://127.0.0.1:8101/v1/youths?campaign=2013-03&limit=500") for url in asked)


async def test_a_refusal_carries_status_code_and_detail() -> None:
    problem = {"status": 409, "code": "no_free_place", "detail": "all places are taken"}

    async with Client(HERE, transport=httpx.MockTransport(lambda _: httpx.Response(409, json=problem))) as client:
        with pytest.raises(Refused) as refused:
            await client.offer({"youth_id": "y", "solution_id": "s", "session_id": "t"})
    assert (refused.value.status, refused.value.code) == (409, "no_free_place")
    assert "all places are taken" in str(refused.value)


async def test_an_answer_that_is_no_json_is_a_refusal() -> None:
    page = httpx.Response(502, text="<html>Bad gateway</html>")
    async with Client(HERE, transport=httpx.MockTransport(lambda _: page)) as client:
        with pytest.raises(Refused, match="502"):
            await client.indicators()


async def test_silence_is_told_with_the_address() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed", request=request)

    async with Client(HERE, transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(Unreachable, match=r"tracking does not answer at http://127\.0\.0\.1:8103"):
            await client.start("c", {"on": "2013-09-03"})
        assert not await client.ready("tracking")


async def test_writes_send_their_idempotency_key_and_reads_their_query() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"placement_id": "p", "rows": []})

    async with Client(HERE, transport=httpx.MockTransport(answer)) as client:
        assert await client.offer({"youth_id": "y"}, "k-1") == "p"
        await client.indicators(by=("national", "academie"), first="2013-01-01", code=("09",))
    assert seen[0].headers["Idempotency-Key"] == "k-1"
    assert json.loads(seen[0].content) == {"youth_id": "y"}
    assert dict(seen[1].url.params) == {"by": "national,academie", "from": "2013-01-01", "code": "09"}


async def test_a_metric_is_the_sum_of_its_samples() -> None:
    samples = (
        'foquale_outbox_pending{service="a"} 2.0',
        "foquale_outbox_pending_other 9.0",
        "foquale_outbox_pending 1.0",
    )
    text = "\n".join(("# HELP foquale_outbox_pending Events", *samples))
    async with Client(HERE, transport=httpx.MockTransport(lambda _: httpx.Response(200, text=text))) as client:
        assert await client.metric("referral", "foquale_outbox_pending") == 3
        assert await client.metric("referral", "foquale_nothing") == 0
