"""Settings that every service shares, all from the environment (`FOQUALE_...`)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What one service process needs to know. Each service subclasses it once, with its name and its port.

    Durations end in `_s` (seconds) or `_ms` (milliseconds).
    """

    model_config = SettingsConfigDict(env_prefix="FOQUALE_", extra="ignore", frozen=True)

    service: str = Field(description="Name of the service: referral, catalogue, tracking or reporting.")
    host: str = "127.0.0.1"
    port: int = Field(description="HTTP port.")

    mongo_url: str = "mongodb://127.0.0.1:27117/?replicaSet=rs0"
    mongo_prefix: str = Field("foquale_", description="A service's database is this prefix and its name.")

    kafka_bootstrap: str = "127.0.0.1:19092"
    kafka_idempotence: bool = Field(True, description="Idempotent producer; the embedded broker refuses it.")
    kafka_partitions: int = Field(12, ge=1, description="Partitions of each topic when this project creates it.")
    kafka_replication: int = Field(1, ge=1, description="Replicas of each partition when this project creates it.")
    siei_retention_days: int = Field(
        7, ge=1, description="Days that siei.dropouts keeps a record, for it holds identity; set when it is created."
    )
    kafka_session_ms: int = Field(
        10_000,
        ge=1_000,
        description="Silent for so long, a consumer loses its partitions; the embedded broker forms a group in half.",
    )
    topic_prefix: str = Field("", description="Put before every topic and group name, so that deployments can share.")

    batch_records: int = Field(1_000, ge=1, description="Most records that one batch of a consumer holds.")
    batch_timeout_ms: int = Field(20, ge=1, description="How long a consumer waits for a batch to begin.")
    relay_poll_s: float = Field(0.5, gt=0, description="Safety net of the outbox relay when no wake-up reaches it.")
    relay_lease_s: float = Field(10.0, gt=0, description="After this silence of the relay, another replica takes over.")
    relay_batch: int = Field(1_000, ge=1, description="Most events that the relay publishes before it marks them.")
    relay_behind_s: float = Field(
        60.0, gt=0, description="An event that waits longer to be published makes the service not ready."
    )
    watch_every_s: float = Field(5.0, gt=0, description="How often to look whether the consumers make progress.")
    stall_after_s: float = Field(
        60.0,
        gt=0,
        description="A consumer that stands still for so long, with something to read, is started anew.",
    )
    undecodable_share: float = Field(
        0.5, ge=0, le=1, description="More of the last records unreadable than this share: stop and say so; 1 is never."
    )
    undecodable_least: int = Field(50, ge=1, description="Fewer unreadable records than this are never an alarm.")
    retry_first_s: float = Field(60.0, gt=0, description="First pause before a dead letter that may heal is tried.")
    retry_longest_s: float = Field(21_600.0, gt=0, description="The pause doubles with each try, up to this.")
    retry_most: int = Field(24, ge=0, description="Tries before a dead letter waits for a person.")
    republish: bool = Field(False, description="At start, publish the whole journal again: the broker lost its log.")
    graceful_timeout_s: float = Field(25.0, gt=0, description="How long a stop waits for the batch in hand.")
    crash_at: str = Field("", description="For tests: end the process (SIGKILL) at this point of `crash_points`.")
    log_level: str = "INFO"
    log_json: bool = True

    @property
    def database(self) -> str:
        """Name of the service's own database."""
        return f"{self.mongo_prefix}{self.service}"

    def topic(self, name: str) -> str:
        """Name on the broker of a topic of `design`, e.g. `referral.events`."""
        return f"{self.topic_prefix}{name}"

    @property
    def group(self) -> str:
        """Consumer group of the service: all its replicas share it."""
        return f"{self.topic_prefix}foquale.{self.service}"
