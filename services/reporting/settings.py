"""What the reporting service needs to know."""

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from services.reporting import readers
from shared.settings import ServiceSettings


class ReportingSettings(ServiceSettings):
    """Reporting's settings: the shared ones, and how it folds figures."""

    # By name as well as by alias: `ReportingSettings(port=...)` works, while a bare PORT in the environment does not.
    model_config = SettingsConfigDict(populate_by_name=True)

    service: str = "reporting"
    port: int = Field(8104, validation_alias="FOQUALE_REPORTING_PORT", description="HTTP port.")
    batch_records: int = Field(
        2_000,
        ge=1,
        description="Most records that are read at once; queries wait meanwhile.",
    )
    batches_ahead: int = Field(
        36,
        ge=1,
        description="Most batches in hand at once: those read while one is being written are written together, and the "
        "more, the less often a youth is written while catching up.",
    )
    facts_in_memory: int = Field(
        200_000,
        ge=1_000,
        description="Of how many youths the facts are kept in memory, about 500 bytes each; the store has all.",
    )
    settle_every_s: float = Field(
        5.0,
        gt=0,
        description="Facts that grew are written to their documents once nothing much came in for so long.",
    )
    fold_every_s: float = Field(
        30.0,
        gt=0,
        description="How often the changes of the figures are folded into the cells; no query waits for it.",
    )
    lost_logs_every_s: float = Field(10.0, gt=0, description="How often to look whether a topic was made anew.")
    answer_age_s: float = Field(
        0.1,
        ge=0,
        description="How long an answer is given again before it is made anew: a quarter of it where there is news, "
        "under load up to ten times; 0: never.",
    )
    reader: str = Field(
        "national",
        description="For whom it answers until there is a sign-in: `national` (staff, sees all), `public`, or "
        "`academie:` and its code.",
    )

    small_cells_age_s: float = Field(
        5.0, ge=0, description="The longest that outsiders are shown the same figures while these move."
    )
    lapse_days: int = Field(
        90, ge=1, description="After how many days a youth's situation lapses that nobody has verified since."
    )

    history_age_s: float = Field(
        60.0, ge=0, description="How long past figures are given again before the log is looked at for late events."
    )
    history_patience_s: float = Field(
        5.0, gt=0, description="How long a question to the log waits for its answer before it is told to come again."
    )

    open_data_age_s: float = Field(
        60.0, ge=0, description="How long open data are served as they are before they are made anew."
    )

    source_silence_days: int = Field(
        45,
        ge=1,
        description="After how many days without a row an upstream base counts as silent: lists come monthly, so half "
        "a month late.",
    )

    @field_validator("reader")
    @classmethod
    def _names_a_reader(cls, written: str) -> str:
        readers.reader(written)
        return written
