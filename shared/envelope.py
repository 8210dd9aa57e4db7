"""CloudEvents 1.0 on Kafka: binary mode out, binary and structured mode in. Never raises anything but `Undecodable`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event: its CloudEvents attributes and its data as JSON bytes, not yet judged."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: bytes
    trace: str | None = None


class Undecodable(Exception):
    """A record or body that is no event. `code` is stable, `message` says what is wrong and what mends it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def to_headers(envelope: Envelope) -> dict[str, str]:
    """The headers of binary mode."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": envelope.id,
        "ce_type": envelope.type,
        "ce_source": envelope.source,
        "ce_time": envelope.time.isoformat().replace("+00:00", "Z"),
        "ce_subject": envelope.subject,
        "content-type": "application/json",
    }
    if envelope.trace:
        headers["traceparent"] = envelope.trace
    return headers


def from_record(record: Record) -> Envelope:
    """The event in a record, in either mode; headers that are not ours may hold anything."""
    if record.value is None:
        raise Undecodable("empty", "the record has no value; send the event's data")
    headers: dict[str, bytes] = {}
    binary = False
    for name, content in record.headers:
        if content is not None:
            lower = name.lower()
            binary = binary or lower[:3] == "ce_"
            headers.setdefault(lower, content)
    if not binary or headers.get("content-type", b"")[: len(STRUCTURED)].lower() == STRUCTURED.encode():
        return from_structured(_json_object(record.value, "the record's value"))
    attributes = {}
    for name, content in headers.items():
        if name[:3] == "ce_" or name == "traceparent":
            try:
                attributes[name.removeprefix("ce_")] = content.decode()
            except UnicodeDecodeError as error:
                raise Undecodable("bad_header", f"header {name} is not UTF-8") from error
    if "subject" not in attributes and record.key is not None:
        attributes["subject"] = record.key.decode("utf-8", "replace")
    return _envelope(attributes, record.value)


def from_structured(body: Mapping[str, Any]) -> Envelope:
    """The event in a structured-mode JSON object."""
    if "data" not in body:
        raise Undecodable("no_data", "a structured CloudEvent needs `data` (JSON)")
    try:
        data = json.dumps(body["data"])
    except (ValueError, RecursionError) as error:
        raise Undecodable("bad_json", "`data` is nested too deeply") from error
    return _envelope(body, data.encode())


def _envelope(attributes: Mapping[str, Any], data: bytes) -> Envelope:
    for name in ("specversion", "id", "type", "source"):
        value = attributes.get(name)
        if not isinstance(value, str) or not value or not _is_text(value):
            raise Undecodable("missing_attribute", f"CloudEvents attribute `{name}` is missing or no text")
    if attributes["specversion"] != SPEC_VERSION:
        raise Undecodable("unknown_specversion", f"CloudEvents specversion must be {SPEC_VERSION}")
    time = attributes.get("time")
    trace = attributes.get("traceparent")
    subject = attributes.get("subject")
    return Envelope(
        id=attributes["id"],
        type=attributes["type"],
        source=attributes["source"],
        subject=subject if isinstance(subject, str) and _is_text(subject) else "",
        time=_time(time) if time is not None else datetime.fromtimestamp(0, UTC),
        data=data,
        trace=trace if isinstance(trace, str) else None,
    )


def _is_text(value: str) -> bool:
    """Whether it is Unicode: half a surrogate pair can be written in JSON, and can neither be stored nor sent on."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _time(text: Any) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise Undecodable("bad_time", "CloudEvents attribute `time` is no RFC 3339 time") from error


def _json_object(value: bytes, what: str) -> dict[str, Any]:
    try:
        body = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Undecodable("bad_json", f"{what} is no JSON in UTF-8") from error
    if not isinstance(body, dict):
        raise Undecodable("bad_json", f"{what} is no JSON object")
    return body
