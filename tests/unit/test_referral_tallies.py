"""What a list tells of its rows: counts by upstream base and campaign."""

from datetime import date

import pytest

from services.referral.intake import Taken
from services.referral.tallies import Origin, Refusal, refusal, taken_in
from shared.events.referral import RowCounts
from tests.support.referral import row_of

ORIGIN = Origin(date(2013, 4, 8), "list-1", "list")


def test_rows_are_counted_by_source_and_campaign_and_by_what_became_of_them() -> None:
    march, april = date(2013, 3, 31), date(2013, 4, 30)
    rows = [row_of("A", march), row_of("B", march), row_of("C", april)]
    taken = [Taken("accepted", "y1"), Taken("repeated"), Taken("disputed", "d1")]
    refusals = [Refusal("SCOLARITE", "2013-03", "under_16"), Refusal(None, None, "malformed")]
    [event] = taken_in(ORIGIN, rows, taken, refusals)
    assert (event.on, event.list_id, event.way, event.subject()) == (ORIGIN.on, "list-1", "list", "list-1")
    assert event.counts == (
        RowCounts(source=None, campaign=None, rows=1, rejected={"malformed": 1}),
        RowCounts(source="SCOLARITE", campaign="2013-03", rows=3, accepted=1, repeated=1, rejected={"under_16": 1}),
        RowCounts(source="SCOLARITE", campaign="2013-04", rows=1, disputed=1),
    )


def test_of_nothing_nothing_is_told() -> None:
    assert taken_in(ORIGIN, [], [], []) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"source": " SCOLARITE ", "campaign": "2013-03"}, ("SCOLARITE", "2013-03")),
        ({"source": "MARTIN Chloé", "campaign": "2013-13"}, (None, None)),
        ({"source": ["SCOLARITE"], "campaign": None}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_of_a_rejected_row_only_a_known_source_and_a_readable_campaign_are_told(
    values: dict[str, object], expected: tuple[str | None, str | None]
) -> None:
    assert refusal(values, "under_16") == (*expected, "under_16")
