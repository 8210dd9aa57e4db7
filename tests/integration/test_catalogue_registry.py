"""Networks, platforms and solutions: put, changed, withdrawn, listed, and published when and only when they change."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.backends import Kafka
from tests.support.catalogue import (
    Body,
    Catalogue,
    accepted,
    backends_of,
    code,
    declined,
    faults,
    network,
    platform,
    running_catalogue,
    session,
    settings_for,
    signed,
    solution,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(mongo_url: str, kafka: Kafka) -> AsyncIterator[Catalogue]:
    settings = settings_for(mongo_url, kafka)
    async with backends_of(settings), running_catalogue(settings) as catalogue:
        yield catalogue


@pytest.fixture
def catalogue(shared: Catalogue, unique: str) -> Catalogue:
    return shared.named(unique)


# networks and platforms


async def test_a_network_is_registered_and_published_without_its_head(catalogue: Catalogue) -> None:
    head = {"name": "Claire Martin", "email": "claire.martin@example.org"}
    put = await catalogue.put_network(head=head)
    assert put == await catalogue.get(f"networks/{catalogue.net}")
    assert put == {"network_id": catalogue.net, **network(head=head), "version": 1}
    (event,) = await catalogue.published()
    assert event == {"network_id": catalogue.net, **network(), "version": 1}
    (on_the_bus,) = await catalogue.on_the_bus(1)
    assert on_the_bus.type == "fr.foquale.catalogue.network-registered.v1"
    assert b"Martin" not in on_the_bus.data


async def test_a_network_put_again_is_published_only_when_it_changed(catalogue: Catalogue) -> None:
    await catalogue.put_network()
    await catalogue.put_network()
    with_head = await catalogue.put_network(head={"name": "C. M.", "email": "c@example.org"})
    assert (with_head["version"], with_head["head"]["name"]) == (1, "C. M.")
    assert (await catalogue.put_network(name="Autre nom"))["version"] == 2
    assert (await catalogue.get(f"networks/{catalogue.net}"))["head"] is None
    assert [(e["name"], e["version"]) for e in await catalogue.published()] == [
        ("Réseau de Valenciennes", 1),
        ("Autre nom", 2),
    ]


async def test_puts_of_one_network_at_once_are_all_counted(catalogue: Catalogue) -> None:
    await asyncio.gather(*[catalogue.put_network(name=f"Nom {n}") for n in range(8)])
    events = await catalogue.published("network-registered")
    assert [e["version"] for e in events] == list(range(1, 9))
    assert (await catalogue.get(f"networks/{catalogue.net}"))["name"] == events[-1]["name"]


async def test_a_platform_is_registered_with_the_moment_of_its_claim(catalogue: Catalogue) -> None:
    path = f"platforms/{catalogue.id('p')}"
    put = await catalogue.put(path, platform(communes=["59606", " 59350 "]))
    assert put["communes"] == ["59606", "59350"]
    assert await catalogue.put(path, platform(communes=["59606", "59350"])) == put
    changed = await catalogue.put(path, platform(communes=[]))
    assert changed["version"] == 2
    assert changed["registered_at"] > put["registered_at"]
    events = await catalogue.published("platform-registered")
    assert [(e["platform_id"], e["communes"], e["registered_at"], e["version"]) for e in events] == [
        (catalogue.id("p"), ["59606", "59350"], put["registered_at"], 1),
        (catalogue.id("p"), [], changed["registered_at"], 2),
    ]


async def test_a_reform_moves_a_network_and_its_solutions_into_the_new_academie(catalogue: Catalogue) -> None:
    await catalogue.put_network(academie="05")
    await catalogue.put_solution()
    await catalogue.put_network(academie="70")
    assert (await catalogue.get(f"solutions/{catalogue.sol}"))["academie"] == "70"
    assert [(e["academie"], e["version"]) for e in await catalogue.published("solution-published")] == [("05", 1)]
    assert [(e["academie"], e["version"]) for e in await catalogue.published("solution-updated")] == [("70", 2)]


# solutions


async def test_a_solution_is_published_then_updated_and_a_put_without_change_is_silent(catalogue: Catalogue) -> None:
    await catalogue.put_network()
    put = await catalogue.put_solution(session("b", 3), session("a", 2, starts_on="2013-03-04", ends_on=None))
    assert put == await catalogue.get(f"solutions/{catalogue.sol}")
    assert put["sessions"] == [
        session("a", 2, starts_on="2013-03-04", ends_on=None, held=0, occupied=0, free=2),
        session("b", 3, held=0, occupied=0, free=3),
    ]
    assert (put["state"], put["academie"], put["version"]) == ("published", "09", 1)
    again = await catalogue.put_solution(session("a", 2, starts_on="2013-03-04", ends_on=None), session("b", 3))
    assert again == put
    changed = await catalogue.put_solution(session("b", 4), track=None, sector=None, lon=None, lat=None)
    assert [s["session_id"] for s in changed["sessions"]] == ["b"]
    assert await catalogue.published("solution-published") == [
        {
            "solution_id": catalogue.sol,
            **solution(catalogue.net),
            "academie": "09",
            "uai": None,
            "sessions": [session("a", 2, starts_on="2013-03-04", ends_on=None), session("b", 3)],
            "version": 1,
        }
    ]
    (updated,) = await catalogue.published("solution-updated")
    assert (updated["sessions"], updated["track"], updated["lon"], updated["version"]) == (
        [session("b", 4)],
        None,
        None,
        2,
    )


async def test_a_withdrawn_solution_can_be_published_again(catalogue: Catalogue) -> None:
    await catalogue.with_offer()
    path = f"/v1/solutions/{catalogue.sol}"
    first, second = [(await catalogue.http.delete(path)).json() for _ in range(2)]
    assert first == second
    assert (first["state"], first["version"]) == ("withdrawn", 2)
    assert (await catalogue.get(f"solutions/{catalogue.sol}"))["state"] == "withdrawn"
    assert (await catalogue.get("solutions", network_id=catalogue.net))["items"] == []
    assert (await catalogue.put_solution())["state"] == "published"
    assert len(await catalogue.published("solution-withdrawn")) == 1
    assert [e["version"] for e in await catalogue.published("solution-published")] == [1, 3]
    assert code(await catalogue.http.delete("/v1/solutions/none")) == (404, "unknown_solution")


async def test_a_solution_needs_its_network(catalogue: Catalogue) -> None:
    answer = await catalogue.http.put(f"/v1/solutions/{catalogue.sol}", json=solution(catalogue.net))
    assert code(answer) == (404, "unknown_network")


async def test_seats_that_are_taken_cannot_be_put_away(catalogue: Catalogue) -> None:
    await catalogue.with_offer(session("autumn", 3), session("spring", 3))
    await catalogue.with_interviewed("ana", "ben", "cid")
    ana, ben = await catalogue.offer("ana"), await catalogue.offer("ben")
    await catalogue.hear(accepted(ana), signed(ben, catalogue.id("c")))

    async def put(*sessions: Body) -> Any:
        return await catalogue.http.put(f"/v1/solutions/{catalogue.sol}", json=solution(catalogue.net, *sessions))

    for refused in (await put(session("spring", 3)), await put(session("autumn", 1), session("spring", 3))):
        assert code(refused) == (409, "places_taken")
        assert refused.json()["sessions"] == [{"session_id": "autumn", "taken": 2}]
    kept = await put(session("autumn", 2, ends_on="2014-06-30"))
    assert kept.json()["sessions"] == [session("autumn", 2, ends_on="2014-06-30", held=1, occupied=1, free=0)]
    assert code(await catalogue.try_offer("cid")) == (409, "no_free_place")
    await catalogue.hear(declined(ana))
    assert (await put(session("autumn", 1))).status_code == 200
    assert await catalogue.seats() == (0, 1, 0)


# faults


async def test_every_fault_of_a_body_is_named(catalogue: Catalogue) -> None:
    answer = await catalogue.http.put("/v1/networks/x", json=network(academie="99", platform_ids=["a", "a"]))
    assert faults(answer) == {("academie", "unknown_academie"), ("platform_ids.1", "repeated")}
    answer = await catalogue.http.put("/v1/platforms/x", json=platform(academie="10", communes=["59", "75056"]))
    assert faults(answer) == {("academie", "academie_does_not_fit"), ("communes.0", "unknown_commune")}
    bad = session("a", 1, starts_on="2013-09-03", ends_on="2013-09-02")
    answer = await catalogue.http.put(
        "/v1/solutions/x", json=solution("n", bad, session("a", 1), uai="0590011A", commune="99999", lat=None)
    )
    assert faults(answer) == {
        ("uai", "unknown_school"),
        ("commune", "unknown_commune"),
        ("lat", "position_incomplete"),
        ("sessions.0.ends_on", "ends_before_start"),
        ("sessions.1.session_id", "repeated"),
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "holiday"}, "kind"),
        ({"track": "Professional"}, "track"),
        ({"places": 3}, "places"),
        ({"lon": 180.1}, "lon"),
        ({"lat": "50"}, "lat"),
        ({"lat": True}, "lat"),
        ({"title": "  "}, "title"),
        ({"title": None}, "title"),
        ({"sessions": [session(places=-1)]}, "sessions.0.places"),
        ({"sessions": [session(places=10**30)]}, "sessions.0.places"),
        ({"sessions": [session() | {"places": 1.5}]}, "sessions.0.places"),
        ({"sessions": [session(places=True)]}, "sessions.0.places"),
        ({"sessions": [session(starts_on="03/09/2013")]}, "sessions.0.starts_on"),
        ({"sessions": [session(starts_on=1378166400)]}, "sessions.0.starts_on"),
        ({"sessions": [session(starts_on="2013-02-29")]}, "sessions.0.starts_on"),
        ({"sessions": [session("a/b")]}, "sessions.0.session_id"),
        ({"sessions": [session("a\x00")]}, "sessions.0.session_id"),
        ({"sessions": [session(held=2)]}, "sessions.0.held"),
        ({"sessions": {}}, "sessions"),
    ],
)
async def test_a_field_of_the_wrong_kind_is_named(catalogue: Catalogue, change: Body, field: str) -> None:
    answer = await catalogue.http.put("/v1/solutions/x", json=solution("n") | change)
    assert {name for name, _ in faults(answer)} == {field}


# lists


async def listed(catalogue: Catalogue, what: str, **query: Any) -> list[str]:
    """Ids of all pages, two an answer."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await catalogue.get(what, limit=2, **query, **({"cursor": cursor} if cursor else {}))
        found += [item[f"{what[:-1]}_id"] for item in page["items"]]
        cursor = page["next"]
        assert len(page["items"]) == 2 or cursor is None
        if cursor is None:
            return found


async def test_networks_and_platforms_are_listed_by_their_filters(catalogue: Catalogue) -> None:
    ids = [catalogue.id(name) for name in "abcde"]
    for number, key in enumerate(ids):
        academie, departement = ("09", "59") if number % 2 else ("70", "14")
        await catalogue.put(f"networks/{key}", network(academie=academie, platform_ids=[catalogue.id("p"), key]))
        body = platform(academie=academie, departement=departement, default_network_id=catalogue.net)
        await catalogue.put(f"platforms/{key}", body)
    assert await listed(catalogue, "networks", platform_id=catalogue.id("p")) == ids
    assert await listed(catalogue, "networks", platform_id=ids[1], academie="09") == [ids[1]]
    assert await listed(catalogue, "networks", platform_id=ids[1], academie="70") == []
    assert await listed(catalogue, "platforms", network_id=catalogue.net) == ids
    assert await listed(catalogue, "platforms", network_id=catalogue.net, departement="14") == ids[::2]
    assert await listed(catalogue, "platforms", network_id=catalogue.net, academie="09") == ids[1::2]
    assert set(ids) <= set(await listed(catalogue, "networks"))


async def test_solutions_are_listed_by_kind_track_academie_network_and_free_places(catalogue: Catalogue) -> None:
    await catalogue.put_network()
    await catalogue.put(f"networks/{catalogue.id('other')}", network(academie="27"))
    empty, ids = session("spring", 0), [catalogue.id(f"s{n}") for n in range(6)]
    bodies = [
        solution(catalogue.net, session(places=1), empty),
        solution(catalogue.net, kind="apprenticeship", track=None),
        solution(catalogue.net, empty),
        solution(catalogue.net, track="general"),
        solution(catalogue.id("other"), commune="2A004"),
        {**solution(catalogue.net), "sessions": []},
    ]
    for key, body in zip(ids, bodies, strict=True):
        await catalogue.put(f"solutions/{key}", body)
    mine = {"network_id": catalogue.net}
    assert await listed(catalogue, "solutions", **mine) == [*ids[:4], ids[5]]
    assert await listed(catalogue, "solutions", **mine, kind="apprenticeship") == [ids[1]]
    assert await listed(catalogue, "solutions", **mine, track="general") == [ids[3]]
    assert await listed(catalogue, "solutions", **mine, academie="27") == []
    assert await listed(catalogue, "solutions", academie="27") == [ids[4]]
    assert await listed(catalogue, "solutions", **mine, free=True) == [ids[0], ids[1], ids[3]]
    assert await listed(catalogue, "solutions", **mine, free=False) == [ids[2], ids[5]]
    await catalogue.with_interviewed("ana")
    await catalogue.offer("ana", solution_id=ids[0])
    assert await listed(catalogue, "solutions", **mine, free=True) == [ids[1], ids[3]]


async def test_a_filter_that_does_not_exist_is_refused_rather_than_ignored(catalogue: Catalogue) -> None:
    for query in ("?knd=school", "?kind=holiday", "?limit=0", "?limit=501", "?limit=ten", "?free=perhaps"):
        assert code(await catalogue.http.get(f"/v1/solutions{query}")) == (422, "invalid_request")


@pytest.mark.parametrize("what", ["network", "platform", "solution", "placement"])
async def test_what_is_not_there_is_unknown(catalogue: Catalogue, what: str) -> None:
    assert code(await catalogue.http.get(f"/v1/{what}s/none")) == (404, f"unknown_{what}")
