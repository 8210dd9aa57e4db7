"""Is a row of a SIEI list about a dropout in the sense of the law? One reason per rejected row, the first that fits.

Rules: code de l'éducation L313-7 and D313-59; the CNIL demands that a row about an under-16 is dropped, so that rule
comes first whenever the birth date can be read. Pure: the reference tables come as an argument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, Final, Literal, Protocol, cast, get_args

from msgspec import Struct

from shared.events.base import Sex, Source
from shared.identifiers import (
    IneForm,
    age_on,
    departement_of,
    identity_key,
    ine_form,
    normalise_commune,
    normalise_ine,
    normalise_uai,
    parse_campaign,
    parse_iso_date,
    uai_problem,
    uai_suggestion,
)
from shared.siei_csv import COLUMNS

Code = Literal[
    "under_16",
    "malformed",
    "over_25",
    "has_diploma",
    "re_enrolled",
    "unknown_school",
    "unknown_commune",
    "bad_dates",
]
Warned = Literal["bad_ine", "school_not_listed", "commune_not_listed", "unreadable_optional"]

SOURCES: Final = frozenset(get_args(Source))
NO_DIPLOMA: Final = frozenset({"", "NONE", "DNB", "CFG"})
DIPLOMAS: Final = frozenset({"CAP", "BEP", "BP", "MC", "BAC_PRO", "BAC_TECHNO", "BAC_GENERAL"})
NEEDED: Final = (
    "campaign",
    "source",
    "source_row",
    "family_name",
    "given_names",
    "birth_date",
    "sex",
    "commune",
    "last_school",
    "left_on",
)
NEEDED_SPONTANEOUS: Final = ("family_name", "given_names", "birth_date", "sex", "commune")
_CODES: Final = NO_DIPLOMA | DIPLOMAS
_SEXES: Final = get_args(Sex)
MIN_AGE: Final = 16
MAX_AGE: Final = 25
LONGEST: Final = 500
_FOLLOWED: Final = {"true": True, "false": False, "": None}
_STATUSES: Final = ("scolaire", "apprenti", "")
_SHOWN: Final = frozenset(
    {"campaign", "source", "sex", "commune", "last_school", "enrolled_in", "highest_diploma", "left_on"}
)


class Known(Protocol):
    """What the reference tables can tell."""

    def knows_departement(self, code: str) -> bool:
        """Whether a département has, or had, this code."""
        ...

    def knows_commune(self, code: str) -> bool:
        """Whether the commune is in our list."""
        ...

    def knows_school(self, uai: str) -> bool:
        """Whether the school is in our list."""
        ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a row goes no further. `value` is shown only for codes and dates, never for identity."""

    code: Code
    field: str
    message: str
    value: str | None = None
    suggestion: str | None = None


class Row(Struct, frozen=True):
    """An eligible row. `on` is the day of detection: the list's reference date, or the day the youth came.

    `identity` is the same for two rows that name the same person, as far as names and birth date can tell.
    """

    campaign: str
    on: date
    source: Source | None
    source_row: str
    family_name: str
    given_names: str
    birth_date: date
    identity: str
    sex: Sex
    commune: str
    departement: str
    last_school: str | None
    left_on: date | None
    ine: str | None = None
    ine_form: IneForm | None = None
    address: str = ""
    postal_code: str = ""
    phone: str = ""
    email: str = ""
    guardian_name: str = ""
    guardian_phone: str = ""
    last_course: str = ""
    last_level: str = ""
    status: str = ""
    highest_diploma: str = ""
    followed_by_mission_locale: bool | None = None
    origin: Literal["siei", "spontaneous"] = "siei"
    warnings: tuple[Warned, ...] = ()

    @property
    def key(self) -> str:
        """The same for two rows that are the same row of the same list."""
        return f"{self.source or 'SPONTANEOUS'}|{self.campaign}|{self.source_row}"

    @property
    def age(self) -> int:
        """Whole years on the day of detection."""
        return age_on(self.birth_date, self.on)


@dataclass(frozen=True, slots=True)
class _Dates:
    reference: date
    birth: date
    left_on: date | None


def texts(values: Mapping[str, Any]) -> dict[str, str | None]:
    """All columns as stripped text; None for what is no text, number or boolean (an object, a list)."""
    found = ((name, values.get(name, "")) for name in COLUMNS)
    return {name: value.strip() if type(value) is str else _text(value) for name, value in found}


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None


def is_under_16(values: Mapping[str, Any], today: date) -> bool:
    """Whether the birth date can be read and tells of an under-16 on the list's date (today, if that is unreadable)."""
    birth = parse_iso_date(_text(values.get("birth_date")) or "")
    return birth is not None and age_on(birth, parse_campaign(_text(values.get("campaign")) or "") or today) < MIN_AGE


def judge(  # noqa: PLR0911  one return a rule, in the order of the rules
    values: Mapping[str, Any],
    known: Known,
    *,
    excluding: frozenset[str],
    today: date,
    came_on: date | None = None,
) -> Row | Rejected:
    """The row, ready to be matched, or the first reason why not.

    `came_on`: the youth came by himself on that day; then fewer fields are needed and that day is the reference date.
    """
    fields = texts(values)

    def field(name: str) -> str:
        return fields[name] or ""

    def reject(code: Code, name: str, message: str, suggestion: str | None = None) -> Rejected:
        shown = field(name)[:60] if name in _SHOWN and code != "under_16" else None
        return Rejected(code, name, message, shown or None, suggestion)

    reference = came_on or parse_campaign(field("campaign"))
    birth = parse_iso_date(field("birth_date"))
    if birth is not None and age_on(birth, reference or today) < MIN_AGE:
        return reject("under_16", "birth_date", "younger than 16 on the list's date: remove this row at its source")

    malformed = _malformed(fields, reference, birth, spontaneous=came_on is not None)
    if malformed is not None:
        name, message, suggestion = malformed
        return reject("malformed", name, message, suggestion)
    assert reference is not None  # noqa: S101  told to the type checker; `_malformed` has looked
    assert birth is not None  # noqa: S101  likewise
    if age_on(birth, reference) > MAX_AGE:
        return reject("over_25", "birth_date", "26 or older on the list's date: outside the age range 16 to 25")
    if field("highest_diploma") in excluding:
        return reject(
            "has_diploma", "highest_diploma", "holds a diploma (D313-59): not a dropout in the sense of the law"
        )
    enrolled = field("enrolled_in")
    if enrolled and uai_problem(enrolled) is None:
        return reject("re_enrolled", "enrolled_in", "is enrolled again: remove this row at its source")
    for name in ("last_school", "enrolled_in"):
        problem = uai_problem(fields[name] or "") if fields[name] else None
        if problem is not None:
            why = "is no UAI (7 digits and a letter)" if problem == "malformed" else "has a wrong check letter"
            return reject("unknown_school", name, f"{name} {why}: correct it", uai_suggestion(field(name)))
    commune = normalise_commune(field("commune"))
    departement = departement_of(commune)
    if departement is None or not known.knows_departement(departement):
        message = "is no COG (INSEE) code of a known département; a postcode is not one: give the commune's COG code"
        return reject("unknown_commune", "commune", message)
    left_on = parse_iso_date(field("left_on"))
    if left_on is not None and left_on > reference:
        return reject("bad_dates", "left_on", f"lies after the list's date {reference}: correct it")
    dates = _Dates(reference, birth, left_on)
    return _row(fields, dates, commune, departement, known, spontaneous=came_on is not None)


def _malformed(  # noqa: PLR0911  one return a reason
    fields: Mapping[str, str | None], reference: date | None, birth: date | None, *, spontaneous: bool
) -> tuple[str, str, str | None] | None:
    """The first field that is missing or unreadable: its name, what mends it, a suggestion."""
    for name in NEEDED_SPONTANEOUS if spontaneous else NEEDED:
        text = fields[name]
        if text is None or len(text) > LONGEST:
            return name, f"is no text of at most {LONGEST} characters: correct it", None
        if not text:
            return name, "is missing: give it", None
    if not spontaneous and reference is None:
        return "campaign", "is no month written YYYY-MM: correct it", None
    if fields["source"] and fields["source"] not in SOURCES:
        return "source", f"is not one of {', '.join(sorted(SOURCES))}", _closest(fields["source"], SOURCES)
    if birth is None:
        return "birth_date", "is no date written YYYY-MM-DD: correct it", None
    if fields["sex"] not in _SEXES:
        return "sex", "is neither F nor M: correct it", _closest((fields["sex"] or "").upper()[:1], _SEXES)
    if fields["left_on"] and parse_iso_date(fields["left_on"] or "") is None:
        return "left_on", "is no date written YYYY-MM-DD: correct it", None
    diploma = fields["highest_diploma"] or ""
    if diploma not in _CODES:
        codes = _CODES - {""}
        return "highest_diploma", f"is not empty nor one of {', '.join(sorted(codes))}", _closest(diploma, codes)
    return None


def _closest(text: str | None, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches((text or "").upper(), sorted(known), n=1, cutoff=0.6)), None)


def _row(
    fields: Mapping[str, str | None],
    dates: _Dates,
    commune: str,
    departement: str,
    known: Known,
    *,
    spontaneous: bool,
) -> Row:
    readable = {name: "" if text is None or len(text) > LONGEST else text for name, text in fields.items()}
    followed, status = readable["followed_by_mission_locale"], readable["status"]
    warnings: list[Warned] = []
    campaign = readable["campaign"] if not spontaneous else f"{dates.reference:%Y-%m}"
    ine = normalise_ine(readable["ine"])
    form = ine_form(ine, campaign) if ine else None
    if ine and form is None:
        warnings.append("bad_ine")
    school = normalise_uai(readable["last_school"])
    if school and not known.knows_school(school):
        warnings.append("school_not_listed")
    if not known.knows_commune(commune):
        warnings.append("commune_not_listed")
    if followed not in _FOLLOWED or status not in _STATUSES or readable != fields:
        warnings.append("unreadable_optional")
    return Row(
        campaign=campaign,
        on=dates.reference,
        source=cast(Source, readable["source"]) if readable["source"] else None,
        source_row=readable["source_row"],
        family_name=readable["family_name"],
        given_names=readable["given_names"],
        birth_date=dates.birth,
        identity=identity_key(readable["family_name"], readable["given_names"], dates.birth),
        sex=cast(Sex, readable["sex"]),
        commune=commune,
        departement=departement,
        last_school=school or None,
        left_on=dates.left_on,
        ine=ine if form is not None else None,
        ine_form=form,
        address=readable["address"],
        postal_code=readable["postal_code"],
        phone=readable["phone"],
        email=readable["email"],
        guardian_name=readable["guardian_name"],
        guardian_phone=readable["guardian_phone"],
        last_course=readable["last_course"],
        last_level=readable["last_level"],
        status=status if status in _STATUSES else "",
        highest_diploma=readable["highest_diploma"],
        followed_by_mission_locale=_FOLLOWED.get(followed),
        origin="spontaneous" if spontaneous else "siei",
        warnings=tuple(warnings),
    )
