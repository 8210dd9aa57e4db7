"""Makes up a year: who is listed when, by whom, with which defects, and what becomes of the youths."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

from deploy.simulate.counting import Count
from deploy.simulate.drawing import Day
from deploy.simulate.files import Files
from deploy.simulate.journey import Journey, Platforms, Step
from deploy.simulate.people import People, Person
from deploy.simulate.places import Places
from deploy.simulate.rates import (
    AT_LEAST,
    CAMPAIGNS,
    FIRST_CAMPAIGN,
    IN_FIRST_CAMPAIGN,
    OTHER_ROLES,
    REFERENCE_DATES,
    REJECTED,
    SECOND_CAMPAIGN,
    SEEN_AGAIN,
    SOURCE_ORDER,
    SOURCES,
    SPONTANEOUS,
    TWICE_IN_A_CAMPAIGN,
)
from deploy.simulate.rows import Rows, spontaneous_identity, turns_26_before
from deploy.simulate.seats import Seats
from shared.reference import Reference

PERIOD: Final = (date(2013, 1, 1).toordinal(), date(2013, 12, 31).toordinal())
_DAYS: Final = {campaign: day.toordinal() for campaign, day in REFERENCE_DATES.items()}
_SMALL: Final = 500


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was written."""

    rows: int
    work: int


def simulate(youths: int, seed: int, folder: Path, reference: Reference) -> Simulated:
    """Write two lists that name `youths` people, the work that followed and what it adds up to into `folder`.

    Same arguments, same bytes. Memory grows by some 100 bytes a youth (who is who), all else is written at once.
    """
    with Files.into(folder) as files:
        year = _Year(Random(seed), reference, files)
        year.tell(youths)
        count = year.count
        lists = count.lists()
        files.expected(
            {
                "youths": youths,
                "seed": seed,
                "order": "import the list of 2013-03, do the work before 2013-10-31, import the list of 2013-10, go on",
                "lists": lists,
                "spontaneous": count.work["register"],
                "work": dict(sorted(count.work.items())),
                "indicators": count.indicators(),
            }
        )
    return Simulated(sum(figures["rows"] for figures in lists.values()), count.work.total())


class _Year:
    def __init__(self, rng: Random, reference: Reference, files: Files) -> None:
        self._rng = rng
        self._files = files
        places = Places(reference)
        self._people = People(rng, places)
        self._rows = Rows(rng, self._people, places)
        self._platforms = Platforms(rng, places, Seats(reference), tuple(sorted(reference.sectors())))
        self.count = Count(PERIOD)

    def tell(self, youths: int) -> None:
        """All people, one after the other."""
        roles = self._roles(youths)
        for number in range(youths):
            campaign = FIRST_CAMPAIGN if self._rng.random() < IN_FIRST_CAMPAIGN else SECOND_CAMPAIGN
            role = roles.get(number, "")
            if role in REJECTED:
                self._files.row(self._rows.rejected(role, campaign))
                self.count.row(campaign, role)
            else:
                self._listed(campaign, role)
        if youths >= _SMALL:
            for campaign in CAMPAIGNS:
                self._files.torn_row(campaign, self._rng.choice(SOURCES)[0])
                self.count.row(campaign, "malformed")
        for number in range(_how_many(SPONTANEOUS, youths)):
            self._spontaneous(number + 1)

    def _roles(self, youths: int) -> Mapping[int, str]:
        """Which of the people have a defect of their own, by their number."""
        wanted = Counter({role: _how_many(share, youths) for role, share in (REJECTED | OTHER_ROLES).items()})
        roles = [role for role, number in sorted(wanted.items()) for _ in range(number)][:youths]
        return dict(zip(self._rng.sample(range(youths), len(roles)), roles, strict=True))

    def _listed(self, campaign: str, role: str) -> None:
        """A youth who is accepted, with all his rows and all his work."""
        rng, person = self._rng, self._people.draw(campaign)
        while role in ("other_birth_date", "namesake") and (not person.ine or person.source == "APPRENTISSAGE"):
            person = self._people.draw(campaign)
        row = self._rows.first(person, campaign) if not role else self._rows.plain(person, campaign)
        source_row = self._files.row(row)
        self.count.row(campaign, "accepted", row.warnings)
        if "bad_ine" in row.warnings:
            person.ine = ""
        named = {"campaign": campaign, "source": person.source, "source_row": source_row}
        if role == "repeated":
            self._files.same_row(row, source_row)
            self.count.row(campaign, "repeated")
        elif role == "other_birth_date":
            self._files.row(self._rows.other_birth_date(person, campaign))
            self.count.row(campaign, "disputed")
        elif role == "namesake":
            self._files.row(self._rows.namesake(person, campaign))
            self.count.row(campaign, "disputed")
        elif rng.random() < TWICE_IN_A_CAMPAIGN:
            self._twice(person, campaign)
        journey = Journey(person, person.home.academie, person.home.platform_id)
        self._platforms.after_list(journey, _DAYS[campaign])
        detections = [_DAYS[campaign]]
        if campaign == FIRST_CAMPAIGN and not role:
            detections += self._seen_again(journey)
        self._tell_work(named, journey, detections)

    def _twice(self, person: Person, campaign: str) -> None:
        """Another base lists the youth in the same campaign, further down in the list."""
        later = [source for source, position in SOURCE_ORDER.items() if position > SOURCE_ORDER[person.source]]
        if later:
            self._matched(person, campaign, self._rng.choice(later))

    def _matched(self, person: Person, campaign: str, source: str) -> None:
        row = self._rows.again(person, campaign, source)
        self._files.row(row)
        self.count.row(campaign, "matched", row.warnings)

    def _seen_again(self, journey: Journey) -> list[Day]:
        """Perhaps the second list names him as well. The day of a new detection, if his case was closed."""
        rng, person = self._rng, journey.person
        day = _DAYS[SECOND_CAMPAIGN]
        state = {"untouched": "unreached", "ended": "in_contract"}.get(journey.state, journey.state)
        settled = state == "in_contract" or journey.last_day < day
        if journey.transferred or not settled or turns_26_before(person, REFERENCE_DATES[SECOND_CAMPAIGN]):
            return []
        if rng.random() >= SEEN_AGAIN[state]:
            return []
        source = person.source if rng.random() < 0.6 else rng.choice(SOURCES)[0]
        self._matched(person, SECOND_CAMPAIGN, source)
        self._platforms.seen_again(journey, day)
        return [day] if state == "dismissed" else []

    def _spontaneous(self, number: int) -> None:
        """A youth whom no list names comes to a platform by himself."""
        rng = self._rng
        person = self._people.draw(SECOND_CAMPAIGN)
        day = date(2013, 11, 4).toordinal() + rng.randrange(30)
        journey = Journey(person, person.home.academie, person.home.platform_id)
        journey.steps.append(Step(day, "register", spontaneous_identity(person)))
        self._platforms.walks_in(journey, day)
        self._tell_work({"spontaneous": number}, journey, [day])

    def _tell_work(self, named: dict[str, Any], journey: Journey, detections: list[Day]) -> None:
        for step in journey.steps:
            what: dict[str, Any] = {"youth": named, "do": step.do}
            if step.offer:
                what["offer"] = step.offer
            self._files.work(step.on, what | {"body": step.body})
        self.count.youth(journey.academie, detections, journey.steps)


def _how_many(share: float, youths: int) -> int:
    return max(round(share * youths), AT_LEAST if youths >= _SMALL else 0)
