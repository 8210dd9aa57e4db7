"""The plain way: FastStream hands over one message at a time, decoded into a pydantic model; one `update_one` of Motor,
acknowledged by the majority and the journal, then one commit; the figures are counted from the facts when asked for.

    naive.py BOOTSTRAP MONGO_URL DATABASE TOPICS RECORDS RESULT
"""

import asyncio
import json
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import BaseModel

from services.reporting.compact import leaf_of, of_plain, places
from services.reporting.indicators import BREAK_REASONS, REACHED_OUTCOMES, RETURN_KINDS
from services.reporting.measures import DAY_SHIFT, MEASURE_MASK, name_of
from tests.support.reporting import plain_fact


class Said(BaseModel):
    """What any event may say that counts."""

    youth_id: str
    on: str
    outcome: str | None = None
    kind: str | None = None
    reason: str | None = None
    source: str | None = None
    academie: str | None = None
    departement: str | None = None
    platform_id: str | None = None
    network_id: str | None = None


def update_of(type_: str, said: Said, time_: str, event_id: str) -> dict[str, Any]:
    """The update of the youth's document, which may come in any order and any number of times."""
    at = {"on": said.on, "time": time_, "event_id": event_id}
    owner = {
        **at,
        "academie": said.academie,
        "departement": said.departement,
        "platform_id": said.platform_id,
        "network_id": said.network_id,
    }
    name = type_.split(".")[3]
    updates: dict[str, dict[str, Any]] = {
        "dropout-detected": {
            "$min": {"first.detected": said.on},
            "$max": {"last_detected": said.on, "assignment": owner},
        },
        "youth-transferred": {"$max": {"assignment": owner}},
        "dropout-dismissed": {"$max": {"dismissal": {**at, "source": said.source or ""}}},
    }
    steps = {
        "contact-attempted": {"attempted": True, "reached": said.outcome in REACHED_OUTCOMES},
        "interview-done": {"interviewed": True, "reached": True},
        "placement-offered": {"offered": True},
        "contract-signed": {"contracted": True},
        "training-started": {"returned": said.kind in RETURN_KINDS, "civic_service": said.kind == "civic_service"},
        "contract-ended": {"broken": said.reason in BREAK_REASONS},
    }
    days = {f"first.{step}": said.on for step, counts in steps.get(name, {}).items() if counts}
    return updates.get(name) or ({"$min": days} if days else {})


async def main() -> dict[str, Any]:
    """Apply all records once; the rate and all figures."""
    bootstrap, mongo_url, database, topics, expected, _result = sys.argv[1:]
    records = int(expected)
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url, w="majority", journal=True)
    facts = client[database]["facts"]
    broker = KafkaBroker(bootstrap, logger=None)
    applied = 0
    began: float | None = None
    done = asyncio.Event()

    async def take(said: Said, message: KafkaMessage) -> None:
        nonlocal applied, began
        if began is None:
            began = time.perf_counter()
        headers = message.headers
        time_ = headers["ce_time"].replace("Z", "+00:00")
        update = update_of(headers["ce_type"], said, time_, headers["ce_id"])
        if update:
            await facts.update_one({"_id": said.youth_id}, update, upsert=True)
        await message.ack()
        applied += 1
        if applied == records:
            done.set()

    broker.subscriber(
        *topics.split(","), group_id=f"naive-{uuid4().hex}", auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL
    )(take)
    await broker.start()
    await done.wait()
    figures: Counter[tuple[str, ...]] = Counter()
    async for row in facts.find({}):
        fact = of_plain(plain_fact({"first": {}, **row}))
        for place in places(fact):
            day = date.fromordinal(place >> DAY_SHIFT).isoformat()
            figures[*(leaf_of(fact) or ("", "", "")), day, name_of(place & MEASURE_MASK)] += 1
    assert began is not None
    seconds = time.perf_counter() - began
    await broker.stop()
    told = [[*figure, count] for figure, count in figures.items()]
    return {"rate": records / seconds, "figures": told}


if __name__ == "__main__":
    Path(sys.argv[-1]).write_text(json.dumps(uvloop.run(main())))
