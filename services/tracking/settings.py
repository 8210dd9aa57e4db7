"""Settings of the tracking service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class TrackingSettings(ServiceSettings):
    """All from the environment (`FOQUALE_...`); the port from `FOQUALE_TRACKING_PORT`."""

    # By name as well, so that `TrackingSettings(port=...)` works. Not by AliasChoices(..., "port"): that reads $PORT.
    model_config = SettingsConfigDict(populate_by_name=True)

    service: str = "tracking"
    port: int = Field(8103, validation_alias="FOQUALE_TRACKING_PORT", description="HTTP port.")
