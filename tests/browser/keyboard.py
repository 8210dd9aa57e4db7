"""Going through a page with the Tab key alone."""

from dataclasses import dataclass
from typing import Final

from playwright.async_api import Page

_MOST_STOPS: Final = 400

_NUMBER: Final = """() => {
  const wanted = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  const seen = new Set();
  let number = 0;
  for (const element of document.querySelectorAll(wanted)) {
    if (element.disabled || element.tabIndex < 0 || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.type === 'radio') {
      if (seen.has(element.name)) continue;
      seen.add(element.name);
    }
    element.dataset.stop = number++;
  }
  return number;
}"""

_FOCUSED: Final = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const shape = element.querySelector('path');
  const drawn = element.ownerSVGElement && shape && parseFloat(getComputedStyle(shape).strokeWidth) >= 2;
  return {
    number: element.dataset.stop === undefined ? -1 : Number(element.dataset.stop),
    name: (element.getAttribute('aria-label') || element.textContent || element.name || '').trim().slice(0, 60),
    target: element.getAttribute('href') || '',
    marked: outlined || Boolean(drawn) || style.boxShadow !== 'none',
    shown: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth && box.width > 0,
  };
}"""


@dataclass(frozen=True)
class Stop:
    """Where the focus rests: the element's place in the document, what it is called, and whether one sees it."""

    number: int
    name: str
    target: str
    marked: bool
    shown: bool


async def tab_through(page: Page) -> tuple[int, list[Stop]]:
    """How many elements can be reached with Tab, and where it stops one after the other."""
    expected: int = await page.evaluate(_NUMBER)
    stops: list[Stop] = []
    for _ in range(min(expected + 12, _MOST_STOPS)):
        await page.keyboard.press("Tab")
        found = await page.evaluate(_FOCUSED)
        if found is None or (stops and found["number"] == 0):
            break
        stop = Stop(**found)
        if not stops or stop.number != stops[-1].number:  # a field for a day has a stop for each of its parts
            stops.append(stop)
    return expected, stops
