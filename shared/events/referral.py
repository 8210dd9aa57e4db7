"""What referral publishes: the youth's way from the list to the interview, and how good the lists are. No identity."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.base import AcademieCode, DepartementCode, Event, NetworkId, PlatformId, Sex, Source, YouthEvent

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
    sex: Sex = Field(description="As the upstream bases write it.")
    academie: AcademieCode
    departement: DepartementCode
    platform_id: PlatformId
    network_id: NetworkId
    birth_month: BirthMonth
    last_school: str | None = Field(default=None, description="UAI of the school the youth left.")
    last_level: str | None = Field(default=None, description="Class or diploma that the youth prepared, as listed.")
    followed_by_mission_locale: bool | None = Field(default=None, description="Null where the row does not say.")
    origin: Literal["siei", "spontaneous"] = Field(description="From a SIEI list, or the youth came by himself.")


class DropoutDismissed(ReferralEvent):
    """The youth needs no follow-up; `source` is the base whose row was wrong (false positives by source)."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dropout-dismissed.v1"

    reason: DismissalReason = Field(description="Why.")
    source: Source | None = Field(default=None, description="Base that listed the youth last; null: he came himself.")


class ContactAttempted(ReferralEvent):
    """A platform tried to reach the youth."""

    TYPE: ClassVar[str] = "fr.foquale.referral.contact-attempted.v1"

    channel: Channel = Field(description="How.")
    outcome: ContactOutcome = Field(description="What came of it; `declined` is an answer too.")


class InterviewDone(ReferralEvent):
    """The positioning interview of the circular (bilan): what the youth needs and wishes."""

    TYPE: ClassVar[str] = "fr.foquale.referral.interview-done.v1"

    needs: tuple[str, ...] = Field(default=(), description="Codes of what the youth needs.")
    level: str | None = Field(default=None, description="Code of the level reached.")
    wishes: tuple[str, ...] = Field(default=(), description="Sector codes.")
    mobility_km: int | None = Field(default=None, description="How far the youth can travel, in km.")


class YouthTransferred(ReferralEvent):
    """Another platform and network own the youth from now on."""

    TYPE: ClassVar[str] = "fr.foquale.referral.youth-transferred.v1"

    from_platform_id: str = Field(description="The platform that answered for the youth before.")
    platform_id: PlatformId
    network_id: NetworkId
    departement: DepartementCode
    academie: AcademieCode


class RowCounts(BaseModel):
    """What became of the rows of one upstream base and campaign. Counts only; of an under-16 nothing else is kept."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Source | None = Field(description="Upstream base; null where the rows name none that is known.")
    campaign: str | None = Field(description="YYYY-MM; null where the rows name none that can be read.")
    rows: int = Field(ge=0, description="All rows: those accepted, matched, disputed, repeated and rejected.")
    accepted: int = Field(default=0, ge=0, description="Rows that made a youth known.")
    matched: int = Field(default=0, ge=0, description="Rows that named a youth who was known.")
    disputed: int = Field(default=0, ge=0, description="Rows of which a person must say whom they name.")
    repeated: int = Field(default=0, ge=0, description="Rows that had been taken in before.")
    rejected: dict[str, int] = Field(default_factory=dict, description="Rows that were rejected, by the reason's code.")
    warnings: dict[str, int] = Field(default_factory=dict, description="Warnings, by code; a row may have several.")


class ListTakenIn(Event):
    """Rows of a SIEI list, or of SIEI events, were read and judged: a piece of the list, which is one transaction."""

    TYPE: ClassVar[str] = "fr.foquale.referral.list-taken-in.v1"
    TOPIC: ClassVar[str] = "referral.events"

    on: date = Field(description="The day it happened.")
    list_id: str = Field(min_length=1, description="The import; of SIEI events, a random identifier of the batch.")
    way: Literal["list", "events"] = Field(description="A list (CSV), or SIEI events.")
    counts: tuple[RowCounts, ...] = Field(description="What became of the rows, by upstream base and campaign.")

    def subject(self) -> str:
        return self.list_id


DisputeId = Annotated[str, Field(min_length=1, description="The dispute in referral.")]


class DisputeOpened(Event):
    """A row may name several youths, or one whose INE or birth date differs: a person must say whom it names."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dispute-opened.v1"
    TOPIC: ClassVar[str] = "referral.events"

    dispute_id: DisputeId
    on: date = Field(description="The day it happened.")
    source: Source | None = Field(description="Upstream base of the row; null for a youth who came by himself.")

    def subject(self) -> str:
        return self.dispute_id


class DisputeSettled(Event):
    """A person has said whom a row in dispute names."""

    TYPE: ClassVar[str] = "fr.foquale.referral.dispute-settled.v1"
    TOPIC: ClassVar[str] = "referral.events"

    dispute_id: DisputeId
    on: date = Field(description="The day it happened.")
    source: Source | None = Field(description="Upstream base of the row; null for a youth who came by himself.")
    decision: Literal["same", "other"] = Field(description="One of the youths who were meant, or another one.")

    def subject(self) -> str:
        return self.dispute_id
