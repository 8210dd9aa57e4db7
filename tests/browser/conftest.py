"""A real browser before real services: what the staff sees and what the public sees of the same campaign.

    async def test_something(france: France, browser: Browser) -> None: ...

mongod is the session's; the broker is one of these tests' own, for what they show has nothing to do with which it is.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from deploy.local import EmbeddedBroker, free_port
from tests.browser import chromium
from tests.browser.france import France

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the browser; skip, and say so, where there is none."""
    missing = chromium.path() is None
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("browser")
            if missing:
                item.add_marker(pytest.mark.skip(reason="needs Chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def france(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[France]:
    """Reporting for the staff and for the public, with a campaign, objectives and a frozen bilan."""
    folder = tmp_path_factory.mktemp("france")
    with (
        EmbeddedBroker(log=folder / "broker.log", port=free_port()) as broker,
        France(mongo_url, broker.bootstrap, folder) as france,
    ):
        yield france


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, without a window."""
    executable = chromium.path()
    assert executable is not None
    async with chromium.running(executable) as running:
        yield running
