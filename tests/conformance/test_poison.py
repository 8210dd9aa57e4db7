"""Bad input: each bad record is one dead letter with its code and its original bytes, and its neighbours go through."""

from base64 import b64decode
from typing import Any

import httpx
from pymongo.errors import AutoReconnect

from shared.envelope import Envelope
from shared.settings import ServiceSettings
from tests.conformance.bookkeeper import Bookkeeper
from tests.conformance.ledger import Ledger
from tests.conformance.load import events, ids, send
from tests.conformance.poison import Poison, bodies, harmless, headers_and_envelopes
from tests.support.probe import Raw, running


async def test_each_poison_is_one_dead_letter_with_its_code_and_original_bytes_and_its_neighbours_have_their_effect(
    settings: ServiceSettings, topic: str, ledger: Ledger
) -> None:
    poison = [*bodies(), *headers_and_envelopes(), *harmless()]
    assert sum(each.code is not None for each in poison) < settings.undecodable_least, "this would be an alarm"
    failures = 0

    async def fail_twice() -> None:
        nonlocal failures
        failures += 1
        if failures <= 2:
            raise AutoReconnect("connection closed")

    neighbours = events(10 * len(poison))
    log: list[Envelope | Raw] = []
    for number, each in enumerate(poison):
        log += [*neighbours[10 * number : 10 * number + 10], each.record]
    expected = [*ids(neighbours), *(each.effect for each in poison if each.effect)]
    # Failing after the poison was set aside, batches come again: the poison is seen three times.
    async with running(Bookkeeper(settings, midway=fail_twice).app) as client:
        places = (await send(settings.kafka_bootstrap, topic, *log))[10::11]
        await ledger.must_be_exact(expected)
        found = await dead_letters(client)
    assert failures > 2
    became = {
        each.what: [letter["code"] for letter in found.pop(place, [])]
        for each, place in zip(poison, places, strict=True)
    }
    assert became == {each.what: [each.code] if each.code else [] for each in poison}
    assert not found, "a neighbour became a dead letter"

    async with running(Bookkeeper(settings).app) as client:
        by_place = await dead_letters(client)
        for each, place in zip(poison, places, strict=True):
            if each.code:
                [letter] = by_place[place]
                assert await original(client, letter) == as_sent(each), each.what
                replay = await client.post(f"/v1/dead-letters/{letter['dead_letter_id']}/replay")
                assert (replay.status_code, replay.json()["code"]) == (409, each.code), each.what
        assert sum(len(letters) for letters in (await dead_letters(client)).values()) == len(by_place)
    await ledger.must_be_exact(expected)


async def dead_letters(client: httpx.AsyncClient) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """All that there are, by partition and offset."""
    answer = await client.get("/v1/dead-letters", params={"limit": 500})
    by_place: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for item in answer.json()["items"]:
        by_place.setdefault((item["partition"], item["offset"]), []).append(item)
    return by_place


async def original(client: httpx.AsyncClient, letter: dict[str, Any]) -> Raw:
    """The record as it was sent, out of the dead letter."""
    one = (await client.get(f"/v1/dead-letters/{letter['dead_letter_id']}")).json()

    def raw(content: str | None) -> bytes | None:
        return None if content is None else b64decode(content)

    return raw(one["key"]), raw(one["value"]), [(name, raw(content)) for name, content in one["raw_headers"]]


def as_sent(poison: Poison) -> Raw:
    """The record with its headers as a list."""
    key, value, headers = poison.record
    return key, value, list(headers)
