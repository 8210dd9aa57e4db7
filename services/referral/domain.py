"""A youth's case: who he is, where his case stands, who owns it. Pure; every change returns a new `Youth`.

States of the worklist: to_contact, contacting, reached, unreachable, interviewed, in_contract, dismissed. Unreachable
is never the end: at the next campaign the youth is to be contacted again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from services.referral.eligibility import Row
from shared.events import ContactAttempted, DropoutDetected, DropoutDismissed, InterviewDone, YouthTransferred
from shared.events.base import Sex, Source
from shared.events.referral import Channel, ContactOutcome, DismissalReason
from shared.identifiers import IneForm, age_on

Stage = Literal["to_contact", "contacting", "reached", "unreachable", "interviewed"]
State = Literal["to_contact", "contacting", "reached", "unreachable", "interviewed", "in_contract", "dismissed"]
Closed = Literal["dismissed", "contract_ended"]

ANSWERED: frozenset[ContactOutcome] = frozenset({"reached", "declined"})
CITY_OF_ARRONDISSEMENT = {"751": "75056", "6938": "69123", "132": "13055"}


@dataclass(frozen=True, slots=True)
class UnreachableRule:
    """After so many attempts without an answer, by so many channels, so many days apart, nobody was reached."""

    attempts: int = 3
    channels: int = 2
    days: int = 14


class Owner(Struct, frozen=True):
    """The one platform and network that answer for a youth."""

    platform_id: str
    network_id: str
    departement: str
    academie: str


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as referral knows it from the bus. No communes: it answers for its whole département."""

    platform_id: str
    departement: str
    academie: str
    network_id: str
    communes: frozenset[str]
    registered_at: datetime


class Sighting(Struct, frozen=True):
    """A row that named the youth, with the contact details it gave."""

    campaign: str
    source: Source | None
    source_row: str
    on: date
    phone: str = ""
    email: str = ""


class Attempt(Struct, frozen=True):
    """An attempt to reach the youth since his case was last opened."""

    on: date
    channel: Channel
    outcome: ContactOutcome


class Youth(Struct, frozen=True):
    """A youth, with identity. `assigned_on`: the day of the assignment that holds; `detected_*`: the last detection."""

    youth_id: str = field(name="_id")  # as it is stored
    family_name: str
    given_names: str
    birth_date: date
    identity: str
    sex: Sex
    ine: str | None
    ine_form: IneForm | None
    address: str
    postal_code: str
    commune: str
    phone: str
    email: str
    guardian_name: str
    guardian_phone: str
    last_school: str | None
    last_course: str
    last_level: str
    status: str
    left_on: date | None
    highest_diploma: str
    followed_by_mission_locale: bool | None
    owner: Owner
    assigned_on: date
    detected_on: date
    detected_by: Source | None
    sightings: tuple[Sighting, ...]
    stage: Stage = "to_contact"
    closed: Closed | None = None
    dismissal: tuple[date, DismissalReason] | None = None
    attempts: tuple[Attempt, ...] = ()
    unreachable_campaign: str | None = None
    interviewed_on: date | None = None
    open_contracts: frozenset[str] = frozenset()
    ended_contracts: frozenset[str] = frozenset()

    @property
    def campaigns(self) -> tuple[str, ...]:
        """The campaigns that named the youth, in order of time."""
        return tuple(sorted({sighting.campaign for sighting in self.sightings}))

    @property
    def stored_state(self) -> State:
        """The state, before a new campaign puts the unreachable back on the list."""
        if self.closed == "dismissed":
            return "dismissed"
        return "in_contract" if self.open_contracts else self.stage

    def state(self, latest_campaign: str | None) -> State:
        """The state on the worklist, where `latest_campaign` is the last that has begun."""
        state = self.stored_state
        return "to_contact" if state == "unreachable" and self._is_new_campaign(latest_campaign) else state

    def _is_new_campaign(self, latest: str | None) -> bool:
        return latest is not None and (self.unreachable_campaign or "") < latest


def assign(row_commune: str, row_departement: str, platforms: Mapping[str, Iterable[Platform]]) -> Platform | None:
    """The one platform that owns a youth who lives there: by the commune, failing that by its département.

    `platforms` maps a commune's code, and a département's, to those that answer for it (see `directory_of`). Where
    several do, the newest registration holds, then the first identifier.
    """
    for place in (row_commune, _city(row_commune), row_departement):
        found = list(platforms.get(place, ())) if place else []
        if found:
            return min(found, key=lambda platform: (-platform.registered_at.timestamp(), platform.platform_id))
    return None


def directory_of(platforms: Iterable[Platform]) -> dict[str, list[Platform]]:
    """Platforms by commune, and by département those without communes (or, where there are none, all of it)."""
    found: dict[str, list[Platform]] = {}
    partial: dict[str, list[Platform]] = {}
    for platform in platforms:
        for commune in platform.communes:
            found.setdefault(commune, []).append(platform)
        (partial if platform.communes else found).setdefault(platform.departement, []).append(platform)
    return {**partial, **found}


def _city(commune: str) -> str | None:
    return next((city for start, city in CITY_OF_ARRONDISSEMENT.items() if commune.startswith(start)), None)


def new_youth(youth_id: str, row: Row, owner: Owner) -> Youth:
    """The youth whom a row makes known."""
    return Youth(
        youth_id=youth_id,
        family_name=row.family_name,
        given_names=row.given_names,
        birth_date=row.birth_date,
        identity=row.identity,
        sex=row.sex,
        ine=row.ine,
        ine_form=row.ine_form,
        address=row.address,
        postal_code=row.postal_code,
        commune=row.commune,
        phone=row.phone,
        email=row.email,
        guardian_name=row.guardian_name,
        guardian_phone=row.guardian_phone,
        last_school=row.last_school,
        last_course=row.last_course,
        last_level=row.last_level,
        status=row.status,
        left_on=row.left_on,
        highest_diploma=row.highest_diploma,
        followed_by_mission_locale=row.followed_by_mission_locale,
        owner=owner,
        assigned_on=row.on,
        detected_on=row.on,
        detected_by=row.source,
        sightings=(_sighting(row),),
    )


def _sighting(row: Row) -> Sighting:
    return Sighting(row.campaign, row.source, row.source_row, row.on, row.phone, row.email)


def detected(youth: Youth, row: Row) -> DropoutDetected:
    """The event of a detection by that row, without identity."""
    return DropoutDetected(
        youth_id=youth.youth_id,
        on=row.on,
        campaign=row.campaign,
        source=row.source,
        left_on=None if row.left_on is None else row.left_on.isoformat(),
        age=age_on(youth.birth_date, row.on),
        sex=youth.sex,
        academie=youth.owner.academie,
        departement=youth.owner.departement,
        platform_id=youth.owner.platform_id,
        network_id=youth.owner.network_id,
        birth_month=youth.birth_date.isoformat()[:7],
        last_school=row.last_school,
        last_level=row.last_level or None,
        followed_by_mission_locale=row.followed_by_mission_locale,
        origin=row.origin,
    )


def see_again(youth: Youth, row: Row, owner: Owner) -> tuple[Youth, DropoutDetected | None]:
    """A row names a youth we know: a sighting, and an INE if he had none; a closed case opens again (with an event)."""
    seen = replace(youth, sightings=(*youth.sightings, _sighting(row)))
    if seen.ine is None and row.ine is not None:
        seen = replace(seen, ine=row.ine, ine_form=row.ine_form)
    if seen.closed is None:
        return seen, None
    opened = replace(
        seen,
        closed=None,
        dismissal=None,
        stage="to_contact",
        attempts=(),
        owner=owner if row.on >= seen.assigned_on else seen.owner,
        assigned_on=max(row.on, seen.assigned_on),
        detected_on=max(row.on, seen.detected_on),
        detected_by=row.source if row.on >= seen.detected_on else seen.detected_by,
    )
    return opened, detected(replace(opened, owner=owner), row)


def attempt_contact(
    youth: Youth, attempt: Attempt, latest_campaign: str | None, rule: UnreachableRule
) -> tuple[Youth, ContactAttempted]:
    """A platform tried to reach the youth."""
    event = ContactAttempted(youth_id=youth.youth_id, on=attempt.on, channel=attempt.channel, outcome=attempt.outcome)
    again = youth.stage == "unreachable" and youth.state(latest_campaign) == "to_contact"
    attempts = (*(() if again else youth.attempts), attempt)
    stage: Stage = youth.stage
    if stage not in ("interviewed", "reached") or again:
        if any(each.outcome in ANSWERED for each in attempts):
            stage = "reached"
        else:
            stage = "unreachable" if _nobody_reached(attempts, rule) else "contacting"
    return (
        replace(
            youth,
            attempts=attempts,
            stage=stage,
            unreachable_campaign=latest_campaign if stage == "unreachable" else youth.unreachable_campaign,
        ),
        event,
    )


def _nobody_reached(attempts: Iterable[Attempt], rule: UnreachableRule) -> bool:
    made = list(attempts)
    days = [attempt.on for attempt in made]
    return (
        len(made) >= rule.attempts
        and len({attempt.channel for attempt in made}) >= rule.channels
        and (max(days) - min(days)).days >= rule.days
    )


def interview(youth: Youth, event: InterviewDone) -> Youth:
    """The positioning interview took place; the first day stays."""
    first = event.on if youth.interviewed_on is None else min(event.on, youth.interviewed_on)
    return replace(youth, stage="interviewed", interviewed_on=first)


def dismiss(youth: Youth, on: date, reason: DismissalReason) -> tuple[Youth, DropoutDismissed]:
    """The youth needs no follow-up; the base that listed him last is told apart in the figures."""
    event = DropoutDismissed(youth_id=youth.youth_id, on=on, reason=reason, source=youth.detected_by)
    return replace(youth, closed="dismissed", dismissal=(on, reason)), event


def transfer(youth: Youth, on: date, owner: Owner) -> tuple[Youth, YouthTransferred]:
    """Another platform answers for the youth from that day on."""
    event = YouthTransferred(
        youth_id=youth.youth_id,
        on=on,
        from_platform_id=youth.owner.platform_id,
        platform_id=owner.platform_id,
        network_id=owner.network_id,
        departement=owner.departement,
        academie=owner.academie,
    )
    return replace(youth, owner=owner, assigned_on=on), event


def contract_signed(youth: Youth, contract_id: str) -> Youth:
    """The case leaves the worklist while the contract runs; one whose end came first stays ended."""
    if contract_id in youth.ended_contracts:
        return youth
    return replace(
        youth,
        open_contracts=youth.open_contracts | {contract_id},
        closed=None if youth.closed == "contract_ended" else youth.closed,
    )


def contract_ended(youth: Youth, contract_id: str) -> Youth:
    """Back on the worklist; the next sighting counts as a new detection."""
    if contract_id in youth.ended_contracts:
        return youth
    remaining = youth.open_contracts - {contract_id}
    return replace(
        youth,
        open_contracts=remaining,
        ended_contracts=youth.ended_contracts | {contract_id},
        closed=youth.closed if youth.closed == "dismissed" or remaining else "contract_ended",
        stage=youth.stage if remaining else "to_contact",
        attempts=youth.attempts if remaining else (),
    )
