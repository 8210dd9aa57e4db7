"""The pages of bilans: the year's calendar, a bilan to read, and the forms by which staff write, freeze and correct.

Every form works without a script. What is refused is shown beside its field, with what was typed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from services.reporting.bilans.api import CorrectionInput, FreezingInput, TextInput, ValidationInput
from services.reporting.bilans.bilans import Bilans
from services.reporting.bilans.domain import ACADEMIE, Key, Text
from services.reporting.bilans.texts import MOST_CHARACTERS
from services.reporting.conditional import respond
from services.reporting.pages import forms
from services.reporting.pages.bilan_views import MOST_ROWS, BilanView, calendar
from services.reporting.pages.forms import Form, Wrong
from services.reporting.pages.route import PageQuery, asked, html, page_router
from services.reporting.pages.site import HTML, Asked, Site
from shared.clock import Clock, random_id
from shared.problems import Problem
from shared.reference import Reference
from shared.unit_of_work import Tx

PATH: Final = "/bilans"
_FIRST_YEAR: Final = 2013

Act = Literal["textes", "validation", "gel", "correction"]


class CalendarQuery(PageQuery):
    """Which year."""

    year: int | None = Field(None, ge=2000, le=2100)


class BilanQuery(PageQuery):
    """Which version; `done` after something was done to it."""

    version: int | None = Field(None, ge=1)
    done: Act | None = None


class ActQuery(PageQuery):
    """Whose text."""

    unit: str = Field(ACADEMIE, max_length=200)


class Confirmed(FreezingInput):
    """The API's input, and the tick in the box."""

    confirm: Literal["yes"]


@dataclass(frozen=True, slots=True)
class Tried:
    """A form that was refused: what was typed, and why."""

    typed: Mapping[str, str] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def status(self) -> int:
        return 200 if self.problem is None else self.problem.status


def router(
    site: Site, bilans: Bilans, reference: Reference, latest_year: Callable[[], Awaitable[int]], *, clock: Clock
) -> APIRouter:
    """GET of the pages, and POST of the forms."""
    routes = page_router(site)

    def key_of(year: int, period: int, academie: Annotated[str, Path(max_length=10)]) -> Key:
        return bilans.key(year, period, academie)

    def only_staff(key: Key) -> None:
        if not site.reader.sees_all_of(key.academie):
            raise Problem(403, "not_your_academie", "only the staff of the académie and national staff may write here")

    KeyOf = Annotated[Key, Depends(key_of)]  # noqa: N806  # a type

    @routes.get(PATH)
    async def bilans_of_the_year(request: Request, query: Annotated[CalendarQuery, Query()]) -> Response:
        page = asked(request)
        year, today = query.year or await latest_year(), clock().date()
        lines = await _all(bilans, year)
        academies = _academies(reference, year, {line["academie"] for line in lines})
        mine = frozenset(code for code in academies if site.reader.sees_all_of(code))
        view = calendar(lines, academies, year, page, site.texts(page.lang), today=today, sees=mine)
        years = sorted({*range(_FIRST_YEAR, today.year + 1), year}, reverse=True)
        return respond(request, site.render("bilans.html", page, year=year, years=years, calendar=view), HTML)

    @routes.get(f"{PATH}/{{year}}/{{period}}/{{academie}}")
    async def bilan(request: Request, key: KeyOf, query: Annotated[BilanQuery, Query()]) -> Response:
        page = asked(request)
        view = BilanView(await bilans.read(key, query.version), page, site.texts(page.lang))
        over = clock().date() > key.last
        body = site.render("bilan.html", page, view=view, done=query.done, over=over, key=key, most=MOST_ROWS)
        return respond(request, body, HTML)

    @routes.get(f"{PATH}/{{year}}/{{period}}/{{academie}}/{{act}}")
    async def form(request: Request, key: KeyOf, act: Act, query: Annotated[ActQuery, Query()]) -> Response:
        only_staff(key)
        return await shown(asked(request), key, act, query.unit, Tried())

    @routes.post(f"{PATH}/{{year}}/{{period}}/{{academie}}/{{act}}")
    async def do(request: Request, key: KeyOf, act: Act, query: Annotated[ActQuery, Query()]) -> Response:
        only_staff(key)
        sent = await forms.read(request)
        page = asked(request)
        try:
            await _DO[act](bilans, key, query.unit, sent, request)
        except Problem as problem:
            if problem.status not in (409, 422):
                raise
            return await shown(page, key, act, query.unit, Tried(sent.values, problem))
        return RedirectResponse(page.to(_path(key), done=act), 303)

    async def shown(page: Asked, key: Key, act: Act, unit: str, tried: Tried) -> Response:
        texts = site.texts(page.lang)
        view = BilanView(await bilans.read(key), page, texts)
        state: dict[str, Any] = _form(act, view, unit, tried, texts)
        return html(site.render("bilan_form.html", page, view=view, act=act, unit=unit, **state), tried.status)

    return routes


async def _write(bilans: Bilans, key: Key, unit: str, sent: Form, request: Request) -> None:
    fields = forms.checked(TextInput, _filled(sent.values, "by"))
    text = Text(fields.worked, fields.needs, fields.obstacles, fields.by)
    await sent.do(request, lambda tx: bilans.write_text(tx, key, unit, text))


async def _validate(bilans: Bilans, key: Key, _unit: str, sent: Form, request: Request) -> None:
    fields = forms.checked(ValidationInput, _filled(sent.values, "by", "role"))
    await sent.do(request, lambda tx: bilans.validate(tx, key, fields.by, fields.role))


async def _freeze(bilans: Bilans, key: Key, _unit: str, sent: Form, request: Request) -> None:
    fields = forms.checked(Confirmed, _filled(sent.values, "by"))
    prepared = await bilans.prepare(key)

    async def freeze(tx: Tx) -> dict[str, Any]:
        return await bilans.freeze(tx, key, fields.by, prepared)

    await sent.do(request, freeze, alone=True)


async def _correct(bilans: Bilans, key: Key, _unit: str, sent: Form, request: Request) -> None:
    fields = forms.checked(CorrectionInput, _filled(sent.values, "by", "reason"))
    await sent.do(request, lambda tx: bilans.correct(tx, key, fields.by, fields.reason))


_DO: Final[Mapping[Act, Callable[[Bilans, Key, str, Form, Request], Awaitable[None]]]] = {
    "textes": _write,
    "validation": _validate,
    "gel": _freeze,
    "correction": _correct,
}
_TYPED: Final[Mapping[Act, type[BaseModel]]] = {
    "textes": TextInput,
    "validation": ValidationInput,
    "gel": Confirmed,
    "correction": CorrectionInput,
}


def _filled(values: Mapping[str, str], *needed: str) -> dict[str, str]:
    """The fields, without those that must be filled and are not: they are missing."""
    return {name: value for name, value in values.items() if value or name not in needed}


def _form(act: Act, view: BilanView, unit: str, tried: Tried, texts: Any) -> dict[str, Any]:
    """What the template of the forms needs: what stands in the fields, and what is wrong with them."""
    t = texts.bilans
    said = next((text for text in view.bilan["texts"] if text["unit"] == unit), None) if act == "textes" else None
    written = {name: (said[name] or "") if said else "" for name in ("worked", "needs", "obstacles")}
    labels = {
        **{name: (name, getattr(t, name)) for name in written},
        "role": ("role", t.role),
        "reason": ("reason", t.correct_reason),
        "confirm": ("confirm", t.confirm),
        "by": ("by", texts.forms.by),
    }
    labels = {name: label for name, label in labels.items() if name in _TYPED[act].model_fields}
    faults = Wrong() if tried.problem is None else forms.wrong(tried.problem, texts, labels)
    have = {text["unit"] for text in view.bilan["texts"]}
    units = [(ACADEMIE, view.unit(ACADEMIE)), *((code, label) for _, code, label in view.table.networks())]
    here = f"{view.path}/textes"
    return {
        "typed": {"by": "", "role": "", "reason": "", **written, **tried.typed},
        "faults": faults,
        "of": faults.of,
        "once": random_id(),
        "most": MOST_CHARACTERS,
        "action": view.page.to(f"{view.path}/{act}", unit=unit if act == "textes" else None),
        "units": [
            {"href": view.page.to(here, unit=code), "label": label, "here": code == unit, "has_text": code in have}
            for code, label in units
        ],
        "unit_label": view.unit(unit),
    }


async def _all(bilans: Bilans, year: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        items, cursor = await bilans.page(year=year, cursor=cursor, limit=500)
        found += items
        if cursor is None:
            return found


def _academies(reference: Reference, year: int, named: set[str]) -> dict[str, str]:
    """The académies of the year, and whichever else has a bilan (a vice-rectorat)."""
    there = reference.academies_between(date(year, 1, 1), date(year, 12, 31))
    always = {
        academie.code for academie in reference.academies_between(date(year, 1, 1), date(year, 12, 31), "academie")
    }
    return {academie.code: academie.name for academie in there if academie.code in always | named}


def _path(key: Key) -> str:
    return f"{PATH}/{key.year}/{key.period}/{key.academie}"
