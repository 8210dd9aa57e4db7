"""Real MongoDB and Kafka-protocol servers on this machine, without Docker.

`Mongod` (a one-member replica set), `EmbeddedBroker` (Tansu, in memory) and `ApacheKafka` (KRaft, one node) start a
server as a child process on 127.0.0.1, wait until it answers, and stop it. Each is a context manager, takes its port
and its directory as arguments, and raises `LocalBackendError` with a message that says what to do.
"""

from deploy.local.apache_kafka import ApacheKafka
from deploy.local.broker import EmbeddedBroker
from deploy.local.errors import LocalBackendError
from deploy.local.mongod import Mongod
from deploy.local.processes import Process, free_port
from deploy.local.server import LocalServer

__all__ = ["ApacheKafka", "EmbeddedBroker", "LocalBackendError", "LocalServer", "Mongod", "Process", "free_port"]
