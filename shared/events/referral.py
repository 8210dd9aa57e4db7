"""What referral publishes: the youth's way from the list to the interview, without identity."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.base import Sex, Source, YouthEvent

BirthMonth = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="Month of birth, YYYY-MM.")]
DismissalReason = Literal["already_in_training", "has_diploma", "out_of_scope", "moved_abroad", "deceased", "error"]
Channel = Literal["phone", "sms", "email", "letter", "visit"]
ContactOutcome = Literal["reached", "no_answer", "message_left", "wrong_details", "declined"]


class ReferralEvent(YouthEvent):
    """An event of referral's topic."""

    TOPIC: ClassVar[str] = "referral.events"


class DropoutDetected(ReferralEvent):
    """A youth without a diploma was found in a list, came by himself, or was seen again after his case was closed."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dropout-detected.v1"

    campaign: str = Field(description="YYYY-MM; its last day is the list's reference date.")
    source: Source | None = Field(description="Upstream base; null for a youth who came by himself.")
    left_on: str | None = Field(default=None, description="Day the youth left school (ISO date), where known.")
    age: int = Field(description="Whole years on the day of detection.")
    sex: Sex
    academie: str
    departement: str
    platform_id: str
    network_id: str
    birth_month: BirthMonth
    last_school: str | None = Field(default=None, description="UAI.")
    last_level: str | None = None
    followed_by_mission_locale: bool | None = None
    origin: Literal["siei", "spontaneous"]


class DropoutDismissed(ReferralEvent):
    """The youth needs no follow-up; `source` is the base whose row was wrong (false positives by source)."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dropout-dismissed.v1"

    reason: DismissalReason
    source: Source | None = None


class ContactAttempted(ReferralEvent):
    """A platform tried to reach the youth."""

    TYPE: ClassVar[str] = "fr.foquale.referral.contact-attempted.v1"

    channel: Channel
    outcome: ContactOutcome


class InterviewDone(ReferralEvent):
    """The positioning interview of the circular (bilan): what the youth needs and wishes."""

    TYPE: ClassVar[str] = "fr.foquale.referral.interview-done.v1"

    needs: tuple[str, ...] = ()
    level: str | None = None
    wishes: tuple[str, ...] = Field(default=(), description="Sector codes.")
    mobility_km: int | None = None


class YouthTransferred(ReferralEvent):
    """Another platform and network own the youth from now on."""

    TYPE: ClassVar[str] = "fr.foquale.referral.youth-transferred.v1"

    from_platform_id: str
    platform_id: str
    network_id: str
    departement: str
    academie: str
