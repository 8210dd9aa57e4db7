"""The pages of figures: France, an académie, the definitions; which figures each asks for.

All figures of a page are of one edition, and are asked for at once: between them nothing is awaited.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from time import monotonic
from typing import Any, Final

import msgspec

from services.reporting.answers import Answers, Edition
from services.reporting.definitions import Definition
from services.reporting.figures import Period
from services.reporting.objectives.objectives import Objectives
from services.reporting.pages import views
from services.reporting.pages.kept import State, View
from services.reporting.pages.lineage_page import PATH as LINEAGE
from services.reporting.pages.map import Sheet, sheet
from services.reporting.pages.periods import (
    PARTS,
    Chosen,
    FiguresQuery,
    chosen,
    month_of,
    part_name,
    two_months,
    years,
)
from services.reporting.pages.site import Asked, Site
from services.reporting.pages.sorting import LABEL, head, ordered
from services.reporting.pages.writing import Writing
from services.reporting.queries import IndicatorsQuery
from services.reporting.units import suggestions
from shared.problems import Problem
from shared.reference import Reference

_LONG_AGO: Final = date.min
_FAR_OFF: Final = date.max
_SHARE_S: Final = 0.5
_MOST_BUNDLES: Final = 32
_FIGURES: Final = 2
"""So many of a state's first parts are about figures."""


@dataclass(frozen=True, slots=True)
class _Bundle:
    """All that pages of a period show of France and its académies, asked for at once and shared by the pages."""

    state: State
    made_at: float
    edition: Edition
    span: tuple[int, int] | None
    year: dict[str, Any]
    rows: list[dict[str, Any]]
    months: list[dict[str, dict[str, Any]]]
    networks: list[dict[str, Any]]


class FiguresPages:
    """Looks up what the pages of figures show. A bundle is shared for `share_s` while figures move; 0: never."""

    def __init__(
        self, site: Site, answers: Answers, objectives: Objectives, reference: Reference, *, share_s: float = _SHARE_S
    ) -> None:
        self._site = site
        self._answers = answers
        self._objectives = objectives
        self._reference = reference
        self._share_s = share_s
        self._bundles: dict[Chosen, _Bundle] = {}
        self._sheets: dict[bool, Sheet] = {}

    async def national(self, page: Asked, query: FiguresQuery, state: State) -> View:
        """France: headlines, the map and the table of its académies."""
        when, bundle = await self._bundle(query, state)
        rows, year = bundle.rows, bundle.year
        lines = {line["academie"]: line for line in year["academies"]}
        france = next(row for row in rows if row["by"] == "national")
        academies = views.national_rows([row for row in rows if row["by"] == "academie"], lines)
        for row in academies:
            row["href"] = page.to(f"/academies/{row['code']}", **when.query())
        columns = self._national_columns(page, query.sort, when)
        table = ordered(academies, query.sort, [column["key"] for column in columns])
        total = views.total_row(france, year["national"]) | {"label": self._site.texts(page.lang).national.total}
        return (
            bundle.state,
            "national.html",
            {
                **self._shell(page, when, bundle),
                "france": {
                    "activity": france["activity"],
                    "cohort": france["cohort"],
                    "back": views.back(france["activity"]),
                },
                "objective": year["national"],
                "first": head(
                    page, LABEL, self._site.texts(page.lang).national.academie, query.sort or LABEL, kind="text"
                ),
                "columns": columns,
                "rows": [*table, total],
                "places": {code: asdict(place) for code, place in views.places(academies).items()},
                "sheet": self._sheet(when.last),
                "definitions": self._definitions(views.NATIONAL_COLUMNS, ("unknown", "attainment")),
            },
        )

    async def academie(self, page: Asked, code: str, query: FiguresQuery, state: State) -> View:
        """An académie; 404 `unknown_academie`."""
        label = self._known(code)
        when, bundle = await self._bundle(query, state)
        texts, writing = self._site.texts(page.lang).academie, Writing(page.lang)
        edition = await self._answers.edition()
        row = next((row for row in bundle.rows if row["by"] == "academie" and row["code"] == code), None)
        if row is None:  # not of this period, and nothing counts
            row = self._rows(edition, when, by="academie", view="activity,cohort", code=code)[0]
        none = self._rows(edition, when, by="academie", view="activity", code=code)[0]["activity"]
        months = [month.get(code, dict.fromkeys(none, 0)) for month in bundle.months]
        working = edition.figures.sums.networks_of(code)
        networks = views.network_rows([network for network in bundle.networks if network["code"] in working])
        curve = self._answers.curve("academie", code, Period(when.first, when.last), edition)
        line = next((line for line in bundle.year["academies"] if line["academie"] == code), None)
        cohort = row["cohort"]
        codes = (*views.FUNNEL[1:], "civic_service", "broken")
        network_columns = [
            *({"key": key, "label": self._name(key, page), "kind": "count"} for key in views.NETWORK_COLUMNS),
            {"key": "unknown", "label": texts.unknown_share, "kind": "share"},
        ]
        return (
            bundle.state,
            "academie.html",
            {
                **self._shell(page, when, bundle),
                "code": code,
                "label": row["label"] if row["label"] != code else label,
                "activity": row["activity"],
                "back": views.back(row["activity"]),
                "cohort": cohort,
                "names": {
                    key: self._name(key, page)
                    for key in ("detected", *codes, "dismissed", "unknown", "not_known", "lapsed")
                },
                "funnel": [
                    {
                        "label": self._name(key, page).split(" (")[0],
                        "cells": {"count": value, "share": share},
                        "nothing": ["share"] if cohort["size"] == 0 else [],
                    }
                    for key, value, share in views.funnel(cohort)
                ],
                "lineage": self._lineage(page, code, when) if self._site.reader.sees_all_of(code) else [],
                "months": [
                    {
                        "label": f"{writing.month(number)} {when.year}",
                        "cells": {key: activity[key] for key in views.MONTHLY},
                    }
                    for number, activity in enumerate(months, start=1)
                ],
                "month_names": [writing.short_month(number) for number in range(1, 13)],
                "monthly": [{"key": key, "label": self._name(key, page), "kind": "count"} for key in views.MONTHLY],
                "curve": views.curve_rows(curve),
                "complete_days": curve["complete_days"],
                "curve_hidden": bool(curve.get("suppressed")),
                "curve_columns": [{"key": key, "label": self._name(key, page), "kind": "share"} for key in views.CURVE],
                "networks": networks,
                "network_columns": network_columns,
                "delays": [each | {"label": self._name(each["code"], page)} for each in views.delay_rows(cohort)],
                "false_positives": [
                    each | {"label": getattr(texts.sources, each["code"])} for each in views.false_positive_rows(cohort)
                ],
                "objective": line,
                "trajectory": views.trajectory(line, writing) if line else [],
                "bilans": [
                    {
                        "href": page.to(f"/bilans/{when.year}/{part}/{code}"),
                        "name": f"{part_name(part, writing)} {when.year}",
                    }
                    for part in PARTS[1:]
                    if two_months(when.year, int(part))[0] <= edition.as_of.date()
                ],
                "definitions": self._definitions(
                    ("detected", *codes, "unknown", "not_known", "lapsed"),
                    ("attainment", "false_positive_rate", "cohort_curve"),
                ),
            },
        )

    async def definitions(self, state: State) -> View:
        """Every version of every definition."""
        registry = self._answers.definitions
        return (
            state,
            "definitions.html",
            {
                "items": [
                    msgspec.to_builtins(item) | {"valid_from": item.valid_from, "valid_to": item.valid_to}
                    for item in registry.all()
                ],
                "latest": {item.code: item.version for item in registry.all()},
            },
        )

    async def _bundle(self, query: FiguresQuery, state: State) -> tuple[Chosen, _Bundle]:
        """The period, and all that is shown of it; of the objectives first, then the rest at once."""
        edition = await self._answers.edition()
        when = chosen(query, edition.figures.sums.span(), edition.as_of.date())
        known = self._bundles.get(when)
        if known is not None and (known.state == state or self._shared(known, state)):
            return when, known
        year = await self._objectives.year(when.year)
        edition = await self._answers.edition()
        bundle = _Bundle(
            state,
            monotonic(),
            edition,
            edition.figures.sums.span(),
            year,
            self._rows(edition, when, by="national,academie", view="activity,cohort"),
            self._months(edition, when.year),
            self._rows(edition, when, by="network", view="activity,cohort"),
        )
        self._bundles.pop(when, None)
        while len(self._bundles) >= _MOST_BUNDLES:
            del self._bundles[next(iter(self._bundles))]
        self._bundles[when] = bundle
        return when, bundle

    def _shared(self, known: _Bundle, state: State) -> bool:
        """Whether only the figures have moved since, and that a moment ago."""
        return known.state[_FIGURES:] == state[_FIGURES:] and monotonic() < known.made_at + self._share_s

    def _months(self, edition: Edition, year: int) -> list[dict[str, dict[str, Any]]]:
        """The activity of each académie in each month of the year that has begun."""
        today = edition.as_of.date()
        begun = 12 if year < today.year else today.month if year == today.year else 0
        found = []
        for month in range(1, begun + 1):
            days = Chosen(year, None, *month_of(year, month))
            rows = self._rows(edition, days, by="academie", view="activity")
            found.append({row["code"]: row["activity"] for row in rows})
        return found

    def _known(self, code: str) -> str:
        """The name of an académie that there was at some time; 404 `unknown_academie`."""
        labels = {each.code: each.name for each in self._reference.academies_between(_LONG_AGO, _FAR_OFF)}
        if code in labels:
            return labels[code]
        close = [text.split(" (")[0] for text in suggestions(code, [labels])]
        links = [(f"/academies/{near}", f"{labels[near]} ({near})") for near in close]
        near = f"did you mean {', '.join(close)}?" if close else "the national view lists all"
        raise Problem(
            404, "unknown_academie", f"no académie has the code {code!r}: {near}", academie=code, suggestions=links
        )

    def _national_columns(self, page: Asked, sort: str, when: Chosen) -> list[dict[str, Any]]:
        texts = self._site.texts(page.lang).national
        columns = [
            head(page, code, self._name(code, page), sort, item=self._item(code)) for code in views.NATIONAL_COLUMNS
        ]
        columns.append(head(page, "unknown", texts.unknown_share, sort, kind="share", item=self._item("unknown")))
        columns.append(head(page, "objective", texts.objective_of.format(year=when.year), sort))
        columns.append(head(page, "achieved", texts.achieved_of.format(year=when.year), sort))
        columns.append(head(page, "attainment", texts.attainment, sort, kind="share", item=self._item("attainment")))
        return columns

    def _rows(self, edition: Edition, when: Chosen, **asked: Any) -> list[dict[str, Any]]:
        days = {"from": when.first, "to": when.last}
        return self._answers.rows(IndicatorsQuery.model_validate({**asked, **days}), edition)

    def _shell(self, page: Asked, when: Chosen, bundle: _Bundle) -> dict[str, Any]:
        """What all pages of figures show: the choice of the period, breaks of series in it, how fresh it all is."""
        writing = Writing(page.lang)
        known = years(bundle.span, bundle.edition.as_of.date())
        sources = msgspec.json.decode(bundle.edition.sources)
        times = [source["last_event_time"] for source in sources if source["last_event_time"]]
        return {
            "when": {**asdict(when), "name": when.name(writing), "query": when.query()},
            "years": sorted({*known, when.year}, reverse=True),
            "parts": [
                (part, self._site.texts(page.lang).figures.year if part == "year" else part_name(part, writing))
                for part in PARTS
            ],
            "breaks": [
                {"name": self._name(each.code, page), "on": each.on, "change": each.change[page.lang]}
                for each in self._answers.definitions.breaks(when.first, when.last)
            ],
            "last_event": msgspec.convert(max(times), type=datetime) if times else None,
            "lag": sum(source["lag"] or 0 for source in sources),
        }

    def _item(self, code: str) -> Definition:
        return self._answers.definitions.by_code(code)

    def _lineage(self, page: Asked, code: str, when: Chosen) -> list[dict[str, str]]:
        """Links to the youths behind the figures of the cohort."""
        return [
            {
                "label": self._name(of, page),
                "href": page.to(
                    LINEAGE,
                    by="academie",
                    code=code,
                    view="cohort",
                    indicator="size" if of == "detected" else of,
                    from_=when.first,
                    to=when.last,
                ),
            }
            for of in (*views.FUNNEL, "civic_service", "broken", "dismissed", "not_known", "lapsed")
        ]

    def _name(self, code: str, page: Asked) -> str:
        return self._item(code).name[page.lang]

    def _definitions(self, *codes: Any) -> list[Definition]:
        return [self._item(code) for of in codes for code in of]

    def _sheet(self, day: date) -> Sheet:
        """The map of a day; there are two."""
        outlines = self._reference.outlines(day)
        key = "70" in outlines
        if key not in self._sheets:
            self._sheets[key] = sheet(outlines)
        return self._sheets[key]
