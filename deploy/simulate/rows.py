"""Rows of a SIEI list: right ones, the same youth as another base sees him, and rows that must be rejected."""

from dataclasses import dataclass, replace
from datetime import date
from random import Random
from typing import Final

from deploy.simulate.drawing import iso
from deploy.simulate.names import misspelt, mistyped
from deploy.simulate.people import People, Person
from deploy.simulate.places import Places
from deploy.simulate.rates import BAD_INE, COMMUNE_NOT_LISTED, REFERENCE_DATES, SCHOOL_NOT_LISTED
from shared.identifiers import KEY_LETTERS

_DIPLOMAS: Final = ("CAP", "CAP", "BEP", "BEP", "BAC_PRO", "BAC_GENERAL", "BAC_TECHNO", "BP", "MC")
_NO_DIPLOMAS: Final = ("", "", "", "NONE", "DNB", "DNB", "CFG")
_NO_COMMUNES: Final = ("99999", "20004", "2C014", "7505", "00123", "59", "PARIS 12")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `cells` has the columns of the list but campaign, source and source_row, which say where it stands."""

    campaign: str
    source: str
    cells: dict[str, str]
    warnings: tuple[str, ...] = ()


class Rows:
    """Writes people down as the bases do."""

    def __init__(self, rng: Random, people: People, places: Places) -> None:
        self._rng = rng
        self._people = people
        self._places = places

    def plain(self, person: Person, campaign: str) -> Row:
        """The row of a youth's own base, right in all cells that count."""
        return Row(campaign, person.source, _cells(person, campaign, self._rng))

    def first(self, person: Person, campaign: str) -> Row:
        """The first row about a youth, now and then with a code that nobody knows."""
        rng = self._rng
        row = self.plain(person, campaign)
        roll = rng.random()
        if roll < BAD_INE:
            return _warned(row, "bad_ine", ine=_bad_ine(rng, person.ine))
        if roll < BAD_INE + SCHOOL_NOT_LISTED:
            uai = self._places.unlisted_school(rng, person.home.departement)
            return _warned(row, "school_not_listed", last_school=uai)
        if roll < BAD_INE + SCHOOL_NOT_LISTED + COMMUNE_NOT_LISTED:
            home = self._places.merged_away(rng, person.home)
            person.home = home
            return _warned(row, "commune_not_listed", commune=home.commune)
        return row

    def again(self, person: Person, campaign: str, source: str) -> Row:
        """The same youth, listed by this base too: spelt otherwise, or without INE, or by a slip with another name."""
        rng = self._rng
        cells = _cells(person, campaign, rng)
        spelling = person.name
        if person.ine and rng.random() < 0.15:
            spelling = mistyped(rng, person.name)
        else:
            if rng.random() < 0.8:
                spelling = misspelt(rng, person.name)
            if rng.random() < 0.4:
                cells["ine"] = ""
        cells |= {"family_name": spelling.family, "given_names": spelling.given}
        return Row(campaign, source, cells, () if person.home.platform_id else ("commune_not_listed",))

    def other_birth_date(self, person: Person, campaign: str) -> Row:
        """A dispute: the INE of a youth, and another birth date."""
        cells = _cells(person, campaign, self._rng)
        wrong = person.birth.replace(day=person.birth.day % 27 + 1)
        return Row(campaign, person.source, cells | {"birth_date": wrong.isoformat()})

    def namesake(self, person: Person, campaign: str) -> Row:
        """A dispute: the name and the birth date of a youth, and another INE of the same form."""
        cells = _cells(person, campaign, self._rng)
        home = self._places.draw_home(self._rng)
        other = {"commune": home.commune, "postal_code": home.postal_code, "address": "3 rue du Lavoir"}
        return Row(campaign, person.source, cells | other | {"ine": self._people.other_ine()})

    def rejected(self, code: str, campaign: str) -> Row:
        """A row that must be rejected for that reason."""
        rng = self._rng
        age = {"under_16": rng.choice((12, 14, 15, 15, 15)), "over_25": rng.choice((26, 26, 27, 30))}.get(code)
        person = self._people.draw(campaign, age=age)
        row = self.plain(person, campaign)
        return replace(row, cells=row.cells | self._defect(code, row, person))

    def _defect(self, code: str, row: Row, person: Person) -> dict[str, str]:
        """The cells that make a row one to reject; none where the age alone does."""
        rng = self._rng
        cells: dict[str, str] = {}
        match code:
            case "under_16" if rng.random() < 0.2:
                cells = {"sex": ""}  # whatever else is wrong with such a row, its age decides
            case "malformed":
                cells = self._malformed(row)
            case "has_diploma":
                cells = {"highest_diploma": rng.choice(_DIPLOMAS)}
            case "re_enrolled":
                cells = {"enrolled_in": self._places.draw_school(rng, person.home.departement, "professional")}
            case "unknown_school":
                cells = {"last_school": _bad_uai(rng, person.school)}
            case "unknown_commune":
                cells = {"commune": rng.choice(_NO_COMMUNES)}
            case "bad_dates":
                cells = {"left_on": iso(REFERENCE_DATES[row.campaign].toordinal() + rng.randrange(1, 90))}
        return cells

    def _malformed(self, row: Row) -> dict[str, str]:
        year, month, day = row.cells["birth_date"].split("-")
        return self._rng.choice(
            (
                {"family_name": ""},
                {"birth_date": f"{day}/{month}/{year}"},
                {"birth_date": f"{year}-02-30"},
                {"birth_date": ""},
                {"sex": "G"},
                {"left_on": ""},
                {"left_on": "juin 2013"},
                {"highest_diploma": "BREVET"},
                {"last_school": ""},
            )
        )


def spontaneous_identity(person: Person) -> dict[str, str]:
    """What a platform writes down of a youth who came by himself."""
    names = (
        "family_name",
        "given_names",
        "birth_date",
        "sex",
        "address",
        "postal_code",
        "commune",
        "phone",
        "last_level",
    )
    cells = {"family_name": person.name.family, "given_names": person.name.given, **_whereabouts(person)}
    cells |= {"birth_date": person.birth.isoformat(), "sex": person.sex, "last_level": person.last_level}
    return {name: cells[name] for name in names if cells[name]}


def _whereabouts(person: Person) -> dict[str, str]:
    return {
        "address": person.address,
        "postal_code": person.home.postal_code,
        "commune": person.home.commune,
        "phone": person.phone,
        "email": person.email,
    }


def _cells(person: Person, campaign: str, rng: Random) -> dict[str, str]:
    minor = person.majority > REFERENCE_DATES[campaign].toordinal()
    return {
        "ine": person.ine,
        "family_name": person.name.family,
        "given_names": person.name.given,
        "birth_date": person.birth.isoformat(),
        "sex": person.sex,
        **_whereabouts(person),
        "guardian_name": f"{person.guardian.family} {person.guardian.given}" if minor else "",
        "guardian_phone": person.guardian_phone if minor else "",
        "last_school": person.school,
        "last_course": person.last_course,
        "last_level": person.last_level,
        "status": "apprenti" if person.apprentice else "scolaire",
        "left_on": iso(person.left_on),
        "highest_diploma": _NO_DIPLOMAS[int(rng.random() * len(_NO_DIPLOMAS))],
        "followed_by_mission_locale": "true" if person.followed else ("false", "false", "")[int(rng.random() * 3)],
        "enrolled_in": "",
    }


def _warned(row: Row, warning: str, **cells: str) -> Row:
    return replace(row, cells=row.cells | cells, warnings=(warning,))


def _bad_ine(rng: Random, ine: str) -> str:
    """Another check letter, or too short; where there was none, something that is no INE."""
    if not ine or ine[4] == "A":
        return f"{rng.randrange(10**6):06d}"
    if rng.random() < 0.3:
        return ine[1:]
    return ine[:10] + KEY_LETTERS[(KEY_LETTERS.index(ine[10]) + rng.randrange(1, 23)) % 23]


def _bad_uai(rng: Random, uai: str) -> str:
    """A wrong check letter, or the leading zero that a spreadsheet dropped."""
    if uai[0] == "0" and rng.random() < 0.3:
        return uai[1:]
    return uai[:7] + KEY_LETTERS[(KEY_LETTERS.index(uai[7]) + rng.randrange(1, 23)) % 23]


def turns_26_before(person: Person, day: date) -> bool:
    """Is the person too old for a list of that day?"""
    return (day.year - person.birth.year) - ((day.month, day.day) < (person.birth.month, person.birth.day)) > 25
