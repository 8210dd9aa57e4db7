"""What the public may not see is nowhere in its pages: not in a cell, a title, an attribute or a drawing."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.france import France
from tests.browser.sheets import HIDDEN, places, table
from tests.browser.visits import visiting

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

YEAR = {"from": "2013-01-01", "to": "2013-12-31"}
COLUMNS = ("detected", "reached", "interviewed", "contracted", "returned", "civic_service")
NUMBER = re.compile(r"(?<![\w.#-])(?<!\d,)\d+(?!,\d|[\s\u202f]?%)(?![\w.-])")
GEOMETRY = re.compile(r' (?:d|x|y|cx|cy|r|rx|width|height|viewBox)="[^"]*"|(?<=\d)\u202f(?=\d)')
"""Where a drawing is, and the blanks within numbers."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}.{number}")
    else:
        yield path, value


def counts(rows: Mapping[tuple[str, str], Any]) -> dict[str, int]:
    """Every count of the rows by its place."""
    return {
        path: value
        for unit, row in rows.items()
        for path, value in leaves(row, "|".join(unit))
        if isinstance(value, int) and not isinstance(value, bool) and "delays" not in path
    }


def numbers(source: str) -> set[int]:
    """The whole numbers that stand in a page's source, but for where its drawings are."""
    return {int(found) for found in NUMBER.findall(GEOMETRY.sub("", source))}


async def test_a_hidden_count_is_not_shown_in_the_table_nor_on_the_map(browser: Browser, france: France) -> None:
    public = france.rows(of=france.public, by="academie", **YEAR)
    async with visiting(browser, f"{france.public}/?year=2013") as visit:
        rows = {row.code: row for row in await table(visit.page, "academies-table") if row.href}
        shown = await places(visit.page)
    hidden = 0
    for (_, code), row in public.items():
        for name in COLUMNS:
            if row["activity"][name] is None:
                hidden += 1
                assert rows[code].cells[name] == HIDDEN
                assert rows[code].values[name] == ""
        if row["achieved"] is None:
            assert "%" not in rows[code].cells["attainment"]
            assert "%" not in shown.get(code, "")  # vice-rectorats are not on the map
    assert hidden > 0


async def test_no_number_that_is_hidden_stands_anywhere_in_the_source(france: France) -> None:
    levels = {"by": "national,academie,network"}
    secret = counts(france.rows(**levels, **YEAR))
    known = counts(france.rows(of=france.public, **levels, **YEAR))
    objectives = france.get("/v1/objectives/2013", of=france.public)
    public = {*known.values(), *(int(value) for _, value in leaves(objectives) if isinstance(value, int | float))}
    # Small numbers stand in every page as something else; a larger one that the public is told nowhere must not.
    telling = {place: value for place, value in secret.items() if place not in known and value > 12}
    telling = {place: value for place, value in telling.items() if value not in public}
    of_academies = [place for place in telling if place.startswith("academie|") and ".activity." in place]
    code = of_academies[0].split("|")[1].partition(".")[0]
    for path in ("/?year=2013", f"/academies/{code}?year=2013"):
        assert numbers(france.answer(path).text) & set(telling.values())  # so that it would be found
    for path in ("/?year=2013", f"/academies/{code}?year=2013", "/academies/27?year=2013", "/objectifs?year=2013"):
        assert numbers(france.answer(path, of=france.public).text) & set(telling.values()) == set(), path


async def test_what_staff_see_is_not_cached_for_the_public(france: France) -> None:
    staff = france.answer("/academies/27?year=2013")
    public = france.answer("/academies/27?year=2013", of=france.public, if_none_match=staff.headers["etag"])
    assert public.status_code == 200
    assert public.headers["etag"] != staff.headers["etag"]
    assert 'class="hidden-count"' in public.text
    assert 'class="hidden-count"' not in staff.text
