"""Kafka, in one place: the only package that imports FastStream's Kafka broker and aiokafka.

Consumption follows the one recipe that loses nothing with this stack: manual acknowledgement, whole batches, raw
records (FastStream's own parsing lets one bad header or one bad JSON take its batch along), and an explicit commit of
each partition after the effects are durable.
"""

from shared.bus.bursts import OnBatch
from shared.bus.connection import Bus, BusError, Outgoing
from shared.bus.damage import Damage, Inspection, inspection
from shared.bus.log import Log, LogReader
from shared.bus.topics import ensure_topics, hash_of_key

__all__ = [
    "Bus",
    "BusError",
    "Damage",
    "Inspection",
    "Log",
    "LogReader",
    "OnBatch",
    "Outgoing",
    "ensure_topics",
    "hash_of_key",
    "inspection",
]
