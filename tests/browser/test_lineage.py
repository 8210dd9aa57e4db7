"""From a figure of a page to the youths and events behind it, for those who may see them."""

from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Page

from tests.browser.france import France
from tests.browser.visits import barriers, visiting

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

YEAR = {"from": "2013-01-01", "to": "2013-12-31"}
LINKS = "main a[href^='/lignee']"


async def hrefs(page: Page) -> list[str]:
    return [str(await link.get_attribute("href")) for link in await page.locator(LINKS).all()]


async def youths(page: Page) -> dict[str, list[str]]:
    """The events of each youth of this page, as they are told."""
    listed = await page.locator(".youths > li").all()
    return {await each.locator("h2 code").inner_text(): await each.locator("li").all_inner_texts() for each in listed}


@pytest.mark.parametrize(
    ("code", "figure", "event"),
    [("contracted", "contracted", "Contrat signé"), ("detected", "size", "Décrochage détecté")],
)
async def test_behind_a_figure_are_as_many_youths_as_it_counts_each_with_what_counts(
    browser: Browser, france: France, code: str, figure: str, event: str
) -> None:
    counted = france.rows(by="academie", code="10", **YEAR)["academie", "10"]["cohort"][figure]
    assert counted > 0
    names = {item["code"]: item["name"]["fr"] for item in france.get("/v1/indicators/definitions")["items"]}
    async with visiting(browser, f"{france.staff}/academies/10?year=2013") as visit:
        page = visit.page
        (href,) = [href for href in await hrefs(page) if f"indicator={figure}&" in href]
        await page.locator("details:has(a[href^='/lignee']) summary").click()
        await page.locator(f"main a[href='{href}']").click()
        await page.wait_for_url("**/lignee?*")
        assert (await page.locator("h1").inner_text()).startswith(names[code])
        found = await youths(page)
        while await page.locator("a[rel=next]").count():
            await page.locator("a[rel=next]").click()
            await page.wait_for_load_state()
            more = await youths(page)
            assert more
            assert not found.keys() & more.keys()
            found |= more
        assert await barriers(page) == []
    assert len(found) == counted
    assert all(any(event in told for told in events) for events in found.values())


async def test_who_may_not_see_youths_finds_no_link_to_them_and_is_told_why(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.public}/academies/10?year=2013") as visit:
        assert await visit.page.locator(LINKS).count() == 0
    path = "/lignee?by=academie&code=10&indicator=contracted&from=2013-01-01&to=2013-12-31"
    async with visiting(browser, f"{france.public}{path}", status=403) as visit:
        assert "votre académie" in await visit.page.locator("main .lede").inner_text()
        assert await visit.page.locator(".youths").count() == 0
        assert await barriers(visit.page) == []


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ("limit=0", "Corrigez dans l'adresse : limit."),
        ("limit=501", "Corrigez dans l'adresse : limit."),
        ("indicator=ages", "« indicator » n'est pas un effectif"),
        ("to=2012-01-01", "échangez les deux dates"),
        ("code=Z9", "« code » : corrigez-le"),
        ("cursor=x", "recommencez sans lui"),
    ],
)
async def test_an_address_that_cannot_be_is_told_what_to_mend(
    browser: Browser, france: France, wrong: str, remedy: str
) -> None:
    query = {"by": "academie", "code": "10", "indicator": "contracted", "from": "2013-01-01", "to": "2013-12-31"}
    name, _, value = wrong.partition("=")
    path = f"/lignee?{urlencode(query | {name: value})}"
    async with visiting(browser, f"{france.staff}{path}", status=422) as visit:
        told = await visit.page.locator("main .lede").inner_text()
        assert remedy in told
        assert await barriers(visit.page) == []
