"""What must not cross a boundary: identity into the bus, a library into a second module, an event that nobody reads."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from deploy.docs.code_register import GROUPS
from deploy.docs.errors_page import undocumented, unused
from deploy.docs.pages import ROOT
from deploy.docs.topology import READ_BY_NOBODY, SERVICES, Topology, read_topology
from shared.events import EVENTS, Event, SieiDropout
from shared.siei_csv import COLUMNS

ALLOWED_ON_THE_BUS = {"campaign", "source", "sex", "last_school", "last_level", "left_on", "followed_by_mission_locale"}
"""Columns of a SIEI list that say nothing about who the youth is."""

IDENTITY = {
    *(set(COLUMNS) - ALLOWED_ON_THE_BUS - {"commune"}),
    *("first_name", "last_name", "birth_day", "birthday", "date_of_birth", "birth_place", "telephone", "mobile"),
    "mail",
    *("postcode", "zip", "street", "nir", "parent_name", "tutor_name", "head", "comment", "comments", "note", "notes"),
    *("remark", "free_text", "text", "username", "ip"),
}
ONE_MODULE = {
    "motor": {"shared/mongo.py"},
    "faststream": {"shared/bus/connection.py"},
    "aiokafka": {
        "shared/bus/bursts.py",
        "shared/bus/clients.py",
        "shared/bus/connection.py",
        "shared/bus/damage.py",
        "shared/bus/in_step.py",
        "shared/bus/log.py",
        "shared/bus/places.py",
        "shared/bus/topics.py",
    },
}


@pytest.fixture(scope="module")
def topology() -> Topology:
    return read_topology(ROOT)


def fields(model: type[BaseModel]) -> Iterator[str]:
    """The names of a model's fields, and of the models inside it."""
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {})


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("library", ONE_MODULE)
def test_a_library_of_an_outside_thing_is_imported_in_one_module_only(library: str) -> None:
    sources = [path for folder in ("shared", "services", "deploy") for path in (ROOT / folder).rglob("*.py")]
    users = {str(path.relative_to(ROOT)) for path in sources if library in imported(path)}
    assert users == ONE_MODULE[library]


@pytest.mark.parametrize("event", [e for e in EVENTS if e is not SieiDropout], ids=lambda event: event.TYPE)
def test_no_internal_event_carries_identity(event: type[Event]) -> None:
    assert not set(fields(event)) & IDENTITY


@pytest.mark.parametrize("event", [e for e in EVENTS if "youth_id" in e.model_fields], ids=lambda event: event.TYPE)
def test_an_event_about_a_youth_tells_no_more_of_where_he_lives_than_the_departement(event: type[Event]) -> None:
    assert not set(fields(event)) & {"commune", "communes", "lon", "lat", "postal_code", "address"}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_every_event_says_what_it_is_and_every_field_what_it_means(event: type[Event]) -> None:
    assert event.__doc__
    schema = event.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), f"{event.__name__}.{name}"


def test_every_event_has_a_reader_or_a_reason_why_not(topology: Topology) -> None:
    without = {event for event in EVENTS if not topology.readers(event)}
    assert without == set(READ_BY_NOBODY)


def test_every_event_comes_from_the_owner_of_its_topic(topology: Topology) -> None:
    for event in EVENTS:
        emitting = topology.emitter(event)
        if event is SieiDropout:
            assert emitting.service not in SERVICES
        else:
            assert emitting.service == event.TOPIC.removesuffix(".events")
            assert emitting.makers


def test_no_service_reads_its_own_events(topology: Topology) -> None:
    assert not [reading for reading in topology.readings if topology.emitter(reading.event).service == reading.service]


def test_handlers_are_where_an_event_s_path_says(topology: Topology) -> None:
    for reading in topology.readings:
        assert reading.handler.file.startswith(f"services/{reading.service}/")
        assert (ROOT / reading.handler.file).exists()


def test_every_code_of_the_sources_is_documented() -> None:
    assert undocumented(ROOT) == [], "add the code to deploy/docs/code_register.py, then run `make docs`"


def test_every_documented_code_is_one_of_the_sources() -> None:
    assert unused(ROOT) == []


def test_every_code_is_documented_once() -> None:
    codes = [code.code for _, codes in GROUPS for code in codes]
    assert len(codes) == len(set(codes))
    for _, group in GROUPS:
        for code in group:
            assert code.meaning.endswith(".")
            assert code.remedy.endswith((".", "}."))
