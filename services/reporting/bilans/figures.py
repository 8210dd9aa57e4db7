"""The figures of a bilan: of the académie and each of its networks, over the period and over the year so far.

All are of one edition of the answers, and so is the position in the log that goes with them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.reporting.answers import Answers, Edition
from services.reporting.bilans.domain import ACADEMIE, Key, plain
from services.reporting.figures import Level
from services.reporting.freshness import Partition
from services.reporting.queries import IndicatorsQuery
from services.reporting.readers import Reader

SPANS: Final = ("period", "year")
_OF_THE_UNIT: Final = frozenset({"by", "code", "label"})


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted, as plain data. `position`: of each partition, the offset of the first record not counted.

    `units`: the académie first, then its networks by identifier, each `{unit, code, label, period, year}` with the two
    spans as `api.Row` has them. `series`: of the académie, the activity of each month of the year so far.
    """

    as_of: datetime
    units: list[dict[str, Any]]
    series: list[dict[str, Any]]
    position: dict[Partition, int]


def networks_of(edition: Edition, academie: str, registered: Collection[str]) -> set[str]:
    """The networks that an académie's bilan lists: those registered with it, and unregistered ones that work in it.

    A network that is registered with another académie stands in that one's bilan, with all its youths.
    """
    at_work = edition.figures.sums.networks_of(academie)
    return set(registered) | (at_work - edition.figures.networks.keys())


def figures(answers: Answers, edition: Edition, key: Key, registered: Collection[str], reader: Reader) -> Figures:
    """The figures as the reader may see them. To be called as soon as the edition is there."""
    networks = networks_of(edition, key.academie, registered)

    def rows(level: Level, first: date, last: date, **more: Any) -> dict[str, dict[str, Any]]:
        asked = {"by": level, "from": first.isoformat(), "to": last.isoformat(), **more}
        found = answers.rows(IndicatorsQuery.model_validate(asked), edition, reader)
        return {row["code"]: row for row in found}

    spans = {"period": (key.first, key.last), "year": (key.year_first, key.last)}
    of_academie = {span: rows("academie", *days, code=key.academie) for span, days in spans.items()}
    of_networks = {span: rows("network", *days) for span, days in spans.items()}
    listed = sorted(networks & set[str]().union(*of_networks.values()))
    units = [_unit(ACADEMIE, key.academie, of_academie), *(_unit("network", code, of_networks) for code in listed)]
    series = [
        {
            "month": f"{first:%Y-%m}",
            **_figures(rows("academie", first, last, code=key.academie, view="activity")[key.academie]),
        }
        for first, last in key.months()
    ]
    position = {place: at.next_offset for place, at in edition.figures.positions.items()}
    return Figures(edition.as_of, plain(units), plain(series), position)


def _unit(kind: str, code: str, spans: Mapping[str, Mapping[str, dict[str, Any]]]) -> dict[str, Any]:
    found = {span: rows.get(code) for span, rows in spans.items()}
    label = next(row["label"] for row in found.values() if row is not None)
    return {
        "unit": kind,
        "code": code,
        "label": label,
        **{span: None if row is None else _figures(row) for span, row in found.items()},
    }


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _OF_THE_UNIT and value is not None}
