"""`docs/asyncapi.yaml`: the bus as an AsyncAPI 3.0 document, made from the events and the services' tables."""

from collections.abc import Iterable, Mapping
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.docs.schemas import example, first_line, schemas, short_name
from deploy.docs.topology import SERVICES, Topology
from shared.events import EVENTS, TOPICS, Event, SieiDropout
from shared.settings import ServiceSettings

_BINDING: Final = "0.5.0"
_PARTITIONS: Final = ServiceSettings.model_fields["kafka_partitions"].default
_SIEI_DAYS: Final[int] = ServiceSettings.model_fields["siei_retention_days"].default

TOPIC_NOTES: Final[Mapping[str, tuple[str, str]]] = {
    "siei.dropouts": (
        "Rows of SIEI lists. The only topic that carries identity, so it is kept for a short time.",
        "source and source_row of the row",
    ),
    "referral.events": (
        "A youth's way from the list to the interview, without identity; what became of lists and disputes.",
        "youth_id, or the list or dispute that the event is about",
    ),
    "catalogue.events": (
        "Networks, platforms and solutions, and the offers that hold a seat.",
        "youth_id, or the network, platform or solution that the event is about",
    ),
    "tracking.events": ("Answers to offers, contracts FQE, and what becomes of them.", "youth_id"),
    "reporting.events": ("That an académie's bilan is frozen, or corrected.", "académie code"),
}
"""What a topic is for, and its records' key; the key of what a service says of a dead letter is the dead letter."""

HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "CloudEvents 1.0 in binary mode. Structured mode (application/cloudevents+json) is read as well.",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "content-type"],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "Unique per event for ever; makes a repeated event known as such."},
        "ce_type": {"type": "string", "description": "The event's type and version."},
        "ce_source": {"type": "string", "description": "`/foquale/<service>`, or the upstream base."},
        "ce_time": {"type": "string", "format": "date-time", "description": "When it was recorded (UTC)."},
        "ce_subject": {"type": "string", "description": "What the event is about; the record's key as well."},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context, where there is one."},
    },
}

_DESCRIPTION = """\
What crosses the bus between the services of FOQUALE. Made from the code: see docs/events.md for the same in words.

Events are facts with the day they happened (`on`). As a rule order holds per key; after a broker's refusal or the loss
of a log it does not. A consumer may see an event again, late or out of order, and its effect is the same as once, in
order. A consumer ignores fields and types that it does not know; events grow by adding fields that may be missing. No
identity of a youth but on siei.dropouts."""


def asyncapi(topology: Topology, root: Path) -> dict[str, Any]:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "FOQUALE events",
            "version": metadata.version("foquale"),
            "description": _DESCRIPTION,
            "license": {"name": "EUPL-1.2", "url": "https://spdx.org/licenses/EUPL-1.2.html"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": ServiceSettings.model_fields["kafka_bootstrap"].default,
                "protocol": "kafka",
                "description": "The broker on one machine. Elsewhere FOQUALE_KAFKA_BOOTSTRAP says where it is.",
            }
        },
        "channels": {topic: _channel(topic) for topic in TOPICS},
        "operations": {**_sends(topology), **_receives(topology)},
        "components": {
            "schemas": {"CloudEventHeaders": HEADERS, **schemas(EVENTS)},
            "messages": {short_name(event): _message(event, root) for event in EVENTS},
        },
    }


def asyncapi_page(topology: Topology, root: Path) -> str:
    """The document as YAML."""
    text = yaml.dump(asyncapi(topology, root), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Made from the code by `make docs`; do not edit.\n{text}"


class _Dumper(yaml.SafeDumper):
    """Without anchors, and with texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  PyYAML calls it with the node
        return True

    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, str) and "\n" in data:
            return self.represent_scalar("tag:yaml.org,2002:str", data, style="|")
        return super().represent_data(data)


def _channel(topic: str) -> dict[str, Any]:
    description, _ = TOPIC_NOTES[topic]
    return {
        "address": topic,
        "description": description,
        "messages": {
            short_name(event): {"$ref": f"#/components/messages/{short_name(event)}"}
            for event in EVENTS
            if topic == event.TOPIC
        },
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": _PARTITIONS,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": _retention_ms(topic)},
                "bindingVersion": _BINDING,
            }
        },
    }


def kept_days(topic: str) -> int | None:
    """How many days a topic keeps a record where nothing else is set; None: for ever."""
    return _SIEI_DAYS if topic == SieiDropout.TOPIC else None


def _retention_ms(topic: str) -> int:
    days = kept_days(topic)
    return -1 if days is None else days * 24 * 3600 * 1000


def _message(event: type[Event], root: Path) -> dict[str, Any]:
    _, key = TOPIC_NOTES[event.TOPIC]
    return {
        "name": event.TYPE,
        "title": short_name(event),
        "summary": first_line(event.__doc__),
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventHeaders"},
                {"type": "object", "properties": {"ce_type": {"const": event.TYPE}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING}},
        "examples": [{"name": "example", "payload": example(root, event)}],
    }


def _sends(topology: Topology) -> dict[str, Any]:
    operations = {}
    for service in SERVICES:
        emitted = [emitting.event for emitting in topology.emittings if emitting.service == service]
        for topic, events in groupby(emitted, key=lambda event: event.TOPIC):
            operations[f"{service}.sends.{topic}"] = _operation("send", topic, events) | {
                "summary": f"{service} publishes from its outbox, in the order of its transactions."
            }
    return operations


def _receives(topology: Topology) -> dict[str, Any]:
    operations = {}
    for service in SERVICES:
        for topic in TOPICS:
            readings = [r for r in topology.readings if r.service == service and topic == r.event.TOPIC]
            if readings:
                group = f"foquale.{service}" + (".siei" if topic == "siei.dropouts" else "")
                operations[f"{service}.receives.{topic}"] = _operation(
                    "receive", topic, [r.event for r in readings]
                ) | {
                    "summary": f"{service} reads as group {group}.",
                    "bindings": {"kafka": {"groupId": {"type": "string", "enum": [group]}, "bindingVersion": _BINDING}},
                    "x-handlers": {short_name(r.event): f"{r.handler.file}: {r.handler.name}" for r in readings},
                }
    return operations


def _operation(action: str, topic: str, events: Iterable[type[Event]]) -> dict[str, Any]:
    channel = f"#/channels/{topic}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{short_name(event)}"} for event in events],
    }
