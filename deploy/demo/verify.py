"""Compares what the services say with what the campaign must add up to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.answers import ImportCounts, IndicatorRow


def list_differences(campaign: str, expected: Mapping[str, Any], counts: ImportCounts) -> list[str]:
    """Where an import's counts are not what they must be, a line each."""
    return list(_differences(f"list {campaign}", expected, counts))


def figure_differences(expected: Mapping[str, Any], rows: Sequence[IndicatorRow]) -> list[str]:
    """Where the figures are not what they must be, a line each; a unit that nothing is expected of must be empty."""
    found: list[str] = []
    answered = {(row["by"], row["code"]): row for row in rows}
    for by in ("national", "academie"):
        for code, figures in expected[by].items():
            row = answered.pop((by, code), None)
            if row is None:
                found.append(f"{by} {code}: no row")
                continue
            found += _differences(f"{by} {code}", figures, row)
    for (by, code), row in answered.items():
        numbers = {**(row["activity"] or {}), "size": (row["cohort"] or {}).get("size")}
        found += [f"{by} {code} {name}: {value}, expected 0" for name, value in numbers.items() if value]
    return found


def _differences(where: str, expected: Mapping[str, Any], actual: Mapping[str, Any] | Any) -> Iterator[str]:
    for name, value in expected.items():
        there = actual.get(name) if isinstance(actual, Mapping) else None
        if isinstance(value, Mapping):
            yield from _differences(f"{where} {name}", value, there or {})
        elif there != value:
            yield f"{where} {name}: {there}, expected {value}"
    if isinstance(actual, Mapping) and where.endswith(("rejected", "warnings")):
        for name in actual.keys() - expected.keys():
            yield f"{where} {name}: {actual[name]}, expected 0"
