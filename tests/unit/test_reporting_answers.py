"""Parameters, units, periods, shares and freshness, without a store."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from services.reporting import freshness
from services.reporting.figures import Period, figures, median, percentile
from services.reporting.freshness import Position
from services.reporting.queries import IndicatorsQuery
from services.reporting.reading import Gathered, Reading
from services.reporting.units import Units, suggestions
from shared.envelope import Record
from shared.problems import Problem
from shared.reference import load
from tests.support import oracle

YEAR_2013 = Period(date(2013, 1, 1), date(2013, 12, 31))


def query(**parameters: object) -> IndicatorsQuery:
    return IndicatorsQuery.model_validate(parameters)


def test_lists_come_with_commas_or_repeated_and_each_item_once() -> None:
    assert query(by=["national,academie", "national"]).by == ("national", "academie")
    assert query(code="24, 01").code == ("24", "01")
    assert query().by == ("national",)
    assert query().view == ("activity", "cohort")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("by", "region"),
        ("by", ""),
        ("view", "activity,all"),
        ("code", "24,,01"),
        ("from", "2013-02-30"),
        ("from", "1356998400"),
        ("to", "01/02/2013"),
        ("to", ""),
        ("form", "2013-01-01"),
        ("from_", "2013-01-01"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        query(**{name: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {name}


def test_a_period_from_after_its_end_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        query(**{"from": "2013-02-02", "to": "2013-02-01"}).period()
    assert (refused.value.status, refused.value.code) == (422, "period_upside_down")
    assert query(**{"from": "2013-02-01", "to": "2013-02-01"}).period() == Period(date(2013, 2, 1), date(2013, 2, 1))


def test_thirty_academies_are_listed_in_2013_and_in_2021_and_those_of_both_over_the_reform() -> None:
    units = Units(load())
    in_2013 = units.always("academie", YEAR_2013, {})
    assert len(in_2013) == 30
    assert {"05", "21"} <= in_2013
    assert not {"70", "40", "43"} & in_2013
    in_2021 = units.always("academie", Period(date(2021, 1, 1), date(2021, 12, 31)), {})
    assert len(in_2021) == 30
    assert "70" in in_2021
    assert not {"05", "21"} & in_2021
    over_both = units.always("academie", Period(date(2019, 12, 31), date(2020, 1, 1)), {})
    assert {"05", "21", "70"} <= over_both


def test_every_departement_and_every_registered_network_is_listed() -> None:
    units = Units(load())
    assert {"2A", "59", "976"} <= units.always("departement", YEAR_2013, {})
    assert units.always("network", YEAR_2013, {"FOQ-1": "One"}) == {"FOQ-1"}
    assert units.always("national", YEAR_2013, {}) == {"FR"}


def test_an_unknown_code_is_answered_with_those_close_to_it() -> None:
    labels = [Units(load()).labels("academie", YEAR_2013, {})]
    assert suggestions("versaille", labels)[0] == "25 (Versailles)"
    assert "24 (Créteil)" in suggestions("Creteil", labels)
    assert suggestions("zzzzzz", labels) == []


def test_figures_of_nobody_are_zeros_without_shares_and_delays() -> None:
    assert figures(Counter(), ("activity", "cohort")) == oracle.NOBODY
    assert set(figures(Counter(), ("activity",))) == {"activity", "dismissed_by_source"}
    assert set(figures(Counter(), ("cohort",))) == {"cohort"}


def test_median_is_the_mean_of_the_middle_two_and_p90_the_nearest_rank() -> None:
    assert median({3: 1, 4: 1}) == 3.5
    assert median({0: 2, 7: 1}) == 0
    assert percentile(dict.fromkeys(range(1, 11), 1), 90) == 9
    assert percentile(dict.fromkeys(range(1, 12), 1), 90) == 10
    assert percentile({5: 1}, 90) == 5


def record(partition: int, offset: int) -> Record:
    return Record("p.referral.events", partition, offset, None, b"{}", ())


def test_positions_move_past_every_record_of_a_batch_good_or_not() -> None:
    gathered = Gathered()
    unreadable = [record(0, 4), record(1, 9), record(0, 3)]
    assert Reading().read(unreadable, gathered) == unreadable
    assert {key: position.next_offset for key, position in gathered.positions.items()} == {
        ("p.referral.events", 0): 5,
        ("p.referral.events", 1): 10,
    }


def test_lag_counts_what_is_not_applied_and_is_never_negative() -> None:
    time = datetime(2013, 4, 1, tzinfo=UTC)
    names = {"p.referral.events": "referral.events", "p.tracking.events": "tracking.events"}
    positions = {
        ("p.referral.events", 0): Position(7, time),
        ("p.referral.events", 1): Position(90),
    }
    ends = {
        ("p.referral.events", 0): 10,
        ("p.referral.events", 1): 2,
        ("p.referral.events", 2): 5,
        ("p.tracking.events", 0): 0,
    }
    assert freshness.sources(names, positions, ends) == [
        {"topic": "referral.events", "last_event_time": time, "lag": 3 + 2 + 5},
        {"topic": "tracking.events", "last_event_time": None, "lag": 0},
    ]
    assert [source["lag"] for source in freshness.sources(names, positions, None)] == [None, None]
    assert set(freshness.lost(positions, ends)) == {("p.referral.events", 1)}
