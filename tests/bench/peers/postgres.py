"""A loop of confluent-kafka into PostgreSQL: facts and offsets upserted, figures appended, in a transaction a batch.

    postgres.py BOOTSTRAP TOPICS RECORDS RESULT

The server is a wheel's, started here and ended here, with fsync and synchronous commits.
"""

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.reporting.projection import Leaf
from tests.bench.peers.clock import Clock
from tests.bench.peers.work import Sums, gather, grow, pack, tell, unpack

_BATCH = 20_000
_TABLES = """
create table facts (youth text primary key, fact bytea not null);
create table figures (academie text, departement text, network text, place bigint not null, count int not null);
create table offsets (partition text primary key, next bigint not null);
"""
_SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "listen_addresses": "",
}


def main() -> None:
    """Apply all records once; RESULT (JSON) gets the rate and all figures."""
    bootstrap, topics, expected, result = sys.argv[1:]
    kafka: Any = importlib.import_module("confluent_kafka")
    psycopg: Any = importlib.import_module("psycopg")
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"postgres-{uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.min.bytes": 65_536,
            "queued.max.messages.kbytes": 400_000,
        }
    )
    clock = Clock()
    with _server() as socket, psycopg.connect(host=socket, user="bench", dbname="postgres") as connection:
        connection.execute(_TABLES)
        connection.commit()
        consumer.subscribe(topics.split(","), on_assign=clock.start)
        applied = 0
        while applied < int(expected):
            messages = consumer.consume(_BATCH, timeout=0.2)
            if not messages:
                continue
            _apply(connection, messages)
            consumer.commit(asynchronous=True)
            applied += len(messages)
        rate = applied / clock.seconds()
        consumer.close()
        tell(result, rate, _stored(connection))


def _apply(connection: Any, messages: list[Any]) -> None:
    news = gather((message.value(), message.headers()) for message in messages)
    rows = connection.execute("select youth, fact from facts where youth = any(%s)", (list(news),), binary=True)
    known = {youth: unpack(fact) for youth, fact in rows}
    sums: Sums = Counter()
    grown = {youth: after for youth, said in news.items() if (after := grow(known.get(youth), said, sums)) is not None}
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into facts select * from unnest(%b::text[], %b::bytea[])"
            " on conflict (youth) do update set fact = excluded.fact",
            (list(grown), [pack(fact) for fact in grown.values()]),
        )
        columns = "academie, departement, network, place, count"
        with cursor.copy(f"copy figures ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["text", "text", "text", "int8", "int4"])
            for (leaf, place), count in sums.items():
                if count:
                    copy.write_row((*(leaf or (None, None, None)), place, count))
        offsets = {f"{message.topic()}|{message.partition()}": message.offset() + 1 for message in messages}
        cursor.execute(
            "insert into offsets select * from unnest(%b::text[], %b::bigint[])"
            " on conflict (partition) do update set next = greatest(offsets.next, excluded.next)",
            (list(offsets), list(offsets.values())),
        )
    connection.commit()


def _stored(connection: Any) -> Sums:
    found: Sums = Counter()
    for academie, departement, network, place, count in connection.execute(
        "select academie, departement, network, place, sum(count) from figures group by 1, 2, 3, 4"
    ):
        found[None if academie is None else Leaf(academie, departement, network), place] = int(count)
    return found


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """The folder of the server's socket. It does not run as root: then it is nobody's."""
    wheel: Any = importlib.import_module("pgserver")
    programs = Path(wheel.__file__).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "nobody", "cwd": "/"}
        shutil.chown(folder, "nobody")
    data = folder / "data"
    log: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    try:
        made = [str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(made, check=True, **log, **who)
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), "-k", str(folder), *options], **log, **who
        )
        try:
            until = time.monotonic() + 30
            while subprocess.run([str(programs / "pg_isready"), "-h", str(folder)], check=False, **log).returncode:
                if server.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("PostgreSQL does not start")
                time.sleep(0.05)
            yield str(folder)
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
