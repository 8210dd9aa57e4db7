"""What a page says, read out of its document: tables by their columns, the map by its places."""

from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Page

_TABLE: Final = """id => {
  const table = document.getElementById(id);
  const heads = [...table.tHead.rows[0].cells].slice(1).map(
    head => head.querySelector('[data-key]')?.dataset.key ?? head.textContent.trim());
  return [...table.tBodies[0].rows].map(row => ({
    label: row.cells[0].textContent.trim(),
    href: row.cells[0].querySelector('a')?.getAttribute('href') ?? '',
    cells: Object.fromEntries([...row.cells].slice(1).map((cell, place) => [heads[place], cell.innerText.trim()])),
    values: Object.fromEntries([...row.cells].slice(1).map((cell, place) => [heads[place], cell.dataset.value])),
  }));
}"""

HIDDEN: Final = "n.c."


@dataclass(frozen=True)
class Row:
    """A row of a table: `cells` as they are shown, `values` as they are sorted by (None where the table is not)."""

    label: str
    href: str
    cells: dict[str, str]
    values: dict[str, str | None]

    @property
    def code(self) -> str:
        """The code in the row's link: /academies/<code>."""
        return self.href.partition("?")[0].rpartition("/")[2]


async def table(page: Page, identifier: str) -> list[Row]:
    """The rows of a table of the page, from top to bottom."""
    found: list[dict[str, Any]] = await page.evaluate(_TABLE, identifier)
    return [Row(row["label"], row["href"], row["cells"], row["values"]) for row in found]


def number(shown: str) -> float | None:
    """A number as French readers write it; None where none is shown."""
    text = "".join(shown.split()).replace(",", ".").rstrip("%")
    return float(text) if text and text[0].isdigit() else None


async def places(page: Page) -> dict[str, str]:
    """What the map says of each académie, by code."""
    found: dict[str, str] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.map svg a')].map(
          place => [place.getAttribute('href').split('?')[0].split('/').pop(), place.getAttribute('aria-label')]))"""
    )
    return found
