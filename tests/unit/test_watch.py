"""When a consumer has stalled, and when it only looks like it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from shared.watch import Look, Watch

MINE, OTHERS = ("referral.events", 0), ("referral.events", 1)
STALL_S = 60.0


def look(at: float, committed: Mapping[tuple[str, int], int], *, end: int = 100) -> Look:
    return Look(
        at=at,
        begins={MINE: 0, OTHERS: 0},
        ends={MINE: end, OTHERS: end},
        committed=committed,
        assigned=frozenset({MINE}),
    )


def test_a_consumer_that_stands_still_while_the_log_goes_on_has_stalled() -> None:
    watch = Watch(STALL_S)
    assert watch.see(look(0, {MINE: 40, OTHERS: 100})) is None
    assert watch.see(look(59, {MINE: 40, OTHERS: 100}, end=200)) is None
    reason = watch.see(look(60, {MINE: 40, OTHERS: 100}, end=300))
    assert reason is not None
    assert "partition 0 of referral.events" in reason


def test_a_consumer_that_moves_however_slowly_has_not() -> None:
    watch = Watch(STALL_S)
    for minute in range(20):
        assert watch.see(look(minute * 59.0, {MINE: 40 + minute, OTHERS: 100}, end=1_000)) is None


def test_what_another_replica_holds_is_not_this_ones_affair() -> None:
    watch = Watch(STALL_S)
    for minute in range(5):
        assert watch.see(look(minute * 60.0, {MINE: 100, OTHERS: 3})) is None


def test_a_process_that_holds_nothing_starts_anew_only_when_the_whole_group_stands_still() -> None:
    for others, expected in ((3, True), (None, False)):
        watch = Watch(STALL_S)
        reasons = [
            watch.see(
                replace(
                    look(minute * 60.0, {MINE: 100, OTHERS: others if others is not None else minute * 10}),
                    assigned=frozenset(),
                )
            )
            for minute in range(4)
        ]
        assert any(reasons) is expected


def test_a_partition_just_taken_over_has_all_its_time() -> None:
    watch = Watch(STALL_S)
    watch.see(replace(look(0, {MINE: 100, OTHERS: 40})))
    taken = frozenset({MINE, OTHERS})
    assert watch.see(replace(look(90, {MINE: 100, OTHERS: 40}), assigned=taken)) is None
    assert watch.see(replace(look(149, {MINE: 100, OTHERS: 40}), assigned=taken)) is None
    assert watch.see(replace(look(150, {MINE: 100, OTHERS: 40}), assigned=taken)) is not None


def test_batches_that_fail_for_want_of_a_store_are_no_stall() -> None:
    watch = Watch(STALL_S)
    for minute in range(5):
        assert watch.see(replace(look(minute * 60.0, {MINE: 40, OTHERS: 100}), failing=True)) is None


def test_a_batch_in_hand_for_too_long_and_a_loop_that_has_ended_are() -> None:
    watch = Watch(STALL_S)
    assert watch.see(replace(look(0, {MINE: 100, OTHERS: 100}), in_hand_s=59)) is None
    assert "in hand for 61 s" in str(watch.see(replace(look(1, {MINE: 100, OTHERS: 100}), in_hand_s=61)))
    assert "ended" in str(watch.see(replace(look(2, {MINE: 100, OTHERS: 100}), ended=True)))


def test_after_a_new_start_it_has_all_its_time_again() -> None:
    watch = Watch(STALL_S)
    watch.see(look(0, {MINE: 40, OTHERS: 100}))
    assert watch.see(look(60, {MINE: 40, OTHERS: 100})) is not None
    watch.begin_anew()
    assert watch.see(look(65, {MINE: 40, OTHERS: 100})) is None
    assert watch.see(look(125, {MINE: 40, OTHERS: 100})) is not None


@pytest.mark.parametrize(
    ("begin", "end", "committed", "lag"),
    [(0, 10, 4, 6), (0, 10, None, 10), (8, 10, 4, 2), (8, 10, None, 2), (10, 10, None, 0), (0, 5, 40, 5), (0, 0, 7, 0)],
)
def test_a_log_cut_off_at_its_beginning_or_made_anew_counts_from_where_it_begins(
    begin: int, end: int, committed: int | None, lag: int
) -> None:
    seen = Look(0, {MINE: begin}, {MINE: end}, {} if committed is None else {MINE: committed}, frozenset({MINE}))
    assert seen.lags == {MINE: lag}


def test_staleness_is_the_age_of_the_newest_state_of_the_log_that_is_applied_in_full() -> None:
    watch = Watch(STALL_S)
    seen = []
    for at, committed, end in (
        (0, 100, 100),
        (5, 100, 150),
        (10, 120, 200),
        (15, 150, 250),
        (20, 249, 250),
        (25, 250, 250),
    ):
        watch.see(Look(at, {MINE: 0}, {MINE: end}, {MINE: committed}, frozenset({MINE})))
        seen.append((watch.lag, watch.staleness_s))
    assert seen == [(0, 0), (50, 0), (80, 5), (100, 5), (1, 5), (0, 0)]
