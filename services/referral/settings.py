"""Referral's settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings

DIPLOMAS = frozenset({"CAP", "BEP", "BP", "MC", "BAC_PRO", "BAC_TECHNO", "BAC_GENERAL"})


class ReferralSettings(ServiceSettings):
    """Adds the rules that an operator may change."""

    # By name as well as by alias: `ReferralSettings(port=...)` works, while a bare PORT in the environment does not.
    model_config = SettingsConfigDict(populate_by_name=True)

    service: str = "referral"
    port: int = Field(8101, validation_alias="FOQUALE_REFERRAL_PORT", description="HTTP port.")

    excluding_diplomas: frozenset[str] = Field(
        DIPLOMAS,
        description="Diplomas whose holder is no dropout (D313-59; the bac technologique by choice).",
    )
    require_coverage: bool = Field(
        True, description="Take rows in only once every département has a platform; else the nearest owner serves."
    )
    rows_per_transaction: int = Field(1_000, ge=1, le=2_000)
    unreachable_attempts: int = Field(3, ge=1, description="Attempts without an answer after which nobody was reached,")
    unreachable_channels: int = Field(2, ge=1, description="by at least so many channels,")
    unreachable_days: int = Field(14, ge=0, description="the first and the last at least so many days apart.")
