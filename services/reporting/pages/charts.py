"""Charts as SVG, made on the server; pure. Each has a title and a description, and stands above a table of its figures.

A value that is None is hidden from the reader: its place is hatched or left open, never 0. Colours come from the style
sheet by class; series differ by their dashes and marks as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Final

from markupsafe import Markup, escape

from services.reporting.pages.writing import Writing

_WIDTH: Final = 460
_LEFT: Final = 50
_RIGHT: Final = 14
_TOP: Final = 14
_PLOT: Final = 190


@dataclass(frozen=True, slots=True)
class Bar:
    """A step of a funnel: how many, and which share of the first step; None is hidden."""

    label: str
    value: int | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A line: one value for each place of the axis; None where there is none to show. `mark` is a, b or c."""

    label: str
    values: Sequence[float | None]
    mark: str = "a"


@dataclass(frozen=True, slots=True)
class Range:
    """Where a line is expected to end: the value and how sure that is."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a place of the axis, as a definition that changed."""

    place: float
    label: str


def funnel(bars: Sequence[Bar], writing: Writing, *, title: str, hidden: str) -> Markup:
    """Horizontal bars, one below the other, each under its name and as long as its share of the longest."""
    row, room = 46, _WIDTH - 118
    most = max((bar.value for bar in bars if bar.value is not None), default=0)
    parts = []
    for number, bar in enumerate(bars):
        y = number * row + 20
        parts.append(_text(0, y - 6, bar.label))
        if bar.value is None:
            parts.append(Markup('<rect x="0" y="{}" width="40" height="20" class="bar-none"/>').format(y))
            parts.append(_text(50, y + 15, hidden, "soft"))
            continue
        length = room * bar.value / most if most else 0.0
        parts.append(Markup('<rect x="0" y="{}" width="{:.1f}" height="20" class="bar"/>').format(y, max(length, 1)))
        share = "" if bar.share is None else f" ({writing.percent(bar.share)})"
        parts.append(_text(length + 8, y + 15, f"{writing.number(bar.value)}{share}", "strong"))
    told = "; ".join(f"{bar.label}: {hidden if bar.value is None else writing.number(bar.value)}" for bar in bars)
    return _svg("funnel", title, told, len(bars) * row + 4, parts)


def lines(
    labels: Sequence[str],
    series: Sequence[Series],
    writing: Writing,
    *,
    name: str,
    title: str,
    told: str,
    landing: Range | None = None,
    breaks: Sequence[Mark] = (),
    percent: bool = False,
    full: bool = False,
) -> Markup:
    """Lines over an axis of labels from 0 up (to 1 where `full`); `landing` stands at the last label."""
    values = [value for line in series for value in line.values if value is not None]
    top, step = (1.0, 0.25) if full else _axis(max([*values, landing.high if landing else 0, 0.04 if percent else 4]))
    plot = _Plot(len(labels), top)
    parts = [*_grid(plot, labels, step, writing, percent=percent)]
    for mark in breaks:
        x = plot.x(mark.place)
        parts.append(
            Markup('<g><title>{}</title><path d="M{:.1f} {}V{}" class="break"/></g>').format(
                mark.label, x, _TOP, _TOP + _PLOT
            )
        )
        parts.append(_text(x + 4, _TOP + 10, mark.label, "soft"))
    if landing is not None:
        x, low, high = plot.x(len(labels) - 1), plot.y(landing.low), plot.y(landing.high)
        parts.append(
            Markup('<rect x="{:.1f}" y="{:.1f}" width="12" height="{:.1f}" class="range"/>').format(
                x - 6, high, max(low - high, 2)
            )
        )
        parts.append(Markup('<path d="M{:.1f} {:.1f}h20" class="line a"/>').format(x - 10, plot.y(landing.value)))
    for line in series:
        parts.extend(_line(plot, line))
    height = _TOP + _PLOT + 30
    for number, line in enumerate(series if len(series) > 1 else ()):
        y = height + 12 + number * 22
        parts.append(Markup('<path d="M{} {}h24" class="line {}"/>').format(_LEFT, y, line.mark))
        parts.append(Markup('<circle cx="{}" cy="{}" r="4" class="dot {}"/>').format(_LEFT + 12, y, line.mark))
        parts.append(_text(_LEFT + 32, y + 4, line.label))
    return _svg(name, title, told, height + (len(series) * 22 + 4 if len(series) > 1 else 0), parts)


@dataclass(frozen=True, slots=True)
class _Plot:
    places: int
    top: float

    def x(self, place: float) -> float:
        return _LEFT + (place + 0.5) * (_WIDTH - _LEFT - _RIGHT) / max(self.places, 1)

    def y(self, value: float) -> float:
        return _TOP + _PLOT * (1 - value / self.top)


def _grid(plot: _Plot, labels: Sequence[str], step: float, writing: Writing, *, percent: bool) -> Iterator[Markup]:
    for number in range(round(plot.top / step) + 1):
        value = number * step
        y = plot.y(value)
        kind = "axis" if number == 0 else "grid"
        yield Markup('<path d="M{} {:.1f}H{}" class="{}"/>').format(_LEFT, y, _WIDTH - _RIGHT, kind)
        shown = writing.percent(value, 0) if percent else writing.number(round(value, 6))
        yield _text(_LEFT - 8, y + 4, shown, "soft tick", anchor="end")
    every = -(-len(labels) // 13)
    for place, label in enumerate(labels):
        if place % every == 0:
            yield _text(plot.x(place), _TOP + _PLOT + 19, label, "soft tick", anchor="middle")


def _line(plot: _Plot, line: Series) -> Iterator[Markup]:
    path, joined = "", False
    for place, value in enumerate(line.values):
        if value is not None:
            path += f"{'L' if joined else 'M'}{plot.x(place):.1f} {plot.y(value):.1f}"
        joined = value is not None
    if path:
        yield Markup('<path d="{}" class="line {}"/>').format(path, line.mark)
    for place, value in enumerate(line.values):
        if value is not None:
            yield Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" class="dot {}"/>').format(
                plot.x(place), plot.y(value), line.mark
            )


def _axis(most: float) -> tuple[float, float]:
    """The end of an axis and its step: 1, 2 or 5 times a power of ten, four or five of them."""
    rough = most / 4
    power = 10.0 ** floor(log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough - 1e-12)
    count = -(-most // step)
    return step * max(count, 1), step


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(x, y, kind, anchor, text)


def _svg(name: str, title: str, told: str, height: float, parts: Sequence[Markup]) -> Markup:
    """`name` makes the ids of its title and description its own."""
    head = Markup(
        '<svg viewBox="0 0 {} {:.0f}" role="img" aria-labelledby="{}-svg-title {}-svg-desc" focusable="false">'
        '<title id="{}-svg-title">{}</title><desc id="{}-svg-desc">{}</desc>'
    ).format(_WIDTH, height, name, name, name, escape(title), name, escape(told))
    return head + Markup("").join(parts) + Markup("</svg>")


"""The pattern of what is hidden; once in a page that has charts or a map."""


def bars(rows: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """The bars of the rows of a table: cells `count` and `share`."""
    return [Bar(row["label"], row["cells"]["count"], row["cells"]["share"]) for row in rows]


def series(label: str, rows: Sequence[Mapping[str, Any]], key: str, mark: str = "a") -> Series:
    """The line of a column of a table."""
    return Series(label, [row["cells"][key] for row in rows], mark)


def landing(of: Mapping[str, Any] | None) -> Range | None:
    """The range of a landing of `Objectives`."""
    return None if of is None else Range(of["value"], of["low"], of["high"])


def marks(breaks: Sequence[Mapping[str, Any]], year: int) -> list[Mark]:
    """Breaks of series within a year, on an axis of its months."""
    return [
        Mark(each["on"].month - 1 + (each["on"].day - 1) / 31 - 0.5, each["name"])
        for each in breaks
        if each["on"].year == year
    ]
