"""What pages show, without a store: numbers in charts and on the map, periods, writing, followers, kept pages."""

import asyncio
import re
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import pytest
from pydantic import ValidationError

from services.reporting.answers import Answers
from services.reporting.pages import charts, views
from services.reporting.pages.charts import Bar, Mark, Range, Series
from services.reporting.pages.follow import Followers
from services.reporting.pages.kept import Pages, State, View
from services.reporting.pages.map import sheet
from services.reporting.pages.periods import FiguresQuery, chosen, years
from services.reporting.pages.site import Asked, Site
from services.reporting.pages.writing import Writing
from services.reporting.readers import NATIONAL, PUBLIC
from shared.problems import Problem
from shared.reference import load

FR, EN = Writing("fr"), Writing("en")
SPAN = (2012 * 12 + 8, 2013 * 12 + 4)
TODAY = date(2014, 2, 3)


def query(**parameters: object) -> FiguresQuery:
    return FiguresQuery.model_validate(parameters)


def test_numbers_are_written_as_each_language_does() -> None:
    assert [FR.number(n) for n in (20_000, 1.5, 7.0, -18_905)] == ["20\u202f000", "1,5", "7", "\u221218\u202f905"]
    assert [EN.number(n) for n in (20_000, 1.5)] == ["20,000", "1.5"]
    assert (FR.percent(0.1234), EN.percent(0.1234, 0)) == ("12,3\u202f%", "12%")
    assert (FR.day(date(2013, 3, 1)), EN.day(date(2013, 3, 1))) == ("1er mars 2013", "1 March 2013")
    assert [FR.of(name) for name in ("Lille", "Amiens", "Guyane")] == ["de Lille", "d'Amiens", "de la Guyane"]


def test_without_a_year_the_latest_with_figures_is_shown() -> None:
    assert chosen(query(), SPAN, TODAY).name(FR) == "2013"
    assert chosen(query(), None, TODAY).year == 2014
    assert years(SPAN, TODAY) == [2013, 2012]


def test_a_period_is_a_year_or_two_months_of_it_or_two_days() -> None:
    two = chosen(query(year="2012", period="2"), SPAN, TODAY)
    assert (two.first, two.last, two.name(EN)) == (date(2012, 3, 1), date(2012, 4, 30), "March–April 2012")
    days = chosen(query(**{"from": "2013-03-01", "to": "2013-05-04", "year": ""}), SPAN, TODAY)
    assert (days.name(FR), days.year) == ("du 1er mars 2013 au 4 mai 2013", 2013)
    assert days.query() == {"from": "2013-03-01", "to": "2013-05-04"}
    assert chosen(query(to="2013-05-04"), SPAN, TODAY).first == date(2013, 1, 1)


def test_a_period_upside_down_or_a_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        chosen(query(**{"from": "2013-05-01", "to": "2013-04-01"}), SPAN, TODAY)
    assert (refused.value.status, refused.value.code) == (422, "period_upside_down")
    for wrong in ({"from": "2013-02-30"}, {"period": "7"}, {"year": "13.5"}, {"lang": "de"}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            query(**wrong)


def test_a_funnel_writes_the_numbers_and_its_bars_are_in_proportion() -> None:
    bars = [Bar("Repérés", 1_200, 1.0), Bar("Joints", 300, 0.25), Bar("Retour", None, None)]
    svg = charts.funnel(bars, FR, title="Parcours <x>", hidden="n.c.")
    long, short = (float(width) for width in re.findall(r'width="([\d.]+)" height="\d+" class="bar"', svg))
    assert short == long / 4
    assert "1\u202f200 (100,0\u202f%)" in svg
    assert "300 (25,0\u202f%)" in svg
    assert svg.count("bar-none") == 1
    assert "Retour: n.c." in svg
    assert "Parcours &lt;x&gt;</title>" in svg


def test_a_line_has_a_mark_for_each_known_value_and_a_gap_where_it_is_hidden() -> None:
    series = [Series("A", [0, 10, None, 20]), Series("B", [5, 5, 5, 5], "b")]
    svg = charts.lines(["1", "2", "3", "4"], series, FR, name="x", title="T", told="D")
    assert svg.count('class="dot a"') == 3 + 1  # one in the key
    path = re.findall(r'<path d="(M[^"]+)" class="line a"', svg)[0]
    assert path.count("M") == 2
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)" r="4" class="dot a"', svg)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])
    assert re.findall(r'text-anchor="end">(\d+)<', svg) == ["0", "5", "10", "15", "20"]


def test_a_landing_and_a_break_are_drawn_with_their_names() -> None:
    svg = charts.lines(
        ["1", "2"],
        [Series("A", [1, 2])],
        FR,
        name="x",
        title="T",
        told="D",
        landing=Range(4, 3, 6),
        breaks=[Mark(0, "b")],
    )
    assert svg.count('class="range"') == 1
    assert "<title>b</title>" in svg


def test_a_chart_of_nothing_is_still_a_chart() -> None:
    assert "<svg" in charts.lines(["1"], [Series("A", [None])], FR, name="x", title="T", told="D")
    assert "<svg" in charts.funnel([Bar("A", 0, None)], FR, title="T", hidden="n.c.")


@pytest.mark.parametrize("day", [date(2013, 6, 1), date(2021, 6, 1)])
def test_every_academie_of_a_day_is_on_the_map_once_and_inside_the_sheet(day: date) -> None:
    reference = load()
    drawn = sheet(reference.outlines(day))
    codes = [shape.code for shape in drawn.shapes]
    assert len(codes) == len(set(codes))
    assert {academie.code for academie in reference.academies(day, "academie")} <= set(codes)
    assert {shape.code for shape in drawn.under} == {"01", "24", "25"}
    for shape in drawn.shapes:
        assert 0 < shape.at[0] < 1000
        assert 0 < shape.at[1] < 1140
        assert re.fullmatch(r"(M\d+ \d+l[\d -]+z)+", shape.path)


def test_attainment_falls_into_classes_and_what_is_hidden_into_none() -> None:
    assert [views.class_of(share) for share in (0, 0.249, 0.25, 0.5, 0.999, 1, 1.4, None)] == [
        0,
        0,
        1,
        2,
        3,
        4,
        4,
        None,
    ]


def test_who_is_back_is_hidden_with_a_part_of_it() -> None:
    assert views.back({"returned": 7, "civic_service": 5}) == 12
    assert views.back({"returned": 7, "civic_service": None}) is None


def test_a_hidden_value_is_told_from_one_that_there_is_not() -> None:
    activity = dict.fromkeys(views.NATIONAL_COLUMNS)
    row = {"code": "09", "label": "Lille", "activity": activity, "cohort": {"size": 3, "shares": {"unknown": None}}}
    line = {"objective": 10, "achieved": None, "attainment": None}
    [hidden] = views.national_rows([row], {"09": line})
    assert hidden["nothing"] == []
    [no_objective] = views.national_rows([row], {"09": {"objective": None, "achieved": 5, "attainment": None}})
    assert no_objective["nothing"] == ["objective", "attainment"]
    assert views.places([hidden])["09"].kind is None


def test_a_link_keeps_the_language_and_a_page_has_its_other_language() -> None:
    page = Asked("/academies/09", "lang=en&year=2013")
    assert page.to("/", year=2013) == "/?year=2013&lang=en"
    assert page.other == "/academies/09?year=2013"
    assert Asked("/").other == "/?lang=en"


def test_both_languages_have_the_same_texts() -> None:
    site = Site(NATIONAL)

    def keys(texts: Any, path: str = "") -> set[str]:
        if not hasattr(texts, "__dict__"):
            return {path}
        return {key for name, value in vars(texts).items() for key in keys(value, f"{path}.{name}")}

    assert keys(site.texts("fr")) == keys(site.texts("en"))


class Clocked:
    """Kept pages whose state and view a test sets; `made` counts the views."""

    def __init__(self, age_s: float) -> None:
        self.state = 1
        self.shown = "a"
        self.made = 0
        self.pages = Pages(Site(PUBLIC), self._state, age_s=age_s)

    async def _state(self) -> tuple[object, ...]:
        return (self.state,)

    async def look(self, state: State) -> View:
        self.made += 1
        view = {"title": self.shown, "detail": "", "status": 404, "code": "c", "errors": [], "suggestions": []}
        return state, "problem.html", view


async def test_a_page_is_made_anew_only_where_its_state_and_its_view_are_others() -> None:
    clocked = Clocked(age_s=0)
    page = await clocked.pages.show(Asked("/"), clocked.look)
    body, etag = page.body, page.etag
    await clocked.pages.renew(page)
    assert clocked.made == 1
    clocked.state = 2
    await clocked.pages.renew(page)
    assert (clocked.made, page.body is body) == (2, True)
    clocked.state, clocked.shown = 3, "b"
    await clocked.pages.renew(page)
    assert page.etag != etag
    assert b"<title>b" in page.body.plain


async def test_readers_get_the_last_page_while_the_next_is_made_and_never_an_old_one() -> None:
    clocked = Clocked(age_s=0.01)
    page = await clocked.pages.show(Asked("/"), clocked.look)
    clocked.state, clocked.shown = 2, "b"
    page.fresh_at -= 0.7
    await asyncio.sleep(0.02)
    await clocked.pages.renew(page)
    assert b"<title>a" in page.body.plain
    assert page.renewal is not None
    await page.renewal
    assert b"<title>b" in page.body.plain
    clocked.state, clocked.shown = 3, "c"
    page.fresh_at -= 5
    page.asked_at -= 5
    await asyncio.sleep(0.02)
    await clocked.pages.renew(page)
    assert b"<title>c" in page.body.plain


async def test_what_was_written_here_is_shown_at_once() -> None:
    clocked = Clocked(age_s=60)
    page = await clocked.pages.show(Asked("/"), clocked.look)
    clocked.shown = "b"
    clocked.pages.look_anew()
    await clocked.pages.renew(page)
    assert b"<title>b" in page.body.plain


class Moving:
    """Figures that move when a test says so."""

    moves = 1

    async def edition(self) -> "Moving":
        return self


@pytest.fixture
async def follow() -> Callable[..., tuple[Followers, Moving, asyncio.Event]]:
    def make(most: int = 5) -> tuple[Followers, Moving, asyncio.Event]:
        moving, ending = Moving(), asyncio.Event()
        return Followers(cast(Answers, moving), ending, every_s=0.01, heartbeat_s=0.05, most=most), moving, ending

    return make


async def test_who_follows_is_told_when_figures_move_and_hears_that_the_service_ends(
    follow: Callable[..., tuple[Followers, Moving, asyncio.Event]],
) -> None:
    followers, moving, ending = follow()
    looking = asyncio.create_task(followers.run())
    stream = followers.stream()
    heard = [await anext(stream), await anext(stream)]
    assert heard == [b"retry: 3000\n\n", b"event: figures\ndata: 1\n\n"]
    assert await anext(stream) == b": still here\n\n"
    moving.moves = 2
    assert await anext(stream) == b"event: figures\ndata: 2\n\n"
    ending.set()
    assert [message async for message in stream] == []
    looking.cancel()


async def test_only_so_many_may_follow_and_a_place_is_free_again_when_one_leaves(
    follow: Callable[..., tuple[Followers, Moving, asyncio.Event]],
) -> None:
    followers, _, _ = follow(most=1)
    stream = cast(Any, followers.stream())
    with pytest.raises(Problem) as refused:
        followers.stream()
    assert (refused.value.status, refused.value.code) == (503, "too_many_followers")
    await anext(stream)
    await stream.aclose()
    assert await anext(followers.stream()) == b"retry: 3000\n\n"
