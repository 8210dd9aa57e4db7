"""Where a year lands: never below what is achieved, ever surer, and right four times of five."""

import random
from datetime import date, timedelta
from itertools import pairwise
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.objectives.landing import Landing, landing
from services.reporting.objectives.season import LEAST, last_day, season

ACHIEVED = st.integers(1, 30_000)
SHARES = st.floats(0.01, 1, allow_nan=False)
YEARS = st.integers(2000, 2100)


@given(achieved=ACHIEVED, share=SHARES)
def test_the_landing_is_within_its_range_and_nobody_who_returned_is_lost(achieved: int, share: float) -> None:
    found = landing(achieved, share)
    assert found is not None
    assert achieved <= found.low <= found.value <= found.high


@given(year=st.integers(5, 30_000), shares=st.tuples(SHARES, SHARES))
def test_the_range_narrows_as_a_year_goes_on_as_expected(year: int, shares: tuple[float, float]) -> None:
    early, late = sorted(shares)
    first, second = (landing(max(1, round(year * share)), share) for share in (early, late))
    assert first is not None
    assert second is not None
    if round(year * early) >= 1:  # else it has begun quicker than expected
        rounding = 2 + 1 / early  # one youth more or less, seen at the year's end
        assert second.high - second.low <= first.high - first.low + rounding


@given(achieved=st.integers(0, 30_000))
def test_at_the_years_end_all_is_what_was_achieved(achieved: int) -> None:
    assert landing(achieved, 1.0) == Landing(achieved, achieved, achieved)


@pytest.mark.parametrize(("achieved", "share"), [(0, 0.5), (3, 0.0), (3, 0.009)])
def test_too_early_nothing_is_said(achieved: int, share: float) -> None:
    assert landing(achieved, share) is None


def plain_range(achieved: int, share: float) -> tuple[int, int]:
    """By the definition of the distribution, number after number."""
    shape, probability, below, number = achieved + 0.5, share ** (achieved + 0.5), 0.0, 0
    low: int | None = None
    while True:
        below += probability
        if low is None and below >= 0.1:
            low = number
        if low is not None and below >= 0.9:
            return achieved + low, achieved + number
        probability *= (number + shape) / (number + 1) * (1 - share)
        number += 1


@given(achieved=st.integers(1, 60), share=st.floats(0.02, 0.999))
def test_the_range_is_the_quantiles_of_the_negative_binomial_distribution(achieved: int, share: float) -> None:
    found = landing(achieved, share)
    low, high = plain_range(achieved, share)
    assert found is not None
    assert (found.low, found.high) == (min(found.value, low), max(found.value, high))


@pytest.mark.parametrize("share", [0.1, 0.35, 0.7, 0.95])
@pytest.mark.parametrize("of_a_year", [30, 200, 2_000])
def test_four_years_of_five_land_in_the_range(of_a_year: int, share: float) -> None:
    chance = np.random.default_rng(2013)
    held = total = 0
    for _ in range(600):
        so_far, later = (int(chance.poisson(of_a_year * part)) for part in (share, 1 - share))
        found = landing(so_far, share)
        if found is not None:
            total += 1
            held += found.low <= so_far + later <= found.high
    assert total > 500
    # Numbers are whole, so where few are to come the range holds more than it must.
    most = 0.95 if of_a_year * (1 - share) > 5 else 1.0
    assert 0.70 <= held / total <= most


@given(year=YEARS, data=st.data())
def test_the_share_of_a_year_rises_from_nothing_to_one(year: int, data: st.DataObject) -> None:
    before = sorted(data.draw(st.lists(st.integers(0, 5_000), min_size=12, max_size=12)))
    found = season(year, before)
    assert found.method == ("seasonal" if before[-1] >= LEAST else "linear")
    days = [
        date(year, 1, 1) + timedelta(days=number) for number in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)
    ]
    shares = [found.share(day) for day in days]
    assert all(0 <= one <= other + 1e-12 for one, other in pairwise(shares))
    assert shares[-1] == 1
    assert found.share(date(year - 1, 12, 31)) == 0
    assert found.share(date(year + 1, 1, 1)) == 1
    if found.method == "seasonal":
        for month in range(1, 13):
            assert found.share(last_day(year, month)) == pytest.approx(before[month - 1] / before[-1])
    else:
        assert shares == pytest.approx([(number + 1) / len(days) for number in range(len(days))])


def test_a_season_of_which_a_month_is_hidden_is_not_used() -> None:
    shown = [10 * number for number in range(1, 13)]
    assert season(2013, shown).method == "seasonal"
    assert season(2013, [None, *shown[1:]]).method == "linear"


def test_a_seeded_season_is_followed_where_linear_days_mislead() -> None:
    """A fifth of the year's returns by the end of August, as classes begin in September."""
    before = [25 * number for number in range(1, 9)] + [600, 800, 900, 1_000]
    found = season(2013, before).share(date(2013, 8, 31))
    assert found == 0.2
    seasonal, linear = landing(40, found), landing(40, 243 / 365)
    assert seasonal is not None
    assert linear is not None
    assert (seasonal.value, linear.value) == (200, 60)
    chance = random.Random(7)
    later = sum(chance.random() < 1 - exp(-0.16) for _ in range(1_000))
    assert seasonal.low <= 40 + later <= seasonal.high
