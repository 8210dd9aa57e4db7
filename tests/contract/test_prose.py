"""What the documents written by hand point to is there, and the README's examples work."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.addresses import PORTS
from deploy.docs.pages import ROOT
from deploy.local import free_port
from deploy.up import Machine
from services.reporting.definitions import registry
from services.reporting.indicators import STEPS
from tests.backends import Kafka

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED_PATH = re.compile(r"`((?:shared|services|deploy|tests|docs)/[\w./-]*\w)`")
EXAMPLE = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_are_there(page: Path) -> None:
    for path in QUOTED_PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


def test_every_indicator_is_among_the_concepts() -> None:
    page = (ROOT / "docs/concepts.md").read_text(encoding="utf-8")
    for indicator in registry().all():
        if indicator.unit == "youths":
            assert f"`{indicator.code}`" in page


def test_the_demo_s_figures_in_the_readme_are_those_of_the_shipped_campaign() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    expected = json.loads((ROOT / "deploy/demo/data/expected.json").read_text(encoding="utf-8"))
    for campaign, counts in expected["lists"].items():
        outcomes = ", ".join(f"{counts[name]} {name}" for name in ("accepted", "matched", "disputed", "repeated"))
        rejected = sum(counts["rejected"].values())
        assert f"siei-{campaign}.csv: {counts['rows']} rows: {outcomes}, {rejected} rejected" in page
    for level, code in (("national", "FR"), ("academie", "01"), ("academie", "02")):
        figures = expected["indicators"][level][code]["activity"]
        row = re.search(rf"^ *{code} +\S+ +([\d ]+)$", page, re.MULTILINE)
        assert row is not None, code
        assert [int(number) for number in row[1].split()] == [figures[name] for name in STEPS]


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mongo_url: str, db_name: str, kafka: Kafka
) -> Iterator[Machine]:
    """The four services as processes, on the session's store and broker, on ports of their own."""
    for name, value in {
        "FOQUALE_MONGO_URL": mongo_url,
        "FOQUALE_MONGO_PREFIX": f"{db_name}_",
        "FOQUALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "FOQUALE_KAFKA_IDEMPOTENCE": str(kafka.supports_idempotence).lower(),
        "FOQUALE_KAFKA_SESSION_MS": "2000",
        "FOQUALE_TOPIC_PREFIX": f"{db_name}.",
        **{f"FOQUALE_{service.upper()}_PORT": str(free_port()) for service in PORTS},
    }.items():
        monkeypatch.setenv(name, value)
    with Machine(tmp_path) as running:
        running.start(lambda _: None)
        yield running


@pytest.mark.slow
async def test_the_examples_of_the_readme_work_and_work_again(machine: Machine) -> None:
    script = "\n".join(EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    for service, port in PORTS.items():
        assert f"localhost:{port}/" in script, service
        script = script.replace(f"localhost:{port}/", f"{machine.urls[service].removeprefix('http://')}/")
    for _ in range(2):
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-eu", "-o", "pipefail", "-c", script),
            env={**os.environ, "no_proxy": "*"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(shell.communicate(), timeout=40)
        assert shell.returncode == 0, err.decode()
        assert b'"end_reason":"completed"' in out
