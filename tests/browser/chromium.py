"""The browser of this machine. Nothing is ever downloaded: Debian's Chromium, or the one that the environment names."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, async_playwright

_USUAL: Final = "/usr/bin/chromium"
_OPTIONS: Final = (
    "--no-sandbox",  # its own needs user namespaces, which a container seldom has
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-prefers-reduced-motion",
    "--hide-scrollbars",
)


def path() -> Path | None:
    """Where it is: `FOQUALE_CHROMIUM`, else Debian's; None where there is none."""
    found = Path(os.environ.get("FOQUALE_CHROMIUM") or _USUAL)
    return found if os.access(found, os.X_OK) else None


@asynccontextmanager
async def running(executable: Path) -> AsyncIterator[Browser]:
    """The browser, started without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            await browser.close()
