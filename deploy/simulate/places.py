"""Where the youths live and went to school: real communes by their inhabitants, real schools of the département."""

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Final

from deploy.simulate.drawing import Weighted
from deploy.simulate.rates import RATE_FRANCE, RATES, REFERENCE_DATES, SECOND_CAMPAIGN
from shared.identifiers import KEY_LETTERS
from shared.reference import Commune, Reference

# Cities that are in the list of communes once whole and once by arrondissement.
_WHOLE_CITIES: Final = frozenset({"13055", "69123", "75056"})

_TYPES: Final = {
    "college": frozenset({"COLLEGE"}),
    "professional": frozenset({"LP", "LPO", "SEP"}),
    "general": frozenset({"LEGT", "LG", "LT", "LPO", "SGT"}),
    "agriculture": frozenset({"LEGTPA", "MFR"}),
    "apprenticeship": frozenset({"CFA", "SECTION_APP"}),
}


@dataclass(frozen=True, slots=True)
class Home:
    """A commune of residence, with what follows from it in 2013. `platform_id` is None where nobody can tell."""

    commune: str
    name: str
    postal_code: str
    departement: str
    academie: str
    platform_id: str | None


class Places:
    """Draws homes and schools."""

    def __init__(self, reference: Reference) -> None:
        self._on = REFERENCE_DATES[SECOND_CAMPAIGN]
        self._reference = reference
        self._platform_of = {code: p.platform_id for p in reference.platforms() for code in p.communes}
        self._academie_of = {code: reference.academie_of(code, self._on) for code in reference.departements()}
        self.academie_of_platform = {p.platform_id: p.academie for p in reference.platforms()}
        self._platforms: dict[str, list[str]] = defaultdict(list)
        for platform in reference.platforms():
            self._platforms[platform.academie].append(platform.platform_id)
        inhabited = [c for c in reference.communes() if c.population and c.code not in _WHOLE_CITIES]
        self._communes = Weighted([(c, c.population * self._rate(c)) for c in inhabited if self._academie(c)])
        self._homes: dict[str, Home] = {}
        self._schools: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._known: set[str] = set()
        for school in reference.schools():
            self._known.add(school.uai)
            self._schools[school.departement, "any"].append(school.uai)
            for path, types in _TYPES.items():
                if school.type in types:
                    self._schools[school.departement, path].append(school.uai)
        self._anywhere = [uai for departement in sorted(reference.departements()) for uai in self._any(departement)]

    def draw_home(self, rng: Random) -> Home:
        """A commune, the likelier the more youths have left school there."""
        commune = self._communes.draw(rng)
        home = self._homes.get(commune.code)
        if home is None:
            home = self._homes[commune.code] = Home(
                commune.code,
                commune.name,
                commune.postal_code,
                commune.departement,
                self._academie(commune) or "",
                self._platform_of.get(commune.code),
            )
        return home

    def merged_away(self, rng: Random, home: Home) -> Home:
        """A commune of the same département that is in no list of today, as after a merger; its number is made up."""
        digits = 5 - len(home.departement)
        while True:
            commune = f"{home.departement}{10**digits - 1 - rng.randrange(10 ** (digits - 1)):0{digits}}"
            if self._reference.commune(commune) is None:
                return Home(commune, home.name, home.postal_code, home.departement, home.academie, None)

    def draw_school(self, rng: Random, departement: str, path: str) -> str:
        """The UAI of a school of the path (see `_TYPES`) in the département, failing that of any there."""
        schools = self._schools.get((departement, path)) or self._any(departement) or self._anywhere
        return schools[int(rng.random() * len(schools))]

    def unlisted_school(self, rng: Random, departement: str) -> str:
        """A well-formed UAI that is in no list."""
        prefix = {"2A": "620", "2B": "720"}.get(departement, departement.rjust(3, "0"))
        while True:
            digits = f"{prefix}{9000 + rng.randrange(1000)}"
            uai = digits + KEY_LETTERS[int(digits) % len(KEY_LETTERS)]
            if uai not in self._known:
                return uai

    def other_platform(self, rng: Random, home: Home) -> str | None:
        """A platform to move to: three times out of four of the same académie. None where there is no other."""
        own = [p for p in self._platforms[home.academie] if p != home.platform_id]
        if own and rng.random() < 0.75:
            return rng.choice(own)
        academie = rng.choice([code for code in sorted(self._platforms) if code != home.academie])
        return rng.choice(self._platforms[academie])

    def _any(self, departement: str) -> list[str]:
        return self._schools.get((departement, "any"), [])

    def _academie(self, commune: Commune) -> str | None:
        return self._academie_of.get(commune.departement)

    def _rate(self, commune: Commune) -> float:
        return RATES.get(self._academie(commune) or "", RATE_FRANCE)
