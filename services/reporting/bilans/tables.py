"""The one table behind every format of a bilan: each figure once, with its place, its name and how it is written. Pure.

CSV, XLSX and PDF take their cells from here, so that they cannot differ. `None` is either hidden (a small count or what
would give it away) or undefined (a share of nobody): `hidden` tells which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.reporting.bilans.domain import ACADEMIE
from services.reporting.bilans.figures import SPANS
from services.reporting.indicators import ACTIVITY_CODES, COHORT_STEPS, DELAYS, DISMISSED, View
from services.reporting.projection import SOURCES

Measure = Literal["count", "share", "n", "median", "p90"]
Number = int | float

NOT_SHOWN: Final = "n.c."
UNDEFINED: Final = "–"
FUNNEL: Final = ("detected", "attempted", "reached", "interviewed", "offered", "contracted", "returned")
SERIES: Final = ("detected", "interviewed", "contracted", "returned")
COHORT_CODES: Final = ("size", "detected", *COHORT_STEPS, "not_known", "lapsed", "unknown", DISMISSED)
MEASURE_NAMES: Final[Mapping[Measure, str]] = {
    "count": "effectif",
    "share": "part de la cohorte",
    "n": "jeunes ayant les deux jours",
    "median": "médiane",
    "p90": "90e centile",
}
SPAN_NAMES: Final[Mapping[str, str]] = {"period": "période", "year": "année depuis le 1er janvier"}
VIEW_NAMES: Final[Mapping[View, str]] = {"activity": "activité", "cohort": "cohorte"}


Groups = Sequence[tuple[str, Sequence[str]]]
"""The columns of a table but the first, in groups: what a group is called, and its columns."""

SUMMARY_GROUPS: Final[Groups] = tuple(
    (title, ("période", "année")) for title in ("Activité", "Cohorte", "Part de la cohorte")
)
DELAYS_GROUPS: Final[Groups] = tuple(
    (title, ("jeunes", "médiane (jours)", "90e centile (jours)")) for title in ("Période", "Année")
)
FALSE_POSITIVES_GROUPS: Final[Groups] = tuple((title, ("repérés", "écartés", "taux")) for title in ("Période", "Année"))
CHANGES_HEAD: Final = ("Unité", "Durée", "Vue", "Indicateur", "Ancien", "Nouveau", "Écart")
SOURCE_NAMES: Final[Mapping[str, str]] = {
    "SCOLARITE": "Scolarité",
    "AGRICULTURE": "Agriculture",
    "APPRENTISSAGE": "Apprentissage",
    "MISSION_LOCALE": "Mission locale",
    "ETABLISSEMENT": "Établissement",
    "UNKNOWN": "Venus d'eux-mêmes",
}


def flat(groups: Groups) -> list[str]:
    """The same in one line: each column with its group."""
    return [f"{title}, {column}" for title, columns in groups for column in columns]


@dataclass(frozen=True, slots=True)
class Place:
    """Which figure: of which unit, over which span, counted how."""

    unit: str
    code: str
    span: str
    view: View
    indicator: str
    source: str = ""
    measure: Measure = "count"


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure."""

    place: Place
    value: Number | None
    hidden: bool = False

    def shown(self) -> str:
        """As a French reader reads it."""
        if self.value is None:
            return NOT_SHOWN if self.hidden else UNDEFINED
        if self.place.measure == "share":
            return decimal(round(self.value * 100, 1)) + " %"
        return decimal(self.value)


def decimal(value: Number) -> str:
    """A number with a comma, and narrow blanks between thousands."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return text.replace(",", "\u202f").replace(".", ",")


def cells(units: Sequence[Mapping[str, Any]]) -> Iterator[Cell]:
    """All figures of a bilan's `figures`, in their order."""
    for unit in units:
        for span in SPANS:
            if unit[span] is not None:
                yield from _of_row(unit["unit"], unit["code"], span, unit[span])


def _of_row(unit: str, code: str, span: str, row: Mapping[str, Any]) -> Iterator[Cell]:
    hidden = frozenset(row.get("hidden", ()))

    def cell(path: str, value: Number | None, view: View, indicator: str, **more: Any) -> Cell:
        return Cell(Place(unit, code, span, view, indicator, **more), value, value is None and path in hidden)

    for indicator, value in _in_order(row["activity"], ACTIVITY_CODES):
        yield cell(f"activity.{indicator}", value, "activity", indicator)
    for source, value in _in_order(row["dismissed_by_source"], SOURCES):
        yield cell(f"dismissed_by_source.{source}", value, "activity", DISMISSED, source=source)
    for path, indicator, measure, source, number in _of_cohort(row["cohort"]):
        yield cell(path, number, "cohort", indicator, measure=measure, source=source)


def _of_cohort(cohort: Mapping[str, Any]) -> Iterator[tuple[str, str, Measure, str, Number | None]]:
    """Of each figure its path in the row, the indicator, the measure, the source and the value."""
    for indicator, value in _in_order(cohort, COHORT_CODES):
        path = f"cohort.{indicator}"
        if indicator == "shares":
            for of, number in _in_order(value, COHORT_CODES):
                yield f"{path}.{of}", of, "share", "", number
        elif indicator == "delays":
            for of, delay in _in_order(value, tuple(DELAYS)):
                for days in _DELAY:
                    yield f"{path}.{of}.{days}", of, days, "", delay[days]
        elif indicator == "false_positives":
            for source, found in _in_order(value, SOURCES):
                for name, number in found.items():
                    if name == "rate":
                        yield f"{path}.{source}.{name}", "false_positive_rate", "share", source, number
                    else:
                        yield f"{path}.{source}.{name}", name, "count", source, number
        else:
            yield path, indicator, "count", "", value


def _in_order(figures: Mapping[str, Any], order: Sequence[str]) -> list[tuple[str, Any]]:
    """The figures in the order of the register, others behind: what is sealed has its names in alphabetical order."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(figures.items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


class Table:
    """A bilan's figures by their places, with the names of units and indicators as they stand in the bilan."""

    def __init__(self, bilan: Mapping[str, Any]) -> None:
        self.cells = list(cells(bilan["figures"]))
        self._hides = bilan["audience"] == "public"
        self._by_place = {cell.place: cell for cell in self.cells}
        self.units = [(unit["unit"], unit["code"], unit["label"]) for unit in bilan["figures"]]
        self.focus = self.units[0][:2]
        """Whose summary is shown first: the académie's, or that of the only network."""
        self.labels = {(unit, code): label for unit, code, label in self.units}
        self._names = {item["code"]: item["name"]["fr"] for item in bilan["definitions"]}

    def name(self, indicator: str) -> str:
        """What the indicator is called."""
        return "Taille de la cohorte" if indicator == "size" else self._names.get(indicator, indicator)

    def cell(self, place: Place) -> Cell:
        """The figure of a place; an undefined one where a unit has none."""
        return self._by_place.get(place) or Cell(place, None)

    def networks(self) -> list[tuple[str, str, str]]:
        """The networks: kind, identifier, name."""
        return [unit for unit in self.units if unit[0] != ACADEMIE]

    def summary(self, unit: str, code: str) -> list[tuple[str, list[Cell]]]:
        """A row an indicator: its name, then the cells of `SUMMARY_GROUPS`."""
        rows = []
        for indicator in (*ACTIVITY_CODES[:-1], "not_known", "lapsed", "unknown", DISMISSED):
            row = [
                self.cell(Place(unit, code, span, view, indicator, measure=measure))
                for view, measure in _SUMMARY
                for span in SPANS
            ]
            if any(cell.place in self._by_place for cell in row):
                rows.append((self.name(indicator), row))
        return rows

    def delays(self, unit: str, code: str) -> list[tuple[str, list[Cell]]]:
        """A row a delay: its name, then the cells of `DELAYS_GROUPS`."""
        return [
            (
                self.name(delay),
                [
                    self.cell(Place(unit, code, span, "cohort", delay, measure=measure))
                    for span in SPANS
                    for measure in _DELAY
                ],
            )
            for delay in DELAYS
        ]

    def false_positives(self, unit: str, code: str) -> list[tuple[str, list[Cell]]]:
        """A row an upstream base: its name, then the cells of `FALSE_POSITIVES_GROUPS`."""
        return [
            (
                name,
                [
                    self.cell(Place(unit, code, span, "cohort", indicator, source, measure))
                    for span in SPANS
                    for indicator, measure in _FALSE_POSITIVES
                ],
            )
            for source, name in SOURCE_NAMES.items()
        ]

    def changes(self, changes: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, ...], list[Cell]]]:
        """What a correction changed: `CHANGES_HEAD`'s four texts, then its three figures."""
        return [
            (
                (
                    self.labels.get((change["unit"], change["code"]), change["code"]),
                    SPAN_NAMES[change["span"]],
                    VIEW_NAMES[change["view"]],
                    self._of_change(change),
                ),
                [Cell(_place(change), change[value], self._hides) for value in ("old", "new", "difference")],
            )
            for change in changes
        ]

    def _of_change(self, change: Mapping[str, Any]) -> str:
        source = f", {SOURCE_NAMES.get(change['source'], change['source'])}" if change["source"] else ""
        measure = f" ({MEASURE_NAMES[change['measure']]})" if change["measure"] != "count" else ""
        return f"{self.name(change['indicator'])}{source}{measure}"

    def of_networks(self) -> list[tuple[str, list[Cell]]]:
        """A row a network: its name, then the cells of `networks_groups`."""
        return [
            (
                label,
                [
                    self.cell(Place(unit, code, span, view, indicator, measure=measure))
                    for span, view, indicator, measure in _NETWORKS
                ],
            )
            for unit, code, label in self.networks()
        ]

    def networks_groups(self) -> Groups:
        """The columns of `of_networks`."""
        return [
            (
                span.capitalize(),
                [
                    self.name(indicator) + (" (part)" if measure == "share" else "")
                    for of, _, indicator, measure in _NETWORKS
                    if of == key
                ],
            )
            for key, span in (("period", "période"), ("year", "année"))
        ]

    def funnel(self, unit: str, code: str, span: str = "year") -> list[tuple[str, Cell]]:
        """How many of the cohort reached each step, largest first."""
        return [(self.name(step), self.cell(Place(unit, code, span, "cohort", step))) for step in FUNNEL]


_SUMMARY: Final[tuple[tuple[View, Measure], ...]] = (("activity", "count"), ("cohort", "count"), ("cohort", "share"))
_DELAY: Final[tuple[Measure, ...]] = ("n", "median", "p90")
_FALSE_POSITIVES: Final[tuple[tuple[str, Measure], ...]] = (
    ("detected", "count"),
    ("dismissed", "count"),
    ("false_positive_rate", "share"),
)
_NETWORKS: Final[tuple[tuple[str, View, str, Measure], ...]] = (
    *(
        (span, "activity", code, "count")
        for span in SPANS
        for code in ("detected", "interviewed", "contracted", "returned")
    ),
    ("year", "activity", "civic_service", "count"),
    ("year", "cohort", "not_known", "share"),
)


def _place(change: Mapping[str, Any]) -> Place:
    return Place(
        change["unit"],
        change["code"],
        change["span"],
        change["view"],
        change["indicator"],
        change["source"] or "",
        change["measure"],
    )


def difference(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The figures that differ between two versions: where, old, new, and new less old where both are known."""
    before = {cell.place: cell for cell in cells(old)}
    after = {cell.place: cell for cell in cells(new)}
    found = []
    for place in {**before, **after}:
        was, is_now = _value(before.get(place)), _value(after.get(place))
        if was != is_now:
            found.append(
                {
                    "unit": place.unit,
                    "code": place.code,
                    "span": place.span,
                    "view": place.view,
                    "indicator": place.indicator,
                    "source": place.source or None,
                    "measure": place.measure,
                    "old": was,
                    "new": is_now,
                    "difference": None if was is None or is_now is None else round(is_now - was, 4),
                }
            )
    return found


def _value(cell: Cell | None) -> Number | None:
    return None if cell is None else cell.value
