"""A visit to a page in the browser, and what every page must keep to, whatever it shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page

WIDE: Final = 1280
NARROW: Final = 390
_HEIGHTS: Final = {WIDE: 900, NARROW: 844}
PICTURES: Final = Path(__file__).resolve().parents[2] / ".foquale" / "pictures"
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass
class Visit:
    """An open page, with what the browser complained of and whom it asked beside the host."""

    page: Page
    host: str
    status: int = 0
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@asynccontextmanager
async def visiting(
    browser: Browser, url: str, width: int = WIDE, *, javascript: bool = True, status: int = 200
) -> AsyncIterator[Visit]:
    """Open `url`. At the end nothing may have gone wrong in the browser, and no other host may have been asked."""
    context = await browser.new_context(
        viewport={"width": width, "height": _HEIGHTS[width]}, java_script_enabled=javascript, locale="fr-FR"
    )
    try:
        page = await context.new_page()
        visit = Visit(page, urlsplit(url).netloc)
        page.on("console", lambda message: _hear(visit, message.type, message.text))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda request: _follow(visit, request.url))
        answer = await page.goto(url)
        assert answer is not None
        visit.status = answer.status
        assert visit.status == status, f"{url}: {visit.status}"
        yield visit
        assert visit.complaints == []
        assert visit.strangers == []
    finally:
        await context.close()


def _hear(visit: Visit, kind: str, text: str) -> None:
    # The browser says so itself where a page is an error, as it must be.
    if kind in ("error", "warning") and "the server responded with a status of 4" not in text:
        visit.complaints.append(f"{kind}: {text}")


def _follow(visit: Visit, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("data", "blob") and parts.netloc != visit.host:
        visit.strangers.append(url)


async def resize(page: Page, width: int) -> None:
    """Another window."""
    await page.set_viewport_size({"width": width, "height": _HEIGHTS[width]})


async def picture(page: Page, name: str, width: int) -> None:
    """Keep how it looks, whole, for a person."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    # At the foot of the page, not in the middle of the picture.
    await page.locator(".live").evaluate_all("bars => bars.forEach(bar => bar.style.position = 'static')")
    await page.screenshot(path=PICTURES / f"{name}-{width}.png", full_page=True)


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


async def barriers(page: Page) -> list[str]:
    """What axe finds that WCAG 2.2 AA does not allow: rule, what is wrong, and where."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found: dict[str, Any] = await page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", _RULES
    )
    return [
        f"{violation['id']}: {node['failureSummary']} {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    found: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found
