"""Outlines of the académies for a map: simplified outlines of 2018, before and from 2020, as rings of points."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from deploy.reference_build.source import SourceError
from shared.reference import Outline

BEFORE: Final = "academies-avant-2020.geojson"
FROM: Final = "academies.geojson"
REFORM: Final = date(2020, 1, 1)
"""Caen and Rouen became Normandie."""

_DECIMALS: Final = 3
"""About a hundred metres: the source is no finer. Neighbours share their points and so stay neighbours."""

_Ring = tuple[tuple[float, float], ...]


def outlines(folder: Path) -> list[Outline]:
    """By code. One record where an outline is the same in both files, else one for each."""
    before, after = _read(folder, BEFORE), _read(folder, FROM)
    found = []
    for code in sorted({*before, *after}):
        old, new = before.get(code), after.get(code)
        if old == new and old is not None:
            found.append(Outline(code, None, None, old))
            continue
        if old is not None:
            found.append(Outline(code, None, REFORM - timedelta(days=1), old))
        if new is not None:
            found.append(Outline(code, REFORM, None, new))
    return found


def written(outline: Outline) -> tuple[object, ...]:
    """The cells of a table: a ring is `lon,lat lon,lat ...`, rings are separated by `;`."""
    rings = ";".join(" ".join(f"{lon:g},{lat:g}" for lon, lat in ring) for ring in outline.rings)
    return outline.code, outline.valid_from, outline.valid_to, rings


def _read(folder: Path, name: str) -> dict[str, tuple[_Ring, ...]]:
    try:
        features = json.loads((folder / name).read_text(encoding="utf-8"))["features"]
        return {feature["properties"]["code"]: tuple(_rings(feature["geometry"])) for feature in features}
    except OSError as error:
        raise SourceError(f"{folder / name}: {error.strerror}; the map needs it") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{folder / name}: no GeoJSON of polygons with a `code` ({error})") from error


def _rings(geometry: dict[str, Any]) -> Iterator[_Ring]:
    """All rings of a polygon or of several; rounded, and without those that are nothing after it."""
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    for polygon in polygons:
        for ring in polygon:
            points = tuple(_once((round(lon, _DECIMALS), round(lat, _DECIMALS)) for lon, lat in ring))
            if len(points) > 3:
                yield points


def _once(points: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    last = None
    for point in points:
        if point != last:
            yield point
        last = point
