"""Settings of the catalogue."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class CatalogueSettings(ServiceSettings):
    """What a catalogue process needs to know. Durations: `_days` in days, `_s` in seconds."""

    # By name as well as by alias: `CatalogueSettings(port=...)` works, while a bare PORT in the environment does not.
    model_config = SettingsConfigDict(populate_by_name=True)

    service: str = "catalogue"
    port: int = Field(8102, validation_alias="FOQUALE_CATALOGUE_PORT", description="HTTP port.")

    hold_days: float = Field(15, gt=0, le=3_650, description="How long an offer holds its seat.")
    expiry_grace_s: float = Field(60, ge=0, description="How long an acceptance under way on the bus may take.")
    expiry_poll_s: float = Field(1, gt=0, description="How often overdue holds are looked for.")
    seed: bool = Field(True, description="Put the shipped networks, platforms and solutions that are not there yet.")
