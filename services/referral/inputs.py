"""What referral's commands take. `on` is the day it happened; it is never guessed, since the figures go by it."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.events.base import Sex, Source
from shared.events.referral import Channel, ContactOutcome, DismissalReason
from shared.http import Day, Input

Code = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[str, StringConstraints(max_length=500)]


class Contact(Input):
    """A platform tried to reach the youth."""

    on: Day
    channel: Channel
    outcome: ContactOutcome


class Interview(Input):
    """The positioning interview: codes, no free text, since the bus carries none."""

    on: Day
    needs: Annotated[tuple[Code, ...], Field(max_length=20)]
    level: Code | None = None
    wishes: Annotated[tuple[Code, ...], Field(max_length=20, description="Sector codes.")]
    mobility_km: Annotated[int, Field(ge=0, le=20_000)] | None = None


class Dismissal(Input):
    """No follow-up needed, and why."""

    on: Day
    reason: DismissalReason


class Transfer(Input):
    """Another platform answers for the youth from that day on."""

    on: Day
    platform_id: Code


class Resolution(Input):
    """Who the disputed row is about: one of the candidates, or somebody else."""

    decision: Literal["same", "other"]
    youth_id: Code | None = None

    @model_validator(mode="after")
    def _needs_the_youth(self) -> Self:
        if (self.decision == "same") != (self.youth_id is not None):
            raise ValueError("`youth_id` goes with the decision `same`, and only with it")
        return self


class Came(Input):
    """A youth who came by himself: the identity fields of the SIEI list."""

    on: Day
    family_name: Text
    given_names: Text
    birth_date: Day
    sex: Sex
    commune: Text
    campaign: Text | None = None
    source: Source | None = None
    source_row: Text | None = None
    ine: Text | None = None
    address: Text | None = None
    postal_code: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    guardian_name: Text | None = None
    guardian_phone: Text | None = None
    last_school: Text | None = None
    last_course: Text | None = None
    last_level: Text | None = None
    status: Literal["scolaire", "apprenti", ""] | None = None
    left_on: Day | None = None
    highest_diploma: Text | None = None
    followed_by_mission_locale: bool | None = None
    enrolled_in: Text | None = None
