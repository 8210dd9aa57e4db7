"""The people of the lists: who they are, where they live, which school they left. All made up but places."""

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Final

from deploy.simulate.drawing import Day, Weighted
from deploy.simulate.names import FAMILY_NAMES, GIVEN_NAMES_F, GIVEN_NAMES_M, Name, draw_name
from deploy.simulate.places import Home, Places
from deploy.simulate.rates import (
    AGES,
    EXIT_MONTHS,
    FOLLOWED_BY_MISSION_LOCALE,
    LEVELS,
    MISSING_INE,
    MISSING_INE_ELSEWHERE,
    REFERENCE_DATES,
    SEX_F,
    SOURCES,
    WRONG_PHONE,
)
from shared.identifiers import KEY_LETTERS

_AGES: Final = Weighted(AGES)
_LEVELS: Final = Weighted(LEVELS)
_SOURCES: Final = Weighted(SOURCES)
_EXITS: Final = {
    campaign: Weighted([((year, month), weight) for year, month, weight in months])
    for campaign, months in EXIT_MONTHS.items()
}
# Last classes, and the kind of school they are found in. `level`: the nomenclature of 1969 that 2013 still used.
_CLASSES: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "CAP/BEP": ("professional", "V", ("1CAP2", "2CAP2", "2CAP2", "1CAP1", "TBEP", "2BEP")),
    "college": ("college", "VI", ("3EME", "3EME", "4EME", "3EME DP6", "4EME AES")),
    "bac pro": ("professional", "V", ("2NDE PRO", "1ERE PRO", "1ERE PRO", "TLE PRO")),
    "lycee": ("general", "V", ("2NDE GT", "2NDE GT", "1ERE ES", "1ERE S", "1ERE STMG", "TLE ST2S", "TLE L")),
    "other": ("professional", "VI", ("DIMA", "MLDS", "3EME PREPA PRO", "ULIS PRO", "CLIPA")),
}
_SPECIALITIES: Final = (
    "CUISINE", "COIFFURE", "MACONNERIE", "EMPLOYE DE COMMERCE", "MAINTENANCE DES VEHICULES", "GESTION-ADMINISTRATION",
    "ACCOMPAGNEMENT SOINS SERVICES", "ELECTROTECHNIQUE", "PETITE ENFANCE", "VENTE", "MENUISIER FABRICANT", "PEINTRE",
    "SERVICES AUX PERSONNES", "BOULANGER", "LOGISTIQUE", "CARROSSERIE", "SECURITE", "RESTAURATION", "USINAGE",
)  # fmt: skip
_STREETS: Final = (
    "rue des Lilas", "rue de l'Église", "avenue Jean Jaurès", "rue Victor Hugo", "impasse du Moulin", "place du Marché",
    "chemin des Écoliers", "boulevard de la République", "allée des Tilleuls", "rue du Général de Gaulle",
    "cité Bellevue",
)  # fmt: skip
# Numbers that the regulator keeps for fiction: nobody has them.
_MOBILE: Final = "063998"
_LAND_LINES: Final = ("019900", "026191", "035301", "046571", "053649")


@dataclass(slots=True)
class Person:
    """Somebody whom a list names. `number` is unique; `phone` may lead nowhere."""

    number: int
    name: Name
    birth: date
    sex: str
    ine: str
    home: Home
    source: str
    school: str
    last_level: str
    last_course: str
    level: str
    apprentice: bool
    left_on: Day
    address: str
    phone: str
    email: str
    guardian: Name
    guardian_phone: str
    followed: bool
    reachable_by_phone: bool

    @property
    def majority(self) -> Day:
        """The day of the 18th birthday (born on 29 February: 1 March)."""
        year = self.birth.year + 18
        if (self.birth.month, self.birth.day) == (2, 29):
            return date(year, 3, 1).toordinal() if year % 4 else date(year, 2, 29).toordinal()
        return self.birth.replace(year=year).toordinal()


class People:
    """Makes people up. No two of them share family name, first given name and birth date, unless asked for."""

    def __init__(self, rng: Random, places: Places) -> None:
        self._rng = rng
        self._places = places
        self._count = 0
        self._taken: set[int] = set()
        self._family = {name: number for number, name in enumerate(FAMILY_NAMES)}
        given = dict.fromkeys((*GIVEN_NAMES_F, *GIVEN_NAMES_M))
        self._given = {name: number for number, name in enumerate(given)}

    def draw(self, campaign: str, *, age: int | None = None) -> Person:
        """Somebody whom a list of the campaign may name, of that age on its reference date."""
        rng = self._rng
        reference = REFERENCE_DATES[campaign]
        sex = "F" if rng.random() < SEX_F else "M"
        name, birth = self._identity(sex, reference, _AGES.draw(rng) if age is None else age)
        self._count += 1
        source = _SOURCES.draw(rng)
        home = self._places.draw_home(rng)
        label = _LEVELS.draw(rng)
        path, level, classes = _CLASSES[label]
        if source == "AGRICULTURE":
            path = "agriculture"
        elif source == "APPRENTISSAGE":
            path = "apprenticeship"
        professional = path in ("professional", "agriculture", "apprenticeship")
        wrong_phone = rng.random() < WRONG_PHONE
        guardian = Name(name.family, rng.choice(GIVEN_NAMES_F if rng.random() < 0.6 else GIVEN_NAMES_M))
        return Person(
            number=self._count,
            name=name,
            birth=birth,
            sex=sex,
            ine=self._ine(source),
            home=home,
            source=source,
            school=self._places.draw_school(rng, home.departement, path),
            last_level=classes[int(rng.random() * len(classes))],
            last_course=_SPECIALITIES[int(rng.random() * len(_SPECIALITIES))] if professional else "",
            level=level,
            apprentice=path == "apprenticeship",
            left_on=self._left_on(campaign),
            address=f"{int(rng.random() * 120) + 1} {_STREETS[int(rng.random() * len(_STREETS))]}",
            phone=self._wrong_phone() if wrong_phone else self._phone(_MOBILE),
            email=f"jeune{self._count}@example.org" if rng.random() < 0.3 else "",
            guardian=guardian,
            guardian_phone=self._phone(_LAND_LINES[int(rng.random() * len(_LAND_LINES))]),
            followed=source == "MISSION_LOCALE" or rng.random() < FOLLOWED_BY_MISSION_LOCALE,
            reachable_by_phone=not wrong_phone,
        )

    def other_ine(self) -> str:
        """A valid INE, of BEA form, that nobody else has."""
        self._count += 1
        return bea_ine(self._count)

    def _identity(self, sex: str, reference: date, age: int) -> tuple[Name, date]:
        """A name and a birth date that together are nobody else's."""
        rng = self._rng
        birthday = reference.replace(year=reference.year - age).toordinal()
        while True:
            name = draw_name(rng, sex)
            birth = birthday - int(rng.random() * 365)
            key = (self._family[name.family] * 1_000 + self._given[name.first_given]) * 1_000_000 + birth
            if key not in self._taken:
                self._taken.add(key)
                return name, date.fromordinal(birth)

    def _ine(self, source: str) -> str:
        """Empty where the base has none, as agriculture, which has numbers of its own."""
        if self._rng.random() < MISSING_INE.get(source, MISSING_INE_ELSEWHERE):
            return ""
        return apprenticeship_ine(self._count) if source == "APPRENTISSAGE" else bea_ine(self._count)

    def _left_on(self, campaign: str) -> Day:
        year, month = _EXITS[campaign].draw(self._rng)
        return date(year, month, 1).toordinal() + int(self._rng.random() * 28)

    def _phone(self, prefix: str) -> str:
        return f"{prefix}{int(self._rng.random() * 10_000):04d}"

    def _wrong_phone(self) -> str:
        """None, too short, or one that looks right and rings nowhere."""
        roll = self._rng.random()
        if roll < 0.35:
            return ""
        return self._phone("0639") if roll < 0.6 else self._phone(_MOBILE)


def bea_ine(number: int) -> str:
    """An INE of BEA form; another number, another INE. The multiplier only scatters them."""
    digits = f"{(number * 6_180_339_887 + 1_234_567_891) % 10**10:010d}"
    return digits + KEY_LETTERS[int(digits) % len(KEY_LETTERS)]


def apprenticeship_ine(number: int) -> str:
    """An INE of apprenticeship form (it has no check letter); another number, another INE."""
    digits = f"{(number * 618_033_989 + 123_456_789) % 10**9:09d}"
    return f"{digits[:4]}A{digits[4:]}{KEY_LETTERS[number % len(KEY_LETTERS)]}"
