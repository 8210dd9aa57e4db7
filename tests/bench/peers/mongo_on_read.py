"""Raw events into MongoDB, once each by their identifier; figures aggregated from them when somebody asks.

    mongo_on_read.py BOOTSTRAP MONGO_URL DATABASE TOPICS RECORDS RESULT

One question, all figures of France, is part of the time.
"""

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from pymongo import MongoClient
from pymongo.errors import BulkWriteError

from services.reporting.indicators import BREAK_REASONS, COHORT_STEPS, DELAYS, REACHED_OUTCOMES, RETURN_KINDS, STEPS
from tests.bench.peers.clock import Clock

_BATCH = 20_000
_DUPLICATE = 11_000
_EPOCH_MS = 86_400_000


def main() -> None:
    """Store all records; RESULT (JSON) gets the rate, with one question, and France's figures."""
    bootstrap, mongo_url, database, topics, expected, result = sys.argv[1:]
    kafka: Any = importlib.import_module("confluent_kafka")
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"on-read-{uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.min.bytes": 65_536,
            "queued.max.messages.kbytes": 400_000,
        }
    )
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, w="majority", journal=True)
    events = client[database]["events"]
    clock = Clock()
    consumer.subscribe(topics.split(","), on_assign=clock.start)
    applied = 0
    while applied < int(expected):
        messages = consumer.consume(_BATCH, timeout=0.2)
        if not messages:
            continue
        rows = {row["_id"]: row for row in map(_row, messages)}
        try:
            events.insert_many(list(rows.values()), ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
                raise
        consumer.commit(asynchronous=True)
        applied += len(messages)
    stored = clock.seconds()
    figures = {tuple(row["_id"].values()): row["n"] for row in events.aggregate(_pipeline(), allowDiskUse=True)}
    seconds = clock.seconds()
    consumer.close()
    told = [["", "", "", day, measure, count] for (day, measure), count in Counter(figures).items()]
    Path(result).write_text(json.dumps({"rate": applied / seconds, "query_s": seconds - stored, "figures": told}))


_decode = msgspec.json.Decoder().decode
_KEPT = ("youth_id", "on", "outcome", "kind", "reason", "source", "academie", "departement", "network_id")


def _row(message: Any) -> dict[str, Any]:
    """What is asked for later, of one event."""
    headers = dict(message.headers())
    data = _decode(message.value())
    row = {name: data[name] for name in _KEPT if name in data}
    row["_id"] = headers["ce_id"].decode()
    row["type"] = headers["ce_type"].decode().split(".")[3]
    row["at"] = headers["ce_time"].decode()
    return row


def _pipeline() -> list[dict[str, Any]]:
    """Events to facts of each youth, those to what each counts in, those to sums by day and measure."""

    def day_if(condition: Any) -> dict[str, Any]:
        return {"$min": {"$cond": [condition, "$on", None]}}

    def is_type(name: str) -> dict[str, Any]:
        return {"$eq": ["$type", name]}

    def of(name: str, field: str, values: Any) -> dict[str, Any]:
        return {"$and": [is_type(name), {"$in": [f"${field}", list(values)]}]}

    reached = {"$or": [of("contact-attempted", "outcome", REACHED_OUTCOMES), is_type("interview-done")]}
    steps = {
        "detected": is_type("dropout-detected"),
        "attempted": is_type("contact-attempted"),
        "reached": reached,
        "interviewed": is_type("interview-done"),
        "offered": is_type("placement-offered"),
        "contracted": is_type("contract-signed"),
        "returned": of("training-started", "kind", RETURN_KINDS),
        "civic_service": of("training-started", "kind", ["civic_service"]),
        "broken": of("contract-ended", "reason", BREAK_REASONS),
    }
    detected = is_type("dropout-detected")
    dismissal = {"on": "$on", "at": "$at", "id": "$_id", "source": {"$ifNull": ["$source", "UNKNOWN"]}}
    facts: dict[str, Any] = {
        "_id": "$youth_id",
        **{step: day_if(condition) for step, condition in steps.items()},
        "seen": {"$max": {"$cond": [detected, "$on", None]}},
        "dismissal": {"$max": {"$cond": [is_type("dropout-dismissed"), dismissal, None]}},
    }

    def counts(day: str, measure: Any, *conditions: Any) -> dict[str, Any]:
        return {"$cond": [{"$and": [{"$gt": [day, None]}, *conditions]}, [{"d": day, "m": measure}], []]}

    def days(begin: str, end: str) -> dict[str, Any]:
        between = {"$subtract": [{"$toDate": f"${end}"}, {"$toDate": f"${begin}"}]}
        return {"$toString": {"$toLong": {"$max": [0, {"$divide": [between, _EPOCH_MS]}]}}}

    standing = [counts(f"${step}", str(step)) for step in STEPS]
    standing += [
        counts("$detected", f"cohort:{step}", {"$gt": [f"${step}", None]})
        for step in COHORT_STEPS
        if step != "detected"
    ]
    standing += [
        counts(
            "$detected",
            {"$concat": [f"delay:{name}:", days(begin, end)]},
            {"$gt": [f"${begin}", None]},
            {"$gt": [f"${end}", None]},
        )
        for name, (begin, end) in DELAYS.items()
    ]
    on = "$dismissal.on"
    dismissed = [
        counts(on, "dismissed"),
        counts(on, {"$concat": ["dismissed:", "$dismissal.source"]}),
        counts("$detected", "cohort:dismissed"),
    ]
    holds = {"$and": [{"$gt": [on, None]}, {"$gte": [on, "$seen"]}]}
    return [
        {"$group": facts},
        {"$project": {"c": {"$cond": [holds, {"$concatArrays": dismissed}, {"$concatArrays": standing}]}}},
        {"$unwind": "$c"},
        {"$group": {"_id": {"d": "$c.d", "m": "$c.m"}, "n": {"$sum": 1}}},
    ]


if __name__ == "__main__":
    main()
