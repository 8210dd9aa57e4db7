"""What comes in from the upstream bases: the only events that carry identity."""

from typing import Any, ClassVar

from pydantic import ConfigDict

from shared.events.base import Event


class SieiDropout(Event):
    """A row of a SIEI list as an event. Its fields are those of the CSV; referral's rules judge them, not the wire."""

    model_config = ConfigDict(frozen=True, extra="allow")

    TYPE: ClassVar[str] = "fr.education.siei.dropout-detected.v1"
    TOPIC: ClassVar[str] = "siei.dropouts"

    def subject(self) -> str:
        return f"{self.values().get('source', '')}:{self.values().get('source_row', '')}"

    def values(self) -> dict[str, Any]:
        """The fields as they came."""
        return dict(self.model_extra or {})
