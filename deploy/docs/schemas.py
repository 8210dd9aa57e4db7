"""JSON schemas of the events' data, and one example of each."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from deploy.docs.siei import siei_schema
from shared.events import Event, SieiDropout

REFERENCE: Final = "#/components/schemas/{model}"
EXAMPLES: Final = "tests/contract/golden"
"""The examples are the events that the contract tests read, so they are known to be right."""

Schema = dict[str, Any]


def short_name(event: type[Event]) -> str:
    """`referral.dropout-detected` of `fr.foquale.referral.dropout-detected.v1`, `siei.dropout-detected` of SIEI's."""
    return ".".join(event.TYPE.split(".")[2:-1])


def first_line(text: str | None) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def schemas(events: Iterable[type[Event]]) -> dict[str, Schema]:
    """Name of the model -> schema of its data, and of the models inside it, that refer to each other."""
    models = [event for event in events if event is not SieiDropout]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    found = {name: _without_titles(schema) for name, schema in sorted(definitions["$defs"].items())}
    description = " ".join((SieiDropout.__doc__ or "").split())
    return {**found, SieiDropout.__name__: siei_schema(SieiDropout.__name__, description)}


def example(root: Path, event: type[Event]) -> Schema:
    """The example of an event's data."""
    found: Schema = json.loads((root / EXAMPLES / f"{event.TYPE}.json").read_text(encoding="utf-8"))
    return found


def _without_titles(schema: Schema) -> Schema:
    """Without the title that each property repeats of its name, and with docstrings in one line."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "description": " ".join(schema.get("description", "").split()), "properties": properties}
