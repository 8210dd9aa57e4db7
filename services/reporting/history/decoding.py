"""From records to facts and to traces of single events, by the readers of the live projection, not by a copy."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError

from services.reporting import compact
from services.reporting.compact import Fact, microseconds
from services.reporting.handlers import Facts
from services.reporting.reading import Gathered, Reading
from shared.envelope import Envelope, Record, Undecodable, from_record
from shared.events import YouthEvent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Place = tuple[str, int, int]
"""Topic as the broker calls it, partition, offset."""


class Trace(NamedTuple):
    """One event in the log: enough to find it there, and nothing of whom it is about but the youth_id.

    `time` is in microseconds since 1970, `on` an ordinal; `reason` is the data's, empty where there is none.
    """

    time: int
    id: str
    type: str
    youth_id: str
    on: int
    reason: str
    topic: str
    partition: int
    offset: int

    def plain(self, names: Mapping[str, str]) -> dict[str, Any]:
        """As an answer tells it; `names` are name on the broker -> name of the design."""
        return {
            "id": self.id,
            "type": self.type,
            "youth_id": self.youth_id,
            "on": date.fromordinal(self.on),
            "time": _EPOCH + timedelta(microseconds=self.time),
            "reason": self.reason or None,
            "topic": names.get(self.topic, self.topic),
            "partition": self.partition,
            "offset": self.offset,
        }


class _Said(msgspec.Struct, gc=False):
    youth_id: str
    on: date
    reason: str | None = None


_said: Final = msgspec.json.Decoder(_Said).decode
_Told = tuple[Envelope, YouthEvent]


class Decoding:
    """Reads records; `facts` is the service's table event -> what it says of its youth."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._models = {model.TYPE: model for model in facts}
        self._reading = Reading()

    def gather(self, records: Sequence[Record], into: dict[str, Fact]) -> dict[Place, _Told | None]:
        """Join what the records say to the facts, by youth_id.

        Answers with those that were read the general way; None for what is no event of a youth, or broken.
        """
        odd: dict[Place, _Told | None] = {}
        for record in self._reading.read(records, Gathered(into)):
            told = odd[record.topic, record.partition, record.offset] = self._general(record)
            if told is not None:
                envelope, data = told
                news = compact.of_plain(self._facts[type(data)](data, envelope.time, envelope.id))
                before = into.get(data.youth_id)
                into[data.youth_id] = news if before is None else compact.join(before, news)
        return odd

    def trace(self, record: Record, odd: Mapping[Place, _Told | None]) -> Trace | None:
        """The trace of a record that `gather` has read (`odd` is its answer); None where no youth's event was read."""
        place = record.topic, record.partition, record.offset
        if place in odd:
            told = odd[place]
            if told is None:
                return None
            envelope, data = told
            reason = getattr(data, "reason", None) or ""
            at = microseconds(envelope.time)
            return Trace(at, envelope.id, envelope.type, data.youth_id, data.on.toordinal(), reason, *place)
        headers: dict[str, Any] = dict(record.headers)
        type_ = headers["ce_type"].decode()
        if type_ not in self._models:
            return None
        said = _said(record.value or b"")
        at = microseconds(datetime.fromisoformat(headers["ce_time"].decode()))
        event_id = headers["ce_id"].decode()
        return Trace(at, event_id, type_, said.youth_id, said.on.toordinal(), said.reason or "", *place)

    def _general(self, record: Record) -> _Told | None:
        try:
            envelope = from_record(record)
            model = self._models.get(envelope.type)
            return None if model is None else (envelope, model.model_validate_json(envelope.data))
        except (Undecodable, ValidationError):
            return None
