"""What becomes of offers: answers and contracts heard from the bus, and holds that nobody answered."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from services.catalogue.expiry import sweep
from services.catalogue.seats import HoldRules
from tests.backends import Kafka
from tests.support.catalogue import (
    Catalogue,
    MovableClock,
    accepted,
    backends_of,
    code,
    declined,
    ended,
    envelope,
    interview,
    running_catalogue,
    session,
    settings_for,
    signed,
)
from tests.support.probe import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD_TOO_LONG = timedelta(days=15, seconds=61)


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(mongo_url: str, kafka: Kafka, clock: MovableClock) -> AsyncIterator[Catalogue]:
    settings = settings_for(mongo_url, kafka)
    async with backends_of(settings), running_catalogue(settings, clock) as catalogue:
        yield catalogue


@pytest.fixture
def catalogue(shared: Catalogue, unique: str) -> Catalogue:
    return shared.named(unique)


async def let_expire(catalogue: Catalogue, clock: MovableClock, placement: dict[str, str]) -> None:
    clock.ahead += HELD_TOO_LONG

    async def is_expired() -> bool:
        return await catalogue.state(placement) == "expired"

    await eventually(is_expired, what="the expiry")


async def offered(catalogue: Catalogue, *names: str, places: int = 5) -> list[dict[str, str]]:
    await catalogue.with_offer(session(places=places))
    await catalogue.with_interviewed(*names)
    return [await catalogue.offer(name) for name in names]


# answers


async def test_an_acceptance_keeps_the_seat_held_and_it_no_longer_expires(
    catalogue: Catalogue, clock: MovableClock
) -> None:
    ana, ben = await offered(catalogue, "ana", "ben")
    await catalogue.hear(accepted(ana))
    assert await catalogue.seats() == (2, 0, 3)
    await let_expire(catalogue, clock, ben)
    assert await catalogue.state(ana) == "accepted"
    assert await catalogue.seats() == (1, 0, 4)


@pytest.mark.parametrize("accepted_before", [False, True])
async def test_a_refusal_gives_the_seat_back(catalogue: Catalogue, accepted_before: bool) -> None:
    (ana,) = await offered(catalogue, "ana", places=1)
    if accepted_before:
        await catalogue.hear(accepted(ana))
    await catalogue.hear(declined(ana))
    assert await catalogue.state(ana) == "declined"
    assert await catalogue.seats() == (0, 0, 1)
    assert (await catalogue.try_offer("ana")).status_code == 201


async def test_a_refusal_heard_before_the_acceptance_it_followed_stands(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana")
    await catalogue.hear(declined(ana))
    await catalogue.hear(accepted(ana))
    assert await catalogue.state(ana) == "declined"
    assert await catalogue.seats() == (0, 0, 5)


# contracts


async def test_a_contract_occupies_the_seat_and_ending_early_frees_it(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana")
    await catalogue.hear(accepted(ana), signed(ana, catalogue.id("c")))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("occupied", (0, 1, 4))
    await catalogue.hear(ended(ana, catalogue.id("c")))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("freed", (0, 0, 5))


async def test_a_contract_that_came_to_its_term_keeps_its_seat(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana")
    contract = catalogue.id("c")
    await catalogue.hear(signed(ana, contract, ends_on=date(2014, 7, 4)), ended(ana, contract, on=date(2014, 7, 4)))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("occupied", (0, 1, 4))


async def test_an_end_heard_before_its_signature_is_remembered(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana")
    await catalogue.hear(ended(ana, catalogue.id("c")))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("held", (1, 0, 4))
    await catalogue.hear(signed(ana, catalogue.id("c")))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("freed", (0, 0, 5))


async def test_a_contract_on_a_refused_offer_takes_a_seat_if_one_is_free(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana", places=1)
    await catalogue.hear(declined(ana), signed(ana, catalogue.id("c")))
    assert (await catalogue.state(ana), await catalogue.seats()) == ("occupied", (0, 1, 0))


async def test_a_contract_whose_seat_has_gone_is_a_conflict_and_never_a_seat_too_many(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana", places=1)
    await catalogue.hear(declined(ana))
    await catalogue.with_interviewed("ben")
    ben = await catalogue.offer("ben")
    await catalogue.hear(signed(ana, catalogue.id("c")))
    now = await catalogue.placement(ana)
    assert (now["state"], now["conflict"]) == ("declined", "signed_without_seat")
    assert await catalogue.state(ben) == "held"
    assert await catalogue.seats() == (1, 0, 0)

    async def counted() -> bool:
        return "foquale_seat_conflicts 1.0" in (await catalogue.http.get("/metrics")).text

    await eventually(counted, what="the conflict's count")
    await catalogue.hear(ended(ana, catalogue.id("c")))
    now = await catalogue.placement(ana)
    assert (now["state"], now["conflict"]) == ("freed", None)
    assert await catalogue.seats() == (1, 0, 0)


async def test_a_second_contract_on_one_offer_is_set_aside(catalogue: Catalogue) -> None:
    (ana,) = await offered(catalogue, "ana")
    second = envelope(signed(ana, catalogue.id("c2")))
    await catalogue.hear(signed(ana, catalogue.id("c1")))
    await catalogue.hear(second)
    assert (await catalogue.dead_letters())[second.id] == "second_contract"
    assert await catalogue.seats() == (0, 1, 4)


async def test_an_answer_to_an_offer_never_made_here_is_set_aside_and_its_neighbours_go_through(
    catalogue: Catalogue,
) -> None:
    (ana,) = await offered(catalogue, "ana")
    stray = envelope(accepted(ana | {"placement_id": catalogue.id("stray")}))
    await catalogue.hear(stray, accepted(ana))
    assert (await catalogue.dead_letters())[stray.id] == "unknown_placement"
    assert await catalogue.state(ana) == "accepted"


async def test_the_same_event_twice_has_its_effect_once(catalogue: Catalogue) -> None:
    ana, ben = await offered(catalogue, "ana", "ben")
    twice = [envelope(declined(ana)), envelope(signed(ben, catalogue.id("c"))), envelope(ended(ben, catalogue.id("c")))]
    await catalogue.hear(*twice, *twice)
    await catalogue.hear(accepted(ana), *twice)
    assert await catalogue.seats() == (0, 0, 5)
    assert [await catalogue.state(p) for p in (ana, ben)] == ["declined", "freed"]


# expiry


async def test_a_hold_nobody_answered_expires_and_its_seat_can_be_offered(
    catalogue: Catalogue, clock: MovableClock
) -> None:
    (ana,) = await offered(catalogue, "ana", places=1)
    clock.forward(days=15, seconds=30)
    await asyncio.sleep(0.4)  # several sweeps: within the grace for an acceptance under way, nothing expires
    assert await catalogue.state(ana) == "held"
    await let_expire(catalogue, clock, ana)
    assert await catalogue.seats() == (0, 0, 1)
    (event,) = await catalogue.published("placement-expired")
    assert event == {
        "youth_id": catalogue.id("ana"),
        "on": ana["held_until"][:10],
        "placement_id": ana["placement_id"],
        "solution_id": catalogue.sol,
    }
    assert (await catalogue.try_offer("ana")).status_code == 201


async def test_sweepers_of_several_replicas_expire_each_hold_once(catalogue: Catalogue) -> None:
    placements = await offered(catalogue, *[f"y{n}" for n in range(12)], places=12)
    later = MovableClock()
    later.forward(days=3_000)
    uow = catalogue.unit_of_work
    rules = HoldRules(timedelta(days=15), timedelta(seconds=60))
    replicas = [type(uow)(catalogue.mongo, "catalogue", clock=later) for _ in range(3)]
    done = await asyncio.gather(*[sweep(catalogue.mongo, replica, rules, later()) for replica in replicas])
    assert sum(done) >= 12
    assert {await catalogue.state(p) for p in placements} == {"expired"}
    assert await catalogue.seats() == (0, 0, 12)
    events = await catalogue.published("placement-expired")
    assert Counter(e["placement_id"] for e in events) == Counter(p["placement_id"] for p in placements)


async def test_an_offer_that_finds_the_session_full_takes_an_overdue_seat(mongo_url: str, kafka: Kafka) -> None:
    """Here the sweeper looks so rarely that only the offer itself can have noticed."""
    clock = MovableClock()
    settings = settings_for(mongo_url, kafka, expiry_poll_s=3_600)
    async with backends_of(settings), running_catalogue(settings, clock) as fresh:
        catalogue = fresh.named("rare")
        ana, ben = await offered(catalogue, "ana", "ben", places=2)
        await catalogue.with_interviewed("cid", "dan", "eve")
        await catalogue.hear(accepted(ben))
        clock.forward(days=15, seconds=30)
        assert code(await catalogue.try_offer("cid")) == (409, "no_free_place")
        clock.forward(seconds=31)
        assert (await catalogue.try_offer("cid")).status_code == 201
        assert code(await catalogue.try_offer("dan")) == (409, "no_free_place")
        assert [await catalogue.state(p) for p in (ana, ben)] == ["expired", "accepted"]
        assert await catalogue.seats() == (2, 0, 0)
        assert [e["placement_id"] for e in await catalogue.published("placement-expired")] == [ana["placement_id"]]


async def test_an_acceptance_after_expiry_holds_a_seat_again_while_one_is_free(
    catalogue: Catalogue, clock: MovableClock
) -> None:
    ana, ben = await offered(catalogue, "ana", "ben", places=2)
    await let_expire(catalogue, clock, ana)
    await let_expire(catalogue, clock, ben)
    await catalogue.with_interviewed("cid")
    await catalogue.offer("cid")
    await catalogue.hear(accepted(ana))
    assert await catalogue.state(ana) == "accepted"
    await catalogue.hear(accepted(ben))
    late = await catalogue.placement(ben)
    assert (late["state"], late["conflict"]) == ("expired", "accepted_without_seat")
    assert await catalogue.seats() == (2, 0, 0)


# interviews


async def test_the_latest_interview_counts_in_whatever_order_they_come(catalogue: Catalogue) -> None:
    youth = catalogue.id("ana")
    first = envelope(interview(youth, date(2013, 4, 2), level="3e"), at=datetime(2013, 4, 2, tzinfo=UTC))
    on_same_day = envelope(interview(youth, date(2013, 5, 2), level="CAP"), at=datetime(2013, 5, 2, 9, tzinfo=UTC))
    latest = envelope(
        interview(youth, date(2013, 5, 2), level="2de", needs=("housing",), wishes=("34",), mobility_km=20),
        at=datetime(2013, 5, 2, 10, tzinfo=UTC),
    )
    await catalogue.hear(on_same_day, latest)
    await catalogue.hear(first)
    row = await catalogue.mongo["youths"].find_one({"_id": youth})
    assert row is not None
    found = {key: row["interview"][key] for key in ("on", "needs", "level", "wishes", "mobility_km")}
    assert found == {"on": "2013-05-02", "needs": ["housing"], "level": "2de", "wishes": ["34"], "mobility_km": 20}


# everything at once


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_mix_of_offers_answers_contracts_and_expiry_leaves_counters_and_states_in_agreement(
    catalogue: Catalogue, clock: MovableClock, seed: int
) -> None:
    rng = random.Random(seed)
    await catalogue.with_offer(session(places=8))
    youths = [f"y{n}" for n in range(30)]
    await catalogue.with_interviewed(*youths)
    heard: set[str] = set()
    for _ in range(3):
        answers = await asyncio.gather(*[catalogue.try_offer(name) for name in rng.sample(youths, 20)])
        made = [answer.json() for answer in answers if answer.status_code == 201]
        events = []
        for placement in made:
            contract = placement["placement_id"]
            happened = [
                accepted(placement),
                declined(placement),
                signed(placement, contract),
                ended(placement, contract),
            ]
            events += [envelope(event) for event in rng.sample(happened, rng.randint(0, 4))]
        heard |= {event.id for event in events}
        again = rng.sample(events, len(events) // 2)
        mixed = rng.sample(events + again, len(events) + len(again))
        clock.ahead += HELD_TOO_LONG
        await asyncio.gather(catalogue.hear(*mixed), *[catalogue.try_offer(name) for name in rng.sample(youths, 10)])
    clock.ahead += HELD_TOO_LONG

    async def nothing_is_held() -> bool:
        return not await catalogue.mongo["placements"].count_documents({"solution_id": catalogue.sol, "state": "held"})

    await eventually(nothing_is_held, what="the expiry of what nobody answered")
    rows = await catalogue.mongo["placements"].find({"solution_id": catalogue.sol}).to_list(None)
    states = Counter(row["state"] for row in rows)
    held, occupied, free = await catalogue.seats()
    assert (held, occupied) == (states["accepted"], states["occupied"])
    assert free == 8 - held - occupied >= 0
    assert not heard & set(await catalogue.dead_letters())
