"""Apache Kafka on this machine: one node in KRaft mode, run from its jars by the machine's Java."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local.data_directory import DataDirectory
from deploy.local.errors import LocalBackendError
from deploy.local.processes import HOST, Process, free_port
from deploy.local.server import LocalServer

DEFAULT_PORT = 19092
JARS_VARIABLE = "FOQUALE_KAFKA_JARS"
DEFAULT_JARS = Path(".foquale/kafka-jars")
CLUSTER_ID = "Zm9xdWFsZS1vbi1hLW1hYw"
JAVA_OPTIONS = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]


def jars_directory() -> Path:
    """Where `make kafka-jars` puts the server's jars, or what FOQUALE_KAFKA_JARS says."""
    return Path(os.environ.get(JARS_VARIABLE, DEFAULT_JARS)).resolve()


class ApacheKafka(LocalServer):
    """One Kafka node on 127.0.0.1, broker and controller at once. Started again on the same directory it keeps its
    topics and offsets.
    """

    name = "Apache Kafka"
    port_variable = "FOQUALE_KAFKA_PORT"
    grace_seconds = 30.0
    supports_idempotence = True

    def __init__(
        self,
        directory: Path,
        *,
        port: int = DEFAULT_PORT,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are added to the server's properties, or replace ours."""
        self._data = DataDirectory(directory.resolve())
        super().__init__(port, self._data)
        self._log = (log or directory / "kafka.log").resolve()
        self._settings = dict(settings or {})

    @property
    def bootstrap(self) -> str:
        """`host:port` for Kafka clients."""
        return self.address

    def _prepare(self) -> Process:
        java = _java()
        properties = self._write_properties()
        self._format(java, properties)
        return Process(self.name, [*java, "kafka.Kafka", str(properties)], log=self._log, inherited=self._inherited())

    def _write_properties(self) -> Path:
        """The server's configuration. The controller's port is any free one: it is this node's own affair."""
        controller = free_port()
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self._data.path / "log"),
            "auto.create.topics.enable": "false",
            # One node keeps one copy of its own topics; few partitions make start and stop quick.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A first member need not wait 3 s for others: rebalances are part of what is tested.
            "group.initial.rebalance.delay.ms": "0",
            # Tests of a lost consumer ask for sessions shorter than the 6 s that Kafka otherwise insists on.
            "group.min.session.timeout.ms": "500",
            **self._settings,
        }
        path = self._data.path / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path

    def _format(self, java: list[str], properties: Path) -> None:
        done = subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-g", "-t", CLUSTER_ID, "-c", str(properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalBackendError(
                f"Apache Kafka's storage in {self._data.path} could not be formatted: "
                f"{(done.stderr or done.stdout).strip()[-800:]}"
            )


def _java() -> list[str]:
    """The start of a command line that runs a class of the server."""
    program = shutil.which("java")
    if program is None:
        raise LocalBackendError(
            "Apache Kafka needs Java 17 or newer, and there is no java on PATH. Install it (Debian: "
            "openjdk-17-jre-headless), or point FOQUALE_KAFKA_BOOTSTRAP to a Kafka that runs already."
        )
    jars = jars_directory()
    if not any(jars.glob("kafka_*.jar")):
        raise LocalBackendError(
            f"There are no Apache Kafka jars in {jars}. Run `make kafka-jars`, or set {JARS_VARIABLE}=DIR."
        )
    log4j = Path(__file__).with_name("kafka") / "log4j2.properties"
    return [program, *JAVA_OPTIONS, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars}/*"]
