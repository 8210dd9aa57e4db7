"""What the pages of bilans show, made of what `Bilans.read` gives; pure.

Figures come out of the bilan's own table (`bilans.tables`): page, files and PDF cannot differ. Names come out of
the definitions that the bilan was made with.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from services.reporting.bilans.domain import ACADEMIE, PERIODS, Key
from services.reporting.bilans.figures import SPANS
from services.reporting.bilans.tables import FUNNEL, SERIES, Cell, Measure, Place, Table
from services.reporting.indicators import DELAYS, DISMISSED, STEPS, View
from services.reporting.pages import charts
from services.reporting.pages.charts import Bar, Series
from services.reporting.pages.site import Asked
from services.reporting.pages.writing import Writing

MOST_ROWS: Final = 200
"""So many changes and events a page shows; the JSON has all."""

_SUMMARY: Final[tuple[tuple[View, Measure], ...]] = (("activity", "count"), ("cohort", "count"), ("cohort", "share"))
_CODES: Final = (*STEPS, "not_known", "lapsed", "unknown", DISMISSED)
_DELAY: Final[tuple[Measure, ...]] = ("n", "median", "p90")
_NETWORKS: Final[tuple[tuple[str, View, str, Measure], ...]] = (
    *((span, "activity", code, "count") for code in ("detected", "contracted", "returned") for span in SPANS),
    ("year", "activity", "civic_service", "count"),
    ("year", "cohort", "unknown", "share"),
)
_KINDS: Final[Mapping[Measure, str]] = {
    "count": "count",
    "n": "count",
    "share": "share",
    "median": "days",
    "p90": "days",
}


class BilanView:
    """One bilan in one language."""

    def __init__(self, bilan: Mapping[str, Any], page: Asked, texts: Any) -> None:
        self.bilan = bilan
        self.table = Table(bilan)
        self.definitions = [_definition(item) for item in bilan["definitions"]]
        self._t = texts.bilans
        self._base = texts.base
        self.page = page
        self._f = Writing(page.lang)
        self._names = {item["code"]: item["name"][page.lang] for item in self.definitions}
        self._items = {item["code"]: item for item in self.definitions}
        self._academie = (ACADEMIE, bilan["academie"])

    @property
    def period(self) -> str:
        """Which two months."""
        first = 2 * self.bilan["period"] - 1
        return str(
            self._t.period.format(first=self._f.month(first), last=self._f.month(first + 1), year=self.bilan["year"])
        )

    @property
    def path(self) -> str:
        """Where the bilan is."""
        return f"/bilans/{self.bilan['year']}/{self.bilan['period']}/{self.bilan['academie']}"

    @property
    def files(self) -> list[tuple[str, str]]:
        """Address and name of each format of this version."""
        version = self.bilan["version"]
        return [
            (f"/v1{self.path}?version={version}&format={name}", name.upper()) for name in ("pdf", "xlsx", "csv", "json")
        ]

    def moment(self, written: str | datetime) -> str:
        """A moment as it is written in a bilan."""
        return self._f.moment(_moment(written))

    def day(self, written: str | date) -> str:
        """A day as it is written in a bilan."""
        return self._f.day(date.fromisoformat(written) if isinstance(written, str) else written)

    def state_of(self, state: str) -> str:
        """What a state is called."""
        return str(getattr(self._t, f"state_{state}"))

    def act_of(self, act: str) -> str:
        """What an act of the journal is called."""
        return str(getattr(self._t, f"act_{act}"))

    def done(self, act: str) -> str:
        """What is said after a form was done."""
        names = {"textes": "text", "validation": "validation", "gel": "freeze", "correction": "correction"}
        return str(getattr(self._t, f"done_{names[act]}"))

    def name(self, indicator: str) -> str:
        """What an indicator is called."""
        if indicator == "size":
            return str(self._t.size)
        return str(self._names.get(indicator, indicator))

    def headlines(self) -> list[dict[str, str]]:
        """The year's figures that a reader looks for first, and those of the period."""
        found = []
        for key, codes in (
            ("headline_detected", ("detected",)),
            ("headline_contracted", ("contracted",)),
            ("headline_back", ("returned", "civic_service")),
        ):
            year, period = (self._sum(span, codes) for span in ("year", "period"))
            note = "" if period is None else self._t.in_period.format(n=self._f.number(period))
            found.append({"label": getattr(self._t, key), "shown": self._shown(year), "note": note})
        objective = self.bilan["objective"]
        if objective is not None:
            share = objective["attainment"]
            found.append(
                {
                    "label": self._t.headline_attainment,
                    "shown": self._base.hidden if share is None else self._f.percent(share),
                    "note": self._t.objective_note.format(n=self._f.number(objective["objective"])),
                }
            )
        return found

    def summary(self) -> dict[str, Any]:
        """Columns and rows of the académie's indicators."""
        views = {"activity": self._t.view_activity, "cohort": self._t.view_cohort}
        columns = [
            _column(
                f"{view}-{measure}-{span}",
                self._t.column.format(view=self._t.share if measure == "share" else views[view], span=self._span(span)),
                _KINDS[measure],
            )
            for view, measure in _SUMMARY
            for span in SPANS
        ]
        rows = []
        for code in _CODES:
            places = [self._place(span, view, code, measure) for view, measure in _SUMMARY for span in SPANS]
            href = f"{self.page.to('/definitions')}#{code}"
            rows.append(self._row(self.name(code), columns, map(self.table.cell, places)) | {"href": href})
        return {"columns": columns, "rows": rows}

    def delays(self) -> dict[str, Any]:
        """Columns and rows of the cohort's delays."""
        columns = [
            _column(f"{measure}-{span}", getattr(self._t, measure).format(span=self._span(span)), _KINDS[measure])
            for span in SPANS
            for measure in _DELAY
        ]
        rows = []
        for code in DELAYS:
            places = [self._place(span, "cohort", code, measure) for span in SPANS for measure in _DELAY]
            rows.append(self._row(self.name(code), columns, map(self.table.cell, places)))
        return {"columns": columns, "rows": rows}

    def networks(self) -> dict[str, Any]:
        """Columns and rows of the networks."""
        columns = [
            _column(
                f"{view}-{code}-{span}",
                self._t.column.format(view=self.name(code), span=self._span(span)),
                _KINDS[measure],
                self._items.get(code) if span == "year" else None,
            )
            for span, view, code, measure in _NETWORKS
        ]
        rows = [
            self._row(
                label,
                columns,
                (
                    self.table.cell(Place(unit, code, span, view, indicator, measure=measure))
                    for span, view, indicator, measure in _NETWORKS
                ),
            )
            for unit, code, label in self.table.networks()
        ]
        return {"columns": columns, "rows": rows}

    def funnel(self) -> dict[str, Any]:
        """The chart of the year's cohort, and its table."""
        counts = [(code, self.table.cell(self._place("year", "cohort", code, "count"))) for code in FUNNEL]
        shares = {code: self.table.cell(self._place("year", "cohort", code, "share")).value for code in FUNNEL}
        bars = [Bar(self.name(code), _whole(cell.value), shares[code]) for code, cell in counts]
        columns = [_column("count", self._t.view_cohort, "count"), _column("share", self._t.share, "share")]
        rows = [
            {
                "label": self.name(code),
                "href": None,
                "cells": {"count": cell.value, "share": shares[code]},
                "nothing": ["share"] if shares[code] is None and cell.value is not None else [],
                "total": False,
            }
            for code, cell in counts
        ]
        svg = charts.funnel(bars, self._f, title=self._t.charts, hidden=self._base.hidden)
        return {"svg": svg, "columns": columns, "rows": rows}

    def series(self) -> dict[str, Any]:
        """The chart of the months' activity, and its table."""
        months = [int(line["month"][-2:]) for line in self.bilan["series"]]
        lines = [
            Series(self.name(code), [line["activity"][code] for line in self.bilan["series"]], mark)
            for code, mark in zip(("detected", "contracted", "returned"), "abc", strict=True)
        ]
        columns = [_column(code, self.name(code), "count") for code in SERIES]
        rows: list[dict[str, Any]] = [
            {
                "label": self._f.month(month),
                "href": None,
                "cells": {code: line["activity"][code] for code in SERIES},
                "nothing": [],
                "total": False,
            }
            for month, line in zip(months, self.bilan["series"], strict=True)
        ]
        labels = [self._f.short_month(month) for month in months]
        told = "; ".join(f"{line.label}: {', '.join(self._shown(value) for value in line.values)}" for line in lines)
        svg = charts.lines(labels, lines, self._f, name="series", title=self._t.series, told=told)
        return {"svg": svg, "columns": columns, "rows": rows}

    def voices(self) -> list[dict[str, Any]]:
        """The texts, the académie's first: whose, what, by whom."""
        found = []
        for text in self.bilan["texts"]:
            at = self.moment(text["at"]) if text["at"] else ""
            by = self._t.written.format(at=at, by=text["by"]) if text["by"] else self._t.written_at.format(at=at)
            found.append({**text, "label": self.unit(text["unit"]), "note": by if at else ""})
        return found

    def unit(self, unit: str) -> str:
        """The name of a text's unit."""
        if unit == ACADEMIE:
            return f"{self._t.of_academie} : {self.bilan['label']}"
        return str(self.table.labels.get(("network", unit), unit))

    def changes(self) -> dict[str, Any]:
        """What a correction changed: columns, rows of counts and of the shares and delays that follow, how many."""
        found = (self.bilan["correction"] or {}).get("changes") or []
        columns = [
            _column("indicator", self._t.indicator, "text"),
            _column("span", self._t.span, "text"),
            _column("measure", self._t.measure, "text"),
            _column("old", self._t.old, "text"),
            _column("new", self._t.new, "text"),
            _column("difference", self._t.difference, "text"),
        ]
        shown = found[:MOST_ROWS]
        return {
            "columns": columns,
            "counts": [self._change(change) for change in shown if change["measure"] == "count"],
            "others": [self._change(change) for change in shown if change["measure"] != "count"],
            "total": len(found),
        }

    def events(self) -> dict[str, Any] | None:
        """The events that made the difference, where the reader may see them; `missing` says why there are none."""
        correction = self.bilan["correction"] or {}
        if "events" not in correction:
            return None
        missing = correction.get("events_missing")
        found = correction["events"] or []
        return {"missing": missing["detail"] if missing else "", "rows": found[:MOST_ROWS], "total": len(found)}

    def _change(self, change: Mapping[str, Any]) -> dict[str, Any]:
        source = f" ({change['source']})" if change["source"] else ""
        view = getattr(self._t, f"view_{change['view']}").lower()
        kind = "share" if change["measure"] == "share" else "count"
        cells = {
            "indicator": f"{self.name(change['indicator'])}{source}, {view}",
            "span": self._span(change["span"]),
            "measure": getattr(self._t, f"measure_{change['measure']}"),
            "old": self._known(change["old"], kind),
            "new": self._known(change["new"], kind),
            "difference": "" if change["difference"] is None else self._signed(change["difference"], kind),
        }
        label = self.table.labels.get((change["unit"], change["code"]), change["code"])
        return {"label": label, "href": None, "cells": cells, "nothing": [], "total": False}

    def _signed(self, value: float, kind: str) -> str:
        return ("+" if value > 0 else "−" if value < 0 else "") + self._shown(abs(value), kind)

    def _shown(self, value: float | None, kind: str = "count") -> str:
        if value is None:
            return str(self._base.hidden)
        return self._f.percent(value) if kind == "share" else self._f.number(value)

    def _known(self, value: float | None, kind: str) -> str:
        """As `_shown`; nothing is hidden from staff, so that None is a share of nobody."""
        return str(self._base.none) if value is None and self.bilan["audience"] == "staff" else self._shown(value, kind)

    def _sum(self, span: str, codes: Iterable[str]) -> int | None:
        found = [self.table.cell(self._place(span, "activity", code, "count")).value for code in codes]
        shown = [int(value) for value in found if value is not None]
        return sum(shown) if len(shown) == len(found) else None

    def _span(self, span: str) -> str:
        return str(getattr(self._t, f"span_{span}"))

    def _place(self, span: str, view: View, indicator: str, measure: Measure) -> Place:
        unit, code = self._academie
        return Place(unit, code, span, view, indicator, measure=measure)

    def _row(self, label: str, columns: Sequence[Mapping[str, Any]], cells: Iterable[Cell]) -> dict[str, Any]:
        found = dict(zip((column["key"] for column in columns), cells, strict=True))
        return {
            "label": label,
            "href": None,
            "cells": {key: cell.value for key, cell in found.items()},
            "nothing": [key for key, cell in found.items() if cell.value is None and not cell.hidden],
            "total": False,
        }


def calendar(
    lines: Iterable[Mapping[str, Any]],
    academies: Mapping[str, str],
    year: int,
    page: Asked,
    texts: Any,
    *,
    today: date,
    sees: frozenset[str],
) -> dict[str, Any]:
    """The year's bilans: an académie a row, a period a column, and in each the state of the latest version.

    `sees`: the académies whose drafts the reader may see.
    """
    t, f = texts.bilans, Writing(page.lang)
    latest: dict[tuple[str, int], Mapping[str, Any]] = {}
    for each in lines:
        latest[each["academie"], each["period"]] = each  # versions come in their order
    rows = []
    for code, name in sorted(academies.items(), key=lambda item: item[1]):
        cells = []
        for period in range(1, PERIODS + 1):
            line = latest.get((code, period))
            state = line["state"] if line else "to_write"
            if Key(year, period, code).first > today:
                cells.append({"state": "not_begun", "shown": t.not_begun, "href": None})
            elif line is None and code not in sees:
                cells.append({"state": "not_published", "shown": t.not_published, "href": None})
            else:
                shown = getattr(t, f"state_{state}") if line else t.to_write
                if line and line["version"] > 1:
                    shown = t.state_version.format(state=shown, version=line["version"])
                cells.append({"state": state, "shown": shown, "href": page.to(f"/bilans/{year}/{period}/{code}")})
        rows.append({"label": name, "cells": cells})
    heads = [
        t.short_period.format(first=f.short_month(2 * period - 1), last=f.short_month(2 * period))
        for period in range(1, PERIODS + 1)
    ]
    return {"heads": heads, "rows": rows}


def _column(key: str, label: str, kind: str, item: Any = None) -> dict[str, Any]:
    return {"key": key, "label": label, "kind": kind, "item": item, "href": None, "sorted": None}


def _definition(item: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as it stands in a bilan, its day a day again."""
    return {**item, "valid_from": date.fromisoformat(item["valid_from"])}


def _moment(written: str | datetime) -> datetime:
    return datetime.fromisoformat(written) if isinstance(written, str) else written


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
