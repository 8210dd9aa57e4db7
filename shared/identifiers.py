"""What an identifier or a date of the field must look like, and when two rows name the same person.

Pure: no table, no clock. Whether a well-formed code is *known* is for `shared.reference` to say.
"""

import calendar
import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final, Literal

KEY_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
"""The 23 check letters of UAI and INE (no I, O, Q); the number modulo 23 picks one."""

RNIE_SINCE: Final = date(2017, 9, 1)
"""First day of the school year from which an INE may have the RNIE form (nine digits, two letters)."""

_REMEMBERED: Final = 20_000
"""Answers kept of each of the functions below whose arguments come again and again in a list."""

UaiProblem = Literal["malformed", "wrong_key"]
IneForm = Literal["bea", "apprenticeship", "rnie"]

_UAI = re.compile(r"[0-9]{7}[A-Z]")
_UAI_WITHOUT_ZERO = re.compile(r"[0-9]{6}[A-Z]")
_UAI_SEPARATORS = re.compile(r"[\s.\-]+")
_INE_BEA = re.compile(r"[0-9]{10}[A-Z]")
_INE_APPRENTICESHIP = re.compile(r"[0-9]{4}A[0-9]{5}[A-Z]")
_INE_RNIE = re.compile(r"[0-9]{9}[A-Z]{2}")
_COMMUNE = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{3}")
_NO_DEPARTEMENT = frozenset({"00", "20", "99"})  # 20 was Corsica before 2A and 2B; 99 are foreign countries
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CAMPAIGN = re.compile(r"([0-9]{4})-([0-9]{2})")


def _upper(text: str) -> str:
    """Stripped and upper-cased; only plain ASCII letters change (`ı` or `ſ` must not turn into a valid letter)."""
    stripped = text.strip()
    return stripped.upper() if stripped.isascii() else stripped


def key_letter(digits: str) -> str:
    """The check letter of a number given as decimal digits."""
    return KEY_LETTERS[int(digits) % len(KEY_LETTERS)]


def normalise_uai(text: str) -> str:
    """The text as a UAI is stored: stripped, upper-case. Says nothing about its validity."""
    return _upper(text)


@lru_cache(_REMEMBERED)
def uai_problem(text: str) -> UaiProblem | None:
    """What is wrong with a UAI: not seven digits and a letter, or a letter that is not its number's; None if right."""
    uai = _upper(text)
    if not _UAI.fullmatch(uai):
        return "malformed"
    return None if uai[7] == key_letter(uai[:7]) else "wrong_key"


def uai_suggestion(text: str) -> str | None:
    """What a wrong UAI may have been meant to be; for a person to confirm, never to be taken silently.

    A lost leading zero (spreadsheets drop it) is put back where the letter then fits; spaces, dots and hyphens are
    left out; a right form with a wrong letter gets the letter of its number. None for a right UAI and where nothing
    can be said.
    """
    if uai_problem(text) is None:
        return None
    uai = _UAI_SEPARATORS.sub("", _upper(text))
    if _UAI_WITHOUT_ZERO.fullmatch(uai):
        padded = "0" + uai
        return padded if uai_problem(padded) is None else None
    return uai[:7] + key_letter(uai[:7]) if _UAI.fullmatch(uai) else None


def normalise_ine(text: str) -> str:
    """The text as an INE is stored: stripped, upper-case. Says nothing about its validity."""
    return _upper(text)


def ine_form(text: str, campaign: str) -> IneForm | None:
    """Which form a valid INE has, seen in a campaign (`YYYY-MM`); None when malformed or its key is wrong.

    BEA: ten digits and the letter of their number. Apprenticeship: `dddd A ddddd L`, without a check. RNIE: nine
    digits and two letters, only from the campaign of September 2017 on.
    """
    ine = _upper(text)
    if _INE_BEA.fullmatch(ine):
        return "bea" if ine[10] == key_letter(ine[:10]) else None
    if _INE_APPRENTICESHIP.fullmatch(ine):
        return "apprenticeship"
    if _INE_RNIE.fullmatch(ine):
        reference_date = parse_campaign(campaign)
        return "rnie" if reference_date is not None and reference_date >= RNIE_SINCE else None
    return None


def normalise_commune(text: str) -> str:
    """The text as a COG code is stored: stripped, upper-case (`2a004` is `2A004`)."""
    return _upper(text)


@lru_cache(_REMEMBERED)
def departement_of(commune: str) -> str | None:
    """The département that a COG commune code belongs to by its form, or None when it has no such form.

    Two characters (`59`, `2A`), three overseas (`974`, `988`). Arrondissements of Paris, Lyon and Marseille are of
    their city's département. A postcode is no COG code: where it looks like one, nobody can tell.
    """
    code = _upper(commune)
    if not _COMMUNE.fullmatch(code) or code[:2] in _NO_DEPARTEMENT:
        return None
    return code[:3] if code[:2] in ("97", "98") else code[:2]


@lru_cache(_REMEMBERED)
def parse_iso_date(text: str) -> date | None:
    """A date written exactly `YYYY-MM-DD`, else None (`date.fromisoformat` takes other forms as well)."""
    match = _ISO_DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


@lru_cache(_REMEMBERED)
def parse_campaign(text: str) -> date | None:
    """The reference date of a campaign `YYYY-MM`: the last day of that month; None when it is no month."""
    match = _CAMPAIGN.fullmatch(text)
    if match is None:
        return None
    year, month = int(match[1]), int(match[2])
    if year < 1 or not 1 <= month <= 12:
        return None
    return date(year, month, calendar.monthrange(year, month)[1])


def age_on(birth: date, day: date) -> int:
    """Whole years of age on a day (negative before the birth). Born on 29 February: a year older on 1 March where
    the year has no 29 February.
    """
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


_PARTICLES = frozenset({"de", "du", "des", "d", "le", "la", "les", "l"})
# Typographic and modifier apostrophes, primes, the backtick; the acute accent alone becomes a space under NFKD.
_APOSTROPHES = "'\u2018\u2019\u201b\u2032\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\uff07\ua78c`"
_HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d"
# Letters that NFKD leaves whole though a reader sees a letter with a mark, or two letters.
_WHOLE_LETTERS = {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "þ": "th"}
_FOLD = str.maketrans({**_WHOLE_LETTERS, **dict.fromkeys(_APOSTROPHES + _HYPHENS, " ")})


def _words(text: str) -> list[str]:
    if text.isascii():
        return text.casefold().translate(_FOLD).split()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(c for c in folded if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return kept.translate(_FOLD).split()


@lru_cache(_REMEMBERED)
def name_key(name: str) -> str:
    """A name with all that does not matter taken away; the same key means the same name.

    What does not matter: case, accents, ligatures, hyphens, apostrophes, spaces, and the particles de, du, des, d',
    le, la, les, l' as words of their own. `D'Artagnan`, `d Artagnan` and `Artagnan` are one name, `Dartagnan` is
    another; so are `Le Goff` and `Goff`, and `Legoff` is another. A hyphen or an apostrophe may be lost or become a
    space on the way through a base, so neither leaves a trace: `N'Diaye`, `N Diaye` and `Ndiaye` are one. A name
    made of particles only keeps them; one without a single letter keeps its characters.
    """
    words = _words(name)
    kept = [word for word in words if word not in _PARTICLES] or words
    return "".join(kept) or "".join(name.split())


def first_given_name(given_names: str) -> str:
    """The first of the given names: commas separate them, a hyphen or a space joins a compound one."""
    return next((part.strip() for part in given_names.split(",") if part.strip()), "")


def identity_key(family_name: str, given_names: str, birth_date: date) -> str:
    """The key two rows share when they name the same person as far as names and birth date can tell.

    Family name, first given name, birth date (see `name_key`), in one string without personal structure to parse.
    """
    return f"{name_key(family_name)} {name_key(first_given_name(given_names))} {birth_date.isoformat()}"
