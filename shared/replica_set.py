"""Forms the MongoDB replica set of a new deployment: transactions and change streams need one, if only of one member.

`foquale init --replica-set` does what a person would otherwise type into a shell inside the server's container.
"""

import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure
from pymongo.uri_parser import parse_uri

_NOT_YET_INITIALIZED = 94
_ALREADY_INITIALIZED = 23


def form_replica_set(url: str, *, deadline_s: float = 60.0) -> bool:
    """Make the servers that `url` names into the replica set that it names; False when they are one already.

    The members call each other, and are called by every client, by the names in `url`. Waits up to `deadline_s`
    seconds for the first of them to answer, and raises pymongo's `ConnectionFailure` after that. ValueError when the
    URL names no replica set.
    """
    parsed = parse_uri(url)
    options = {name: value for name, value in parsed["options"].items() if name.lower() != "replicaset"}
    name = parsed["options"].get("replicaSet")
    if not name:
        raise ValueError("the URL names no replica set: it ends in ?replicaSet=NAME")
    host, port = parsed["nodelist"][0]
    members = [{"_id": number, "host": f"{host}:{port}"} for number, (host, port) in enumerate(parsed["nodelist"])]
    client: MongoClient[dict[str, Any]]
    with MongoClient(
        host,
        port,
        username=parsed["username"],
        password=parsed["password"],
        **{**options, "directConnection": True, "serverSelectionTimeoutMS": 1_000},
    ) as client:
        _wait_for(client, deadline_s)
        try:
            client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
        else:
            return False
        try:
            client.admin.command("replSetInitiate", {"_id": name, "members": members})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:  # another one was quicker
                raise
            return False
    return True


def _wait_for(client: MongoClient[dict[str, Any]], deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    while True:
        try:
            client.admin.command("ping")
            return
        except ConnectionFailure:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(0.5)
