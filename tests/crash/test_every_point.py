"""Every service dies at every named point, and nothing is lost and nothing doubled.

A service runs as a process of its own, on a real store and a real broker. It is given work that passes the point, ends
itself there (SIGKILL), and is started again. What is durable at the moment of death shows that the point lies where its
name says; what there is in the end shows the promise.

    point                  durable at death                so what is proven by the end
    transaction.written    nothing                         half a transaction leaves nothing; the command, sent again,
                                                           has its effect once
    transaction.committed  effect, event waits             what was done and never answered is not done again; its event
                                                           gets out
    relay.read             effect, event waits             an event that was read to be published is not lost
    relay.published        effect, event waits, in the log it is published again as the same event, never as another
    relay.marked           effect, event in the log        what is out is not told again as news
    batch.received         nothing                         a batch in hand comes again
    batch.set_aside        dead letter                     what cannot be read is set aside once, at no good one's cost
    batch.marked           dead letter                     no event passes for seen that was not applied
    batch.applied          effects, dead letter            the batch comes again and changes nothing
    batch.committed        effects, dead letter, offsets   the next process goes on behind it

Reporting takes no commands: a batch takes it past the points of a transaction.
"""

import pytest

from shared.crash_points import Point
from tests.crash.affairs import Affairs
from tests.crash.rounds import BY_BATCH, CANNOT, OF_BATCH, OF_COMMAND, SERVICES, Rounds
from tests.crash.services import ALL

CASES = [(service, point) for point in Point for service in SERVICES if (service, point) not in CANNOT]
every_case = pytest.mark.parametrize(("service", "point"), CASES, ids=str)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_every_point_is_tried_for_every_service_or_it_is_said_why_not() -> None:
    assert set(CASES) | set(CANNOT) == {(service, point) for service in SERVICES for point in Point}
    assert not set(CASES) & set(CANNOT)
    assert set(OF_COMMAND) | set(OF_BATCH) == set(Point)
    assert set(OF_BATCH) >= BY_BATCH


@every_case
async def test_it_dies_exactly_there(rounds: Rounds, service: str, point: Point) -> None:
    seen = await rounds.seen(service, point)
    assert seen.returncodes == [-9]
    assert seen.at_death == seen.expected_at_death


@every_case
async def test_every_command_and_every_event_has_its_effect_once(rounds: Rounds, service: str, point: Point) -> None:
    assert (await rounds.seen(service, point)).store_faults == []


@every_case
async def test_every_event_is_told_once_by_its_identifier_and_by_its_meaning(
    rounds: Rounds, service: str, point: Point
) -> None:
    assert (await rounds.seen(service, point)).event_faults == []


@every_case
async def test_marks_dead_letters_outbox_and_offsets_are_in_order(rounds: Rounds, service: str, point: Point) -> None:
    assert (await rounds.seen(service, point)).book_faults == []


@pytest.mark.parametrize(
    ("service", "point"), [case for case in CASES if case[0] != "reporting" and case[1] not in BY_BATCH]
)
async def test_a_command_sent_again_gets_one_answer(rounds: Rounds, service: str, point: Point) -> None:
    answers = (await rounds.seen(service, point)).answers
    assert len(answers) >= 2
    assert answers[0].status == 201
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("kind", ALL, ids=SERVICES)
async def test_one_more_restart_applies_nothing_again(rounds: Rounds, kind: type[Affairs]) -> None:
    world = (await rounds.affairs(kind)).world
    await world.quiet()
    await world.stop()
    before, told = await world.contents(), await world.published()
    await world.live()
    await world.quiet()
    assert await world.contents() == before
    assert await world.published() == told


@pytest.mark.parametrize(("service", "point"), CANNOT)
async def test_reporting_never_passes_what_it_is_said_not_to(rounds: Rounds, service: str, point: Point) -> None:
    """The relay's points lie behind events in the outbox, the consumer's mark behind the inbox: both stay empty."""
    kind = next(kind for kind in ALL if kind.service == service)
    async with (await rounds.affairs(kind)).world.store() as store:
        of = "inbox" if point in BY_BATCH else "outbox"
        assert await store[of].count_documents({}) == 0
