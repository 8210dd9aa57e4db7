"""Outside, nothing that is shown of quality depends on a small count; and notes join in any order."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.reporting.app import NOTES
from services.reporting.quality.counts import OUTCOMES, Affairs, Rows, Shown, affairs_view, by_code, rows_view
from shared.events import (
    DisputeOpened,
    DisputeSettled,
    Event,
    ListTakenIn,
    TrackingDeadLetterKept,
    TrackingDeadLetterSettled,
)

PUBLIC, STAFF = Shown(everything=False), Shown(everything=True)
TODAY = date(2013, 6, 20)
CODES = ("under_16", "over_25", "malformed")
SMALL = st.integers(1, 4)
MONTHS = st.lists(st.sampled_from((0, 1, 2, 3, 4, 5, 6, 40)), max_size=4)
ROWS = st.builds(
    Rows,
    st.fixed_dictionaries(dict.fromkeys(OUTCOMES, MONTHS)),
    st.dictionaries(st.sampled_from(CODES), MONTHS),
    st.dictionaries(st.sampled_from(("bad_ine", "school_not_listed")), MONTHS),
)


def disturbed(months: list[int], data: st.DataObject) -> list[int]:
    """The same with every small count another small count."""
    return [data.draw(SMALL) if 0 < count < 5 else count for count in months]


def disturbed_rows(rows: Rows, data: st.DataObject) -> Rows:
    return Rows(
        *(
            {name: disturbed(months, data) for name, months in counts.items()}
            for counts in (rows.outcomes, rows.rejected, rows.warnings)
        )
    )


@given(st.lists(ROWS, min_size=1, max_size=4), st.data())
def test_who_reads_outside_cannot_tell_one_small_count_from_another(sources: list[Rows], data: st.DataObject) -> None:
    others = [disturbed_rows(rows, data) for rows in sources]
    assert [rows_view(rows, PUBLIC) for rows in sources] == [rows_view(rows, PUBLIC) for rows in others]
    assert by_code([r.rejected for r in sources], PUBLIC) == by_code([r.rejected for r in others], PUBLIC)


@given(MONTHS, MONTHS, st.data())
def test_nor_one_small_number_of_disputes_from_another(
    settled: list[int], still_open: list[int], data: st.DataObject
) -> None:
    oldest = date(2013, 6, 1) if sum(still_open) else None
    one = Affairs(settled, still_open, oldest)
    other = Affairs(disturbed(settled, data), disturbed(still_open, data), oldest)
    assert affairs_view(one, "opened", TODAY, PUBLIC) == affairs_view(other, "opened", TODAY, PUBLIC)


@given(ROWS)
def test_what_is_shown_outside_is_what_staff_sees_or_nothing(rows: Rows) -> None:
    staff, public = rows_view(rows, STAFF), rows_view(rows, PUBLIC)
    assert staff["rows"] == sum(rows.every())
    for name, value in public.items():
        if isinstance(value, dict):
            seen = staff[name]
            assert isinstance(seen, dict)
            assert all(count in (None, seen[code]) for code, count in value.items())
        else:
            assert value in (None, staff[name])


DAY = date(2013, 4, 8)
LETTER: dict[str, Any] = {"dead_letter_id": "t.0.1.ab", "topic": "t", "code": "bad_json"}
EVENTS: tuple[Event, ...] = (
    ListTakenIn(on=DAY, list_id="l", way="list", counts=()),
    DisputeOpened(dispute_id="d", on=DAY, source="SCOLARITE"),
    DisputeSettled(dispute_id="d", on=date(2013, 4, 9), source="SCOLARITE", decision="same"),
    TrackingDeadLetterKept(on=DAY, **LETTER),
    TrackingDeadLetterSettled(on=DAY, by="person", **LETTER),
)


@given(st.permutations([*range(len(EVENTS)), *range(len(EVENTS))]))
def test_notes_of_the_same_events_in_any_order_and_twice_are_the_same(order: list[int]) -> None:
    def kept(numbers: list[int]) -> dict[tuple[str, str], dict[str, Any]]:
        documents: dict[tuple[str, str], dict[str, Any]] = {}
        for number in numbers:
            event = EVENTS[number]
            note = NOTES[type(event)](event, f"e{number}")
            documents.setdefault((note.collection, note.id), {}).update(note.fields)
        return documents

    assert kept(order) == kept([*range(len(EVENTS))])
