"""Events that were written before can be read for ever.

`golden/<type>.json` holds the data of an event as it has lain in the log since that type began; `golden/values.json`
the values that its fields with a closed list have had. A golden file is never edited: a new field goes into the model
(and may be missing), a new meaning into a new version of the type, with a golden file of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.envelope import Record, from_record
from shared.events import EVENTS, TOPICS, Event, SieiDropout

GOLDEN = Path(__file__).with_name("golden")
INTERNAL = [event for event in EVENTS if event is not SieiDropout]


def golden(event: type[Event]) -> Any:
    return json.loads((GOLDEN / f"{event.TYPE}.json").read_text(encoding="utf-8"))


def named(event: type[Event]) -> str:
    return event.TYPE


def literals(annotation: Any) -> list[Any]:
    if "Literal" in str(get_origin(annotation)):
        return list(get_args(annotation))
    return [value for part in get_args(annotation) for value in literals(part)]


def closed_lists() -> Iterator[tuple[type[Event], str, list[Any]]]:
    for event in EVENTS:
        for name, field in event.model_fields.items():
            values = literals(field.annotation)
            if values:
                yield event, name, values


def test_every_event_has_a_golden_file_and_every_golden_file_an_event() -> None:
    files = {path.stem for path in GOLDEN.glob("*.json")} - {"values"}
    assert files == {event.TYPE for event in EVENTS}


def test_types_are_unique_versioned_and_of_their_topic() -> None:
    types = [event.TYPE for event in EVENTS]
    assert len(set(types)) == len(types)
    for event in INTERNAL:
        assert event.TOPIC in TOPICS
        service, _, _ = event.TOPIC.partition(".")
        assert event.TYPE.startswith(f"fr.foquale.{service}.")
        assert event.TYPE.rpartition(".v")[2].isdigit()


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_what_was_written_before_is_read_and_nothing_of_it_lost(event: type[Event]) -> None:
    written = golden(event)
    read = event.model_validate_json(json.dumps(written))
    again = read.values() if isinstance(read, SieiDropout) else json.loads(read.model_dump_json())
    lost = {name: value for name, value in written.items() if name not in again or again[name] != value}
    assert not lost, "a field is gone or changed its meaning: keep it, or begin a new version of the type"


@pytest.mark.parametrize("event", INTERNAL, ids=named)
def test_fields_that_a_reader_does_not_know_are_ignored(event: type[Event]) -> None:
    written = golden(event)
    assert event.model_validate({**written, "of_a_later_version": {"x": 1}}) == event.model_validate(written)


@pytest.mark.parametrize("event", INTERNAL, ids=named)
def test_a_field_that_is_always_there_cannot_go_missing(event: type[Event]) -> None:
    written = golden(event)
    for name, field in event.model_fields.items():
        if field.is_required():
            with pytest.raises(ValidationError):
                event.model_validate({key: value for key, value in written.items() if key != name})


def test_values_that_were_written_before_are_read() -> None:
    before: dict[str, list[Any]] = json.loads((GOLDEN / "values.json").read_text(encoding="utf-8"))
    now = {f"{event.TYPE} {name}": values for event, name, values in closed_lists()}
    assert set(before) == set(now), "a field with a closed list came or went: note its values in golden/values.json"
    for field, values in before.items():
        assert not set(values) - set(now[field]), f"{field}: a value that lies in the log can no longer be read"


def test_golden_values_are_what_the_fields_take() -> None:
    before: dict[str, list[Any]] = json.loads((GOLDEN / "values.json").read_text(encoding="utf-8"))
    for event, name, _ in closed_lists():
        annotation: Any = event.model_fields[name].annotation
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        for value in before[f"{event.TYPE} {name}"]:
            assert adapter.validate_python(value) == value


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_the_key_of_an_event_is_its_subject(event: type[Event]) -> None:
    written = golden(event)
    subject = event.model_validate(written).subject()
    youth = written.get("youth_id")
    if youth is not None:
        assert subject == youth
    elif event is SieiDropout:
        assert subject == f"{written['source']}:{written['source_row']}"
    else:
        names = ("solution_id", "platform_id", "network_id", "list_id", "dispute_id", "dead_letter_id", "academie")
        assert subject in [written[name] for name in names if name in written]


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_both_modes_of_cloudevents_give_the_same_event(event: type[Event]) -> None:
    data = golden(event)
    attributes = {
        "specversion": "1.0",
        "id": "e-1",
        "type": event.TYPE,
        "source": "/test",
        "time": "2013-04-08T09:30:00Z",
        "subject": "s",
    }
    binary = Record(
        event.TOPIC,
        0,
        0,
        b"s",
        json.dumps(data).encode(),
        [(f"ce_{name}", text.encode()) for name, text in attributes.items()] + [("content-type", b"application/json")],
    )
    structured = Record(
        event.TOPIC,
        0,
        0,
        b"s",
        json.dumps({**attributes, "data": data}).encode(),
        [("content-type", b"application/cloudevents+json; charset=utf-8")],
    )
    one, other = from_record(binary), from_record(structured)
    assert (one.id, one.type, one.source, one.time, one.subject) == (
        other.id,
        other.type,
        other.source,
        other.time,
        other.subject,
    )
    assert event.model_validate_json(one.data) == event.model_validate_json(other.data)
