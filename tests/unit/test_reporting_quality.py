"""What a reader sees of quality, in the smallest cases."""

from datetime import date

import pytest

from services.reporting.quality.counts import Affairs, LastSeen, Rows, Shown, affairs_view, by_code, rows_view, silence

STAFF, PUBLIC = Shown(everything=True), Shown(everything=False)
TODAY = date(2013, 6, 20)


@pytest.mark.parametrize(("counts", "public"), [([], 0), ([0, 7], 7), ([5, 6], 11), ([1], None), ([4, 100], None)])
def test_outside_a_sum_is_shown_only_where_no_month_in_it_is_small(counts: list[int], public: int | None) -> None:
    assert STAFF.total(counts) == sum(counts)
    assert PUBLIC.total(counts) == public


def test_the_rows_of_a_source_add_up_to_what_became_of_them() -> None:
    rows = Rows({"accepted": [60, 20], "repeated": [10]}, {"over_25": [6], "under_16": [4]}, {"bad_ine": [3]})
    seen = rows_view(rows, STAFF)
    assert (seen["rows"], seen["accepted"], seen["matched"], seen["rejected_total"]) == (100, 80, 0, 10)
    assert (seen["accepted_share"], seen["rejected_share"]) == (0.8, 0.1)
    assert seen["rejected"] == {"over_25": 6, "under_16": 4}


def test_outside_a_small_reject_hides_every_total_that_it_is_in_and_the_shares() -> None:
    rows = Rows({"accepted": [80]}, {"over_25": [6], "under_16": [4]})
    seen = rows_view(rows, PUBLIC)
    assert seen["rejected"] == {"over_25": 6, "under_16": None}
    assert (seen["accepted"], seen["rows"], seen["rejected_total"]) == (80, None, None)
    assert (seen["accepted_share"], seen["rejected_share"]) == (None, None)
    other = Rows({}, {"under_16": [50]})
    assert by_code([rows.rejected, other.rejected], PUBLIC) == {"over_25": 6, "under_16": None}
    assert by_code([rows.rejected, other.rejected], STAFF) == {"over_25": 6, "under_16": 54}


def test_a_source_without_rows_has_no_shares() -> None:
    seen = rows_view(Rows(), PUBLIC)
    assert (seen["rows"], seen["accepted_share"], seen["rejected_share"]) == (0, None, None)


def test_of_affairs_all_is_shown_or_nothing() -> None:
    affairs = Affairs(settled=[9], open=[3], oldest_open=date(2013, 6, 1))
    assert affairs_view(affairs, "opened", TODAY, STAFF) == {
        "opened": 12,
        "settled": 9,
        "open": 3,
        "oldest_open_on": date(2013, 6, 1),
        "oldest_open_days": 19,
    }
    assert set(affairs_view(affairs, "opened", TODAY, PUBLIC).values()) == {None}


def test_silence_is_counted_in_days_and_a_source_never_heard_of_has_none() -> None:
    assert silence(LastSeen(date(2013, 5, 5), "2013-04"), TODAY) == 46
    assert silence(LastSeen(TODAY, None), TODAY) == 0
    assert silence(None, TODAY) is None
