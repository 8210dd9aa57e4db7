"""What reporting publishes: that a bilan is frozen."""

from datetime import date
from typing import ClassVar

from pydantic import Field

from shared.events.base import AcademieCode, Event


class BilanPublished(Event):
    """An académie's two-monthly bilan is frozen, or a correction of it: figures, texts and visas no longer move."""

    TYPE: ClassVar[str] = "fr.foquale.reporting.bilan-published.v1"
    TOPIC: ClassVar[str] = "reporting.events"

    academie: AcademieCode
    year: int = Field(description="The calendar year.")
    period: int = Field(description="1: January and February, to 6: November and December.")
    version: int = Field(description="1, or higher for a correction.")
    hash: str = Field(description="SHA-256, in hexadecimal, of the frozen content as staff read it.")
    public_hash: str = Field(description="The same of the content as everybody reads it, with small counts hidden.")
    frozen_on: date = Field(description="The day it was frozen (UTC).")
    supersedes: int | None = Field(default=None, description="The version that it corrects, where there is one.")

    def subject(self) -> str:
        return self.academie
