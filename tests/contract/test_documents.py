"""The documents that follow from the code are current, and valid by the official schemas of their formats."""

import gzip
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
import yaml

from deploy.docs.asyncapi import HEADERS
from deploy.docs.pages import ROOT, pages, stale, write
from deploy.docs.topology import SERVICES
from shared.clock import utc_now
from shared.envelope import Envelope, to_headers
from shared.events import EVENTS, TOPICS

SCHEMAS = Path(__file__).with_name("schemas")


@pytest.fixture(scope="module")
def bus() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    return document


@pytest.fixture(params=SERVICES)
def api(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = ROOT / "docs" / "openapi" / f"{request.param}.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def errors(schema: Any, document: Any) -> list[str]:
    validator = jsonschema_rs.validator_for(schema)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(document)]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


def resolve(document: Any, reference: str) -> Any:
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def test_generated_documents_are_current() -> None:
    assert not stale(), "not current; run `make docs` (python -m deploy.docs) and commit what it writes"


def test_what_is_written_is_current_and_written_once(tmp_path: Path) -> None:
    for folder in ("services", "shared", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    assert set(stale(tmp_path)) == set(pages())
    assert set(write(tmp_path)) == set(pages())
    assert write(tmp_path) == []
    (tmp_path / "docs/events.md").write_text("something else", encoding="utf-8")
    assert stale(tmp_path) == ["docs/events.md"]


def test_the_bus_is_described_by_a_valid_asyncapi_document(bus: dict[str, Any]) -> None:
    with gzip.open(SCHEMAS / "asyncapi-3.0.0.json.gz", "rt", encoding="utf-8") as file:
        schema = json.load(file)
    assert errors(schema, bus) == []
    assert errors(schema, {**bus, "operations": {"x": {"action": "shout"}}}), "the schema must refuse what is wrong"


def test_every_reference_of_the_bus_document_leads_somewhere(bus: dict[str, Any]) -> None:
    found = references(bus)
    assert len(found) > len(EVENTS)
    for reference in found:
        assert resolve(bus, reference), reference


def test_every_topic_and_every_event_is_in_the_bus_document(bus: dict[str, Any]) -> None:
    assert tuple(channel["address"] for channel in bus["channels"].values()) == TOPICS
    described = {message["name"]: message for message in bus["components"]["messages"].values()}
    assert set(described) == {event.TYPE for event in EVENTS}
    for event in EVENTS:
        channel = bus["channels"][event.TOPIC]["messages"]
        names = {resolve(bus, message["$ref"])["name"] for message in channel.values()}
        assert event.TYPE in names


def test_operations_send_and_receive_only_what_their_channel_has(bus: dict[str, Any]) -> None:
    for operation in bus["operations"].values():
        channel = resolve(bus, operation["channel"]["$ref"])
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"])
            assert message["$ref"].rsplit("/", 1)[1] in channel["messages"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_examples_fit_their_schemas(bus: dict[str, Any], event: Any) -> None:
    message = next(item for item in bus["components"]["messages"].values() if item["name"] == event.TYPE)
    schema = {**resolve(bus, message["payload"]["$ref"]), "components": bus["components"]}
    [example] = message["examples"]
    assert errors(schema, example["payload"]) == []


def test_headers_are_those_that_are_sent() -> None:
    sent = to_headers(Envelope("1", EVENTS[1].TYPE, "/foquale/referral", "y", utc_now(), b"{}", "00-1-2-01"))
    assert set(HEADERS["properties"]) == set(sent)
    assert set(HEADERS["required"]) == set(sent) - {"traceparent"}
    assert errors(HEADERS, sent) == []


def test_each_service_is_described_by_a_valid_openapi_document(api: dict[str, Any]) -> None:
    schema = json.loads((SCHEMAS / "openapi-3.1.json").read_text(encoding="utf-8"))
    assert errors(schema, api) == []
    assert errors(schema, {**api, "paths": {"no-slash": 1}}), "the schema must refuse what is wrong"


def test_every_reference_of_an_openapi_document_leads_somewhere(api: dict[str, Any]) -> None:
    for reference in references(api):
        assert resolve(api, reference), reference


def test_operations_have_names_of_their_own_and_say_how_they_refuse(api: dict[str, Any]) -> None:
    operations = [
        (path, method, operation) for path, item in api["paths"].items() for method, operation in item.items()
    ]
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(names) == len(set(names))
    for path, method, operation in operations:
        refusal = operation["responses"]["4XX"]["content"]
        assert "application/problem+json" in refusal, f"{method} {path}"


def test_every_service_has_health_and_dead_letters(api: dict[str, Any]) -> None:
    wanted = {"/live", "/ready", "/v1/dead-letters", "/v1/dead-letters/{dead_letter_id}/replay"}
    assert wanted <= set(api["paths"])


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_whole(picture: Path) -> None:
    assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own pictures
