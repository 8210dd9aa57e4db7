"""What holds for every page, at the width of a desk and at that of a telephone."""

import pytest
from playwright.async_api import Browser, Page

from tests.browser.france import France
from tests.browser.keyboard import tab_through
from tests.browser.visits import NARROW, WIDE, barriers, overflow, picture, resize, visiting

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

STAFF = {
    "nationale": "/?year=2013",
    "academie": "/academies/10?year=2013",
    "definitions": "/definitions",
    "objectifs": "/objectifs?year=2013&academie=10",
    "bilans": "/bilans?year=2013",
    "bilan": "/bilans/2013/2/10",
    "bilan-textes": "/bilans/2013/5/10/textes",
    "bilan-validation": "/bilans/2013/5/10/validation",
    "bilan-gel": "/bilans/2013/5/10/gel",
    "bilan-correction": "/bilans/2013/2/10/correction",
    "qualite": "/qualite",
    "lignee": "/lignee?by=academie&code=10&view=cohort&indicator=contracted&from=2013-01-01&to=2013-12-31",
}
PUBLIC = {name: STAFF[name] for name in ("nationale", "academie", "objectifs", "bilans", "bilan", "qualite")}
WRONG = {
    "/academies/99": 404,
    "/?from=2013-06-30&to=2013-01-01": 422,
    "/academies/10?from=2013-02-30&to=2013-03-31": 422,
    "/bilans/2013/7/10": 404,
    "/bilans/2014/1/10": 404,
    "/qualite?from=2013-06-30&to=2013-01-01": 422,
    "/objectifs?year=1850": 422,
    "/lignee?by=academie&code=10&indicator=fortune": 422,
}


async def fits_without_barriers(page: Page, name: str) -> None:
    """At both widths: nothing sticks out, axe finds nothing; a picture of each is kept for a person."""
    for width in (WIDE, NARROW):
        await resize(page, width)
        await picture(page, name, width)
        assert await overflow(page) <= 0, width
        assert await barriers(page) == [], width


@pytest.mark.parametrize("name", STAFF)
async def test_a_page_of_the_staff_is_without_barriers_and_fits(browser: Browser, france: France, name: str) -> None:
    async with visiting(browser, f"{france.staff}{STAFF[name]}") as visit:
        assert await visit.page.locator("html").get_attribute("lang") == "fr"
        assert await visit.page.locator("h1").count() == 1
        assert "personnel national" in await visit.page.locator(".reader").inner_text()
        await fits_without_barriers(visit.page, name)


@pytest.mark.parametrize("name", PUBLIC)
async def test_a_page_of_the_public_in_english_is_without_barriers_and_fits(
    browser: Browser, france: France, name: str
) -> None:
    path = PUBLIC[name]
    async with visiting(browser, f"{france.public}{path}{'&' if '?' in path else '?'}lang=en", NARROW) as visit:
        assert await visit.page.locator("html").get_attribute("lang") == "en"
        assert await visit.page.locator("h1").count() == 1
        assert "Public view" in await visit.page.locator(".reader").inner_text()
        assert await visit.page.locator("form[method=post]").count() == 0
        await fits_without_barriers(visit.page, f"{name}-public-en")


@pytest.mark.parametrize("path", WRONG)
async def test_what_cannot_be_asked_is_a_page_that_says_what_to_do(browser: Browser, france: France, path: str) -> None:
    async with visiting(browser, f"{france.staff}{path}", NARROW, status=WRONG[path]) as visit:
        await picture(visit.page, f"probleme-{WRONG[path]}", NARROW)
        assert await visit.page.locator("html").get_attribute("lang") == "fr"
        assert len(await visit.page.locator("main .lede").inner_text()) > 20
        assert await visit.page.locator("main a").count() >= 1
        assert await overflow(visit.page) <= 0
        assert await barriers(visit.page) == []


@pytest.mark.parametrize(
    "name", ["nationale", "academie", "objectifs", "bilan", "bilan-textes", "bilan-gel", "qualite"]
)
async def test_the_tab_key_alone_leads_through_a_page_in_its_order(browser: Browser, france: France, name: str) -> None:
    async with visiting(browser, f"{france.staff}{STAFF[name]}") as visit:
        expected, stops = await tab_through(visit.page)
        assert stops[0].target == "#main"
        assert [stop.number for stop in stops] == list(range(expected))
        assert [stop for stop in stops if not stop.marked] == []
        assert [stop for stop in stops if not stop.shown] == []


async def test_the_first_link_leads_past_the_navigation(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/?year=2013") as visit:
        await visit.page.keyboard.press("Tab")
        await visit.page.keyboard.press("Enter")
        assert await visit.page.evaluate("document.activeElement.id") == "main"
        await visit.page.keyboard.press("Tab")
        assert await visit.page.evaluate("document.activeElement.closest('main') !== null")


async def test_a_definition_opens_and_closes_from_the_keyboard(browser: Browser, france: France) -> None:
    definitions = {item["code"]: item for item in france.get("/v1/indicators/definitions")["items"]}
    async with visiting(browser, f"{france.staff}/academies/10?year=2013") as visit:
        button = visit.page.locator("main button.define").first
        code = str(await button.get_attribute("popovertarget")).removeprefix("def-")
        dialog = visit.page.locator(f"#def-{code}")
        await button.focus()
        await visit.page.keyboard.press("Enter")
        assert await dialog.is_visible()
        assert definitions[code]["formula"]["fr"] in await dialog.inner_text()
        await visit.page.keyboard.press("Escape")
        assert not await dialog.is_visible()
        assert await visit.page.evaluate("document.activeElement.getAttribute('popovertarget')") == f"def-{code}"
