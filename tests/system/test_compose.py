"""The deployment by containers: what the files promise, and, where there is Docker, the whole of it at work."""

import asyncio
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.addresses import PORTS, Addresses
from deploy.demo.campaign import Campaign
from deploy.demo.run import show
from deploy.local import free_port
from services.catalogue.settings import CatalogueSettings
from services.referral.settings import ReferralSettings
from services.reporting.settings import ReportingSettings
from services.tracking.settings import TrackingSettings
from shared.events import TOPICS
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
SETTINGS: dict[str, type[ServiceSettings]] = {
    "referral": ReferralSettings,
    "catalogue": CatalogueSettings,
    "tracking": TrackingSettings,
    "reporting": ReportingSettings,
}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services of docker-compose.yml, anchors resolved."""
    composed: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(COMPOSE_FILE.read_text())
    return composed["services"]


# The files, wherever the tests run


def test_everything_is_reachable_from_this_machine_alone(services: Mapping[str, Mapping[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 6
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_is_published_and_asked_for_its_health_at_its_own_port(
    services: Mapping[str, Mapping[str, Any]], name: str
) -> None:
    service, port = services[name], PORTS[name]
    assert service["command"] == ["python", "-m", f"services.{name}"]
    assert service["ports"] == [f"127.0.0.1:${{FOQUALE_{name.upper()}_PORT:-{port}}}:{port}"]
    assert f"127.0.0.1:{port}/ready" in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_variable_that_is_set_for_a_service_is_one_of_its_settings(
    services: Mapping[str, Mapping[str, Any]], name: str
) -> None:
    assert set(services[name]["environment"]) <= {variable for variable, _ in settings_of(SETTINGS[name])}


@pytest.mark.parametrize("name", SETTINGS)
def test_docker_waits_longer_than_a_service_takes_to_stop(services: Mapping[str, Mapping[str, Any]], name: str) -> None:
    assert services[name]["stop_grace_period"] == "90s"
    # Open requests get the time once, and each of a service's readers (two at most) does.
    assert ServiceSettings.model_fields["graceful_timeout_s"].default * 3 < 90


def test_images_are_pinned_and_only_one_is_built(services: Mapping[str, Mapping[str, Any]]) -> None:
    images = {service["image"] for service in services.values()}
    images |= set(re.findall(r"^FROM (\S+)", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE))
    assert all(re.search(r":\d+\.\d+", image) for image in images), images
    assert [name for name, service in services.items() if "build" in service] == ["init"]


def test_the_uv_that_builds_the_image_is_the_one_of_the_lock_file() -> None:
    pinned = re.search(r"uv==([\d.]+)", (ROOT / "deploy/Dockerfile").read_text())
    locked = re.search(r'name = "uv"\nversion = "([\d.]+)"', (ROOT / "uv.lock").read_text())
    assert pinned
    assert locked
    assert pinned[1] == locked[1]


@pytest.mark.parametrize("name", ["shared", *SETTINGS])
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    page = (ROOT / "docs/deployment.md").read_text()
    common = {field for field, _ in settings_of(ServiceSettings)}
    settings = SETTINGS.get(name, ServiceSettings)
    own = [
        (variable, default)
        for variable, default in settings_of(settings)
        if settings is ServiceSettings
        or variable not in common
        or default != dict(settings_of(ServiceSettings))[variable]
    ]
    missing = [
        f"| `{variable}` | {default} |" for variable, default in own if f"| `{variable}` | {default} |" not in page
    ]
    assert not missing, f"docs/deployment.md: no table has a row that begins with {missing}"


def settings_of(settings: type[ServiceSettings]) -> Iterator[tuple[str, str]]:
    """Each variable and its default as the documentation writes it; not the service's own name."""
    for name, field in settings.model_fields.items():
        if name == "service" or (name == "port" and settings is ServiceSettings):
            continue
        default = field.default
        if isinstance(default, frozenset):
            shown = " ".join(f"`{item}`" for item in sorted(default))
        elif default == "":
            shown = "empty"
        elif isinstance(default, bool):
            shown = f"`{str(default).lower()}`"
        else:
            shown = f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        yield str(field.validation_alias or f"FOQUALE_{name.upper()}"), shown


# The whole of it, where there is Docker


@dataclass(frozen=True)
class Deployment:
    """A `docker compose` project of the test's own, on free ports."""

    project: str
    environment: Mapping[str, str]

    @property
    def addresses(self) -> Addresses:
        return Addresses(
            **{name: f"http://127.0.0.1:{self.environment[f'FOQUALE_{name.upper()}_PORT']}" for name in PORTS}
        )

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--file", str(COMPOSE_FILE), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@functools.cache
def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def deployment(unique: str) -> Iterator[Deployment]:
    if not has_compose():
        pytest.skip("needs the compose plugin of Docker, version 2")
    names = [*PORTS, "kafka", "mongo"]
    found = Deployment(f"foquale-{unique}", {f"FOQUALE_{name.upper()}_PORT": str(free_port()) for name in names})
    try:
        found.compose("up", "--build", "--detach", "--wait")
        yield found
    finally:
        found.compose("down", "--volumes", "--timeout", "90")


@pytest.mark.docker
@pytest.mark.timeout(1200)
def test_a_campaign_goes_through_the_containers_and_every_figure_is_right(
    deployment: Deployment, tmp_path: Path
) -> None:
    subprocess.run(
        [
            Path(sys.executable).with_name("foquale"),
            "simulate",
            "--youths",
            "300",
            "--seed",
            "11",
            "--out",
            str(tmp_path),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )

    assert asyncio.run(show(Campaign(tmp_path), deployment.addresses))

    # A replica that is stopped in the middle of nothing finishes cleanly, and what it knew is there when it is back.
    before = indicators(deployment)
    deployment.compose("restart", "reporting", "tracking")
    deployment.compose("up", "--detach", "--wait")
    assert indicators(deployment) == before
    assert "replica set: there already" in deployment.compose("run", "--rm", "init")
    retention = asyncio.run(retention_of(f"127.0.0.1:{deployment.environment['FOQUALE_KAFKA_PORT']}"))
    assert retention == dict.fromkeys(TOPICS, "-1") | {"siei.dropouts": str(7 * 24 * 3600 * 1000)}


def indicators(deployment: Deployment) -> Any:
    answer = httpx.get(f"{deployment.addresses.reporting}/v1/indicators?by=national,academie", timeout=30)
    answer.raise_for_status()
    return answer.json()["rows"]


async def retention_of(bootstrap: str) -> dict[str, str]:
    """`retention.ms` of each topic, asked through the address that Kafka gives to the host's programs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in TOPICS])
    finally:
        await admin.close()
    rows = [row for answer in found for row in answer.resources]
    return {row[3]: next(entry[1] for entry in row[4] if entry[0] == "retention.ms") for row in rows}
