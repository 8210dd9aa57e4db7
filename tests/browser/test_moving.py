"""Figures move on an open page while events come in, and stand still when the reader says so."""

import asyncio
import uuid

import pytest
from playwright.async_api import Browser, Page, expect

from shared.events import Event
from tests.browser.campaign import TODAY, detected
from tests.browser.france import France
from tests.browser.sheets import number, table
from tests.browser.visits import visiting
from tests.support.probe import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

PATIENCE_S = 15


def detections(france: France, youths: int) -> list[Event]:
    network = next(network for network in france.networks if network.academie == "10")
    return [detected(str(uuid.uuid4()), TODAY.date(), network) for _ in range(youths)]


async def of_lyon(page: Page) -> int:
    rows = await table(page, "academies-table")
    found = number(next(row for row in rows if row.code == "10").cells["detected"])
    assert found is not None
    return int(found)


async def becomes(page: Page, wanted: int) -> None:
    async def is_so() -> bool:
        return await of_lyon(page) == wanted

    await eventually(is_so, within_s=PATIENCE_S, what=f"{wanted} in the table")


async def test_figures_move_without_a_reload_and_stand_still_on_demand(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/?year=2013") as visit:
        page = visit.page
        button = page.locator(".live button")
        await expect(button).to_be_visible()
        await expect(page.locator(".live-state")).to_have_text("Les chiffres suivent les événements.")
        before = await of_lyon(page)
        link = page.locator("#academies-table a[href*='/academies/10']")
        await link.focus()
        await page.evaluate("window.marker = 'the same page'; scrollTo(0, 400)")
        await france.tell(detections(france, 3))
        await becomes(page, before + 3)
        assert await page.evaluate("window.marker") == "the same page"
        assert await page.evaluate("document.activeElement.getAttribute('href')") == await link.get_attribute("href")
        assert await page.evaluate("scrollY") == 400

        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
        await france.tell(detections(france, 2))
        await france.heard_all()
        await asyncio.sleep(1.5)  # longer than a page is kept: it had time to move
        assert await of_lyon(page) == before + 3
        await button.click()
        await becomes(page, before + 5)
