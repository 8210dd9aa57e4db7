"""`docs/events.md`: the events in words, for who writes a reader or an upstream base."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.docs.asyncapi import HEADERS, TOPIC_NOTES, kept_days
from deploy.docs.schemas import REFERENCE, Schema, example, first_line, schemas, short_name
from deploy.docs.sources import Place
from deploy.docs.topology import READ_BY_NOBODY, UPSTREAM, Topology
from shared.events import EVENTS, TOPICS, Event

_HEAD = """\
<!-- Made from the code by `make docs`; do not edit. -->
# Events

What crosses the bus. The same for machines: [asyncapi.yaml](asyncapi.yaml).

An event is a fact with the day it happened. `on` is that day; `ce_time` is when it was recorded. Figures go by `on`.
A consumer may see an event again, late or out of order; its effect is the same as once, in order. A consumer ignores
fields and types that it does not know, so an event grows by adding fields that may be missing. Anything else is a new
version beside the old one (`.v2`).

Where an event's path goes on: the table in `services/<service>/app.py` names the handler, given here as well.
"""


def events_page(topology: Topology, root: Path) -> str:
    """The page."""
    definitions = schemas(EVENTS)
    sections = [
        _HEAD,
        _topics(),
        _headers(),
        _index(topology),
        *(_section(topology, root, event, definitions) for event in EVENTS),
    ]
    return "\n".join(sections)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _topics() -> str:
    rows = [(f"`{topic}`", *TOPIC_NOTES[topic], _kept(topic)) for topic in TOPICS]
    return f"## Topics\n\n{_table(('topic', 'holds', 'key', 'kept'), rows)}"


def _kept(topic: str) -> str:
    days = kept_days(topic)
    return "for ever" if days is None else f"{days} days"


def _headers() -> str:
    needed = HEADERS["required"]
    rows = [
        (f"`{name}`", "always" if name in needed else "may be missing", _text_of(schema))
        for name, schema in HEADERS["properties"].items()
    ]
    return f"## Headers\n\n{HEADERS['description']}\n\n{_table(('header', '', 'what it says'), rows)}"


def _text_of(schema: Schema) -> str:
    return f"`{schema['const']}`" if "const" in schema else str(schema["description"])


def _index(topology: Topology) -> str:
    rows = [
        (
            f"[{short_name(event)}](#{_anchor(event)})",
            topology.emitter(event).service,
            ", ".join(reading.service for reading in topology.readers(event)) or "no service",
            first_line(event.__doc__),
        )
        for event in EVENTS
    ]
    return f"## All events\n\n{_table(('event', 'from', 'read by', 'says'), rows)}"


def _anchor(event: type[Event]) -> str:
    return short_name(event).replace(".", "")


def _section(topology: Topology, root: Path, event: type[Event], definitions: dict[str, Schema]) -> str:
    schema = definitions[event.__name__]
    readings = topology.readers(event)
    read = [f"{r.service}: {_place(r.handler)}" for r in readings] or [f"no service. {READ_BY_NOBODY[event]}"]
    facts = [
        ("type", f"`{event.TYPE}`"),
        ("topic, key", f"`{event.TOPIC}`, {TOPIC_NOTES[event.TOPIC][1]}"),
        ("class", f"`{event.__name__}` in `{event.__module__.replace('.', '/')}.py`"),
        ("from", _emitter(topology, event)),
        ("read by", "<br>".join(read)),
    ]
    parts = [f"## {short_name(event)}\n", f"{first_line(event.__doc__)}\n", _table(("", ""), facts), _fields(schema)]
    parts += [f"Each `{name}`:\n\n{_fields(definitions[name])}" for name in _nested(schema)]
    data = json.dumps(example(root, event), ensure_ascii=False, indent=2)
    return "\n".join([*parts, f"```json\n{data}\n```\n"])


def _emitter(topology: Topology, event: type[Event]) -> str:
    emitting = topology.emitter(event)
    if emitting.service == UPSTREAM:
        return UPSTREAM
    return f"{emitting.service}: {', '.join(_place(place) for place in emitting.makers)}"


def _place(place: Place) -> str:
    return f"`{place.name}` in `{place.file}`"


def _fields(schema: Schema) -> str:
    needed = schema.get("required", [])
    rows = [
        (f"`{name}`", _type(field), "always" if name in needed else "may be missing", field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    return _table(("field", "type", "", "meaning"), rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{_model(schema['$ref'])}`"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"{_type(schema['additionalProperties'])} by code"
    names = schema["type"] if isinstance(schema["type"], list) else [schema.get("format", schema["type"])]
    return " or ".join(_NAMES[name] for name in names)


_NAMES = {
    "string": "text",
    "date": "date",
    "date-time": "moment",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def _model(reference: str) -> str:
    return reference.removeprefix(REFERENCE.format(model=""))


def _nested(schema: dict[str, Any]) -> list[str]:
    """The models that the fields of a schema hold."""
    return [
        _model(field["items"]["$ref"])
        for field in schema["properties"].values()
        if field.get("type") == "array" and "$ref" in field["items"]
    ]
