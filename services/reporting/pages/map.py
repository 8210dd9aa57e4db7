"""The map of the académies: outlines on a sheet of paper, projected and written as SVG paths; pure.

The mainland and Corsica are in Lambert's conformal conic projection with the parallels of Lambert-93. Overseas
académies, and the three of Île-de-France, which are too small to be seen, have frames of their own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, log, pi, radians, sin, tan
from typing import Final

from shared.reference import Outline

Point = tuple[float, float]
Ring = Sequence[Point]
Projection = Callable[[Point], Point]
Box = tuple[float, float, float, float]
"""Left, top, width, height in units of the sheet."""

WIDTH: Final = 1000
HEIGHT: Final = 1140
_MAINLAND: Final[Box] = (10, 10, 980, 955)
_ILE_DE_FRANCE: Final = ("25", "01", "24")
_FRAMES: Final[Mapping[Box, Sequence[str]]] = {
    (4, 4, 240, 205): _ILE_DE_FRANCE,
    (10, 985, 180, 145): ("32",),
    (210, 985, 180, 145): ("31",),
    (410, 985, 180, 145): ("33",),
    (610, 985, 180, 145): ("28",),
    (810, 985, 180, 145): ("43",),
}
_MARGIN: Final = 12
_CAPTION: Final = 34
_SOUTHERN, _NORTHERN, _MERIDIAN = radians(44), radians(49), radians(3)
_N: Final = log(cos(_SOUTHERN) / cos(_NORTHERN)) / log(tan(pi / 4 + _NORTHERN / 2) / tan(pi / 4 + _SOUTHERN / 2))


@dataclass(frozen=True, slots=True)
class Shape:
    """An académie as it is drawn: the data of an SVG path, and where its figure is written."""

    code: str
    path: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of the sheet with a scale of its own, and the académies in it."""

    box: Box
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn. `under` are shapes that are drawn again, larger, in a frame."""

    shapes: tuple[Shape, ...]
    under: tuple[Shape, ...]
    frames: tuple[Frame, ...]


def sheet(outlines: Mapping[str, Outline]) -> Sheet:
    """The map of these outlines, by code."""
    framed = {code for codes in _FRAMES.values() for code in codes}
    far = framed - set(_ILE_DE_FRANCE)
    mainland = {code: outline for code, outline in outlines.items() if code not in far}
    drawn = _fitted(mainland, _lambert, _MAINLAND)
    shapes = [shape for shape in drawn if shape.code not in framed]
    frames = []
    for (left, top, width, height), codes in _FRAMES.items():
        inside = {code: outlines[code] for code in codes if code in outlines}
        if inside:
            box = left + _MARGIN, top + _MARGIN, width - 2 * _MARGIN, height - 2 * _MARGIN - _CAPTION
            shapes += _fitted(inside, _flat(inside), box)
            frames.append(Frame((left, top, width, height), tuple(inside)))
    return Sheet(
        tuple(sorted(shapes, key=lambda shape: shape.code)),
        tuple(shape for shape in drawn if shape.code in framed),
        tuple(frames),
    )


def _lambert(point: Point) -> Point:
    """Lambert's conformal conic projection on the sphere; y grows to the south."""
    lon, lat = radians(point[0]), radians(point[1])
    radius = 1 / tan(pi / 4 + lat / 2) ** _N
    angle = _N * (lon - _MERIDIAN)
    return radius * sin(angle), radius * cos(angle)


def _flat(outlines: Mapping[str, Outline]) -> Projection:
    """A projection that is true to scale in the middle of a small area."""
    lats = [lat for outline in outlines.values() for ring in outline.rings for _, lat in ring]
    scale = cos(radians((min(lats) + max(lats)) / 2))
    return lambda point: (point[0] * scale, -point[1])


def _fitted(outlines: Mapping[str, Outline], project: Projection, box: Box) -> list[Shape]:
    """The outlines as large as they fit into the box, in its middle."""
    rings = {code: [list(map(project, ring)) for ring in outline.rings] for code, outline in outlines.items()}
    xs = [x for of in rings.values() for ring in of for x, _ in ring]
    ys = [y for of in rings.values() for ring in of for _, y in ring]
    left, top, width, height = box
    scale = min(width / (max(xs) - min(xs)), height / (max(ys) - min(ys)))
    x0 = left + (width - (max(xs) - min(xs)) * scale) / 2 - min(xs) * scale
    y0 = top + (height - (max(ys) - min(ys)) * scale) / 2 - min(ys) * scale
    return [
        _shape(code, [[(round(x * scale + x0), round(y * scale + y0)) for x, y in ring] for ring in of])
        for code, of in rings.items()
    ]


def _shape(code: str, rings: Sequence[Sequence[tuple[int, int]]]) -> Shape:
    largest = max(rings, key=lambda ring: abs(_area(ring)))
    path = "".join(_written(tuple(_once(ring))) for ring in rings if ring is largest or abs(_area(ring)) > 4)
    return Shape(code, path, _middle(largest))


def _once(ring: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The points without those that fall on the one before: neighbours lose the same ones."""
    last = None
    for point in ring[:-1]:
        if point != last:
            yield point
        last = point


def _written(points: Sequence[tuple[int, int]]) -> str:
    """A closed line in relative steps, each as short as it can be written."""
    steps = [f"M{points[0][0]} {points[0][1]}l"]
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        x, y = str(x1 - x0), str(y1 - y0)
        before = "" if number == 0 or x.startswith("-") else " "
        steps.append(f"{before}{x}{'' if y.startswith('-') else ' '}{y}")
    return "".join(steps) + "z"


def _area(ring: Sequence[tuple[int, int]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


def _middle(ring: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The centre of gravity."""
    area = _area(ring)
    if not area:
        return ring[0]
    pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    x = sum((x0 + x1) * (x0 * y1 - x1 * y0) for (x0, y0), (x1, y1) in pairs)
    y = sum((y0 + y1) * (x0 * y1 - x1 * y0) for (x0, y0), (x1, y1) in pairs)
    return round(x / (6 * area)), round(y / (6 * area))
