"""Lists full of look-alikes: what referral makes of them, against a plain count that keeps everything in lists.

The oracle is written from the rules' text alone: it knows nothing of claims, batches or stores.
"""

import random
import unicodedata
from dataclasses import dataclass, field

import pytest

from services.referral.app import app
from tests.backends import Kafka
from tests.support.probe import running
from tests.support.referral import know_platforms, prepare, send, youths
from tests.support.siei import ine, row

FAMILIES = ["MARTIN", "martin", "De Martin", "Lefèvre", "LEFEVRE", "d'Aubigné", "Aubigne", "Saint-Just", "SAINT JUST"]
GIVEN = ["Zoé, Marie", "ZOE", "Jean-Pierre", "jean pierre, Luc", "Anaïs"]
BIRTHS = ["1995-01-01", "1995-01-02"]
SOURCES = ["SCOLARITE", "APPRENTISSAGE", "AGRICULTURE"]


@dataclass
class Person:
    """A youth as the oracle remembers him."""

    names: tuple[str, str]
    birth: str
    ine: str
    rows: list[str] = field(default_factory=list)


@dataclass
class Oracle:
    """The rules of identity matching, one row after the other."""

    people: list[Person] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("accepted", "matched", "disputed", "repeated"), 0)
    )

    def take(self, values: dict[str, str]) -> None:
        key = "/".join((values["source"], values["campaign"], values["source_row"]))
        outcome, person = self._decide(key, values)
        self.counts[outcome] += 1
        self.seen.add(key)
        if person is not None and outcome != "repeated":
            person.rows.append(values["source_row"])
            person.ine = person.ine or values["ine"]

    def _decide(self, key: str, values: dict[str, str]) -> tuple[str, Person | None]:
        if key in self.seen:
            return "repeated", None
        if values["ine"]:
            same_ine = [person for person in self.people if person.ine == values["ine"]]
            if same_ine:
                same_birth = [person for person in same_ine if person.birth == values["birth_date"]]
                return ("matched", same_birth[0]) if len(same_birth) == 1 else ("disputed", None)
        names = (plain(values["family_name"]), plain(values["given_names"].split(",")[0]))
        alike = [person for person in self.people if (person.names, person.birth) == (names, values["birth_date"])]
        if len(alike) > 1:
            return "disputed", None
        if len(alike) == 1:
            other = values["ine"] and alike[0].ine and values["ine"] != alike[0].ine
            return ("disputed", None) if other else ("matched", alike[0])
        self.people.append(Person(names, values["birth_date"], values["ine"]))
        return "accepted", self.people[-1]


def plain(name: str) -> str:
    """A name without case, accents, hyphens, apostrophes and particles."""
    letters = "".join(c for c in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(c))
    words = letters.replace("-", " ").replace("'", " ").split()
    return " ".join(word for word in words if word not in {"de", "du", "des", "d", "le", "la", "les", "l"})


def look_alikes(seed: int, count: int) -> list[dict[str, str]]:
    """Rows of few names, two birth dates and few INE."""
    draw = random.Random(seed)
    return [
        row(
            number,
            family_name=draw.choice(FAMILIES),
            given_names=draw.choice(GIVEN),
            birth_date=draw.choice(BIRTHS),
            ine=ine(draw.randrange(12)) if draw.random() < 0.5 else "",
            source=draw.choice(SOURCES),
            source_row=f"R{draw.randrange(count)}",
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("seed", "rows_a_transaction"), [(1, 500), (2, 7), (3, 1)])
async def test_look_alikes_are_matched_as_a_plain_count_does(  # noqa: PLR0917  fixtures
    mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str, seed: int, rows_a_transaction: int
) -> None:
    settings = await prepare(mongo_url, kafka, db_name, topic_prefix)
    settings = settings.model_copy(update={"rows_per_transaction": rows_a_transaction})
    rows = look_alikes(seed, 150)
    oracle = Oracle()
    for values in rows:
        oracle.take(values)
    async with running(app(settings)) as referral:
        await know_platforms(settings)
        counts = await send(referral, *rows)
        found = await youths(referral)
    assert {name: counts[name] for name in oracle.counts} == oracle.counts
    assert oracle.counts["disputed"] > 0
    assert oracle.counts["matched"] > 0
    by_rows = {tuple(sorted(seen["source_row"] for seen in youth["sightings"])): youth["ine"] or "" for youth in found}
    assert by_rows == {tuple(sorted(person.rows)): person.ine for person in oracle.people}
