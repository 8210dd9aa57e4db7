"""Put a load on the log, as fast as the broker takes it; run with the Python of the environment `load`.

produce.py BOOTSTRAP PREFIX YOUTHS SEED lives|time long|short LINGER_MS TRUTH RESULT
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.events import TOPICS, Lives


def main() -> None:
    """TRUTH (.npz) gets what must be counted, RESULT (JSON) how many records there are."""
    bootstrap, prefix, youths, seed, order, length, linger_ms, truth, result = sys.argv[1:]
    kafka: Any = importlib.import_module("confluent_kafka")
    producer = kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",  # as our own producer's
            "linger.ms": int(linger_ms),
            "batch.size": 262_144,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 500_000,
        }
    )
    lives = Lives(int(youths), seed=int(seed), long=length == "long")
    events = lives.in_order_of_lives() if order == "lives" else lives.in_order_of_time()
    names = [f"{prefix}.{topic}" for topic in TOPICS]
    records = 0
    began = time.perf_counter()
    for topic, key, value, headers in events:
        try:
            producer.produce(names[topic], value, key, headers=headers)
        except BufferError:
            producer.poll(1.0)
            producer.produce(names[topic], value, key, headers=headers)
        records += 1
        if records % 5_000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if left:
        sys.exit(f"{left} records were not taken")
    lives.truth.save(Path(truth))
    Path(result).write_text(json.dumps({"records": records, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
