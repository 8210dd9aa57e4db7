"""The servers that everything here runs on are real, keep their data, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from deploy.local import EmbeddedBroker, LocalBackendError, Mongod, free_port
from deploy.local.processes import Process, answers
from tests.backends import Kafka, choose

Document = dict[str, object]


def documents(url: str) -> list[Document]:
    with MongoClient[Document](url) as client:
        return list(client["kept"]["things"].find())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_for(condition: object, *, seconds: float = 10) -> bool:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


# mongod


def test_a_transaction_takes_effect_as_a_whole_or_not_at_all(mongo_url: str, db_name: str) -> None:
    with MongoClient[Document](mongo_url) as client:
        things = client[db_name]["things"]
        with client.start_session() as session, session.start_transaction():
            things.insert_many([{"_id": 1}, {"_id": 2}], session=session)
        with pytest.raises(DuplicateKeyError), client.start_session() as session, session.start_transaction():
            things.insert_one({"_id": 3}, session=session)
            things.insert_one({"_id": 1}, session=session)
        assert [thing["_id"] for thing in things.find().sort("_id")] == [1, 2]


def test_a_change_stream_tells_of_an_insert(mongo_url: str, db_name: str) -> None:
    with MongoClient[Document](mongo_url) as client:
        things = client[db_name].create_collection("things")
        with things.watch(max_await_time_ms=5000) as changes:
            things.insert_one({"_id": "seen"})
            change = changes.next()
        assert change["operationType"] == "insert"
        assert change["documentKey"] == {"_id": "seen"}


def test_mongod_keeps_its_data_over_a_stop_a_crash_and_another_port(tmp_path: Path) -> None:
    mongod = Mongod(tmp_path / "data", port=free_port(), cache_gb=0.25)
    with mongod, MongoClient[Document](mongod.url) as client:
        client["kept"]["things"].insert_one({"_id": "first"})
    with mongod:
        with MongoClient[Document](mongod.url, w="majority", journal=True) as client:
            client["kept"]["things"].insert_one({"_id": "second"})
        mongod.kill()
        mongod.start()
        assert documents(mongod.url) == [{"_id": "first"}, {"_id": "second"}]
    with Mongod(tmp_path / "data", port=free_port(), cache_gb=0.25) as elsewhere:
        assert documents(elsewhere.url) == [{"_id": "first"}, {"_id": "second"}]


def test_a_data_directory_serves_one_instance_at_a_time(tmp_path: Path) -> None:
    with (
        Mongod(tmp_path / "data", port=free_port(), cache_gb=0.25),
        pytest.raises(
            LocalBackendError, match=rf"data is in use by another running instance \(process {os.getpid()}\)"
        ),
    ):
        Mongod(tmp_path / "data", port=free_port()).start()


def test_a_data_directory_that_is_a_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    with pytest.raises(LocalBackendError, match=r"data cannot be used: .* Choose one .* with --data-dir"):
        Mongod(tmp_path / "data", port=free_port(), log=tmp_path / "log").start()


def test_a_server_that_ends_at_once_says_so_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(LocalBackendError, match=r"(?s)mongod ended at once \(exit code \d+\).*no-such-option"):
        Mongod(tmp_path / "data", port=free_port(), arguments=["--no-such-option"]).start()


# ports


def test_a_port_in_use_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with EmbeddedBroker(log=tmp_path / "broker.log", port=free_port()) as broker:
        with pytest.raises(LocalBackendError, match=rf"{broker.port}.*FOQUALE_KAFKA_PORT=PORT"):
            EmbeddedBroker(log=tmp_path / "other.log", port=broker.port).start()
        with pytest.raises(LocalBackendError, match=rf"{broker.port}.*FOQUALE_MONGO_PORT=PORT"):
            Mongod(tmp_path / "data", port=broker.port).start()


# the broker


# The embedded broker takes half a session to form a group.
GROUP = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 200, "enable_auto_commit": False}


async def make_topic(kafka: Kafka, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()
    assert [error[1] for error in answer.topic_errors] == [0]


async def test_records_keep_their_order_within_a_partition_and_a_group_goes_on_where_it_was(
    kafka: Kafka, unique: str
) -> None:
    await make_topic(kafka, unique, partitions=3)
    sent = {f"key-{key}": [f"{key}.{number}" for number in range(20)] for key in range(4)}
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for number in range(20):
            for key, values in sent.items():
                await producer.send(unique, values[number].encode(), key=key.encode())
        await producer.flush()

    def consumer() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            unique,
            bootstrap_servers=kafka.bootstrap,
            group_id=unique,
            auto_offset_reset="earliest",
            **GROUP,
        )

    got: dict[str, list[str]] = {key: [] for key in sent}
    async with consumer() as first:
        for _ in range(80):
            record = await first.getone()
            got[record.key.decode()].append(record.value.decode())
        await first.commit()
    assert got == sent

    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        await producer.send_and_wait(unique, b"new", key=b"key-0")
    async with consumer() as second:
        record = await second.getone()
    assert record.value == b"new"


async def test_two_members_of_a_group_share_the_partitions_and_one_takes_over(kafka: Kafka, unique: str) -> None:
    await make_topic(kafka, unique, partitions=4)

    def member() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(unique, bootstrap_servers=kafka.bootstrap, group_id=unique, **GROUP)

    async def settled(*members: AIOKafkaConsumer, partitions: int) -> None:
        while [len(one.assignment()) for one in members] != [partitions] * len(members):
            for one in members:
                await one.getmany(timeout_ms=50)

    everything = {TopicPartition(unique, number) for number in range(4)}
    async with member() as stays:
        async with member() as leaves:
            await settled(stays, leaves, partitions=2)
            assert stays.assignment() | leaves.assignment() == everything
        await settled(stays, partitions=4)
        assert stays.assignment() == everything


@pytest.mark.apache_kafka
async def test_apache_kafka_takes_idempotent_producers(kafka: Kafka, unique: str) -> None:
    assert kafka.supports_idempotence
    await make_topic(kafka, unique, partitions=1)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as producer:
        sent = [await producer.send_and_wait(unique, b"value") for _ in range(5)]
    assert [record.offset for record in sent] == [0, 1, 2, 3, 4]


# processes


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    port = free_port()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import sys, time
                from pathlib import Path
                from deploy.local import Mongod
                mongod = Mongod(Path(sys.argv[1]), port=int(sys.argv[2]), cache_gb=0.25)
                mongod.start()
                print(mongod.process.pid, flush=True)
                time.sleep(60)
            """),
            str(tmp_path / "data"),
            str(port),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    assert wait_for(lambda: not alive(child))
    with Mongod(tmp_path / "data", port=port, cache_gb=0.25) as again:
        assert documents(again.url) == []


def test_a_stubborn_child_is_killed_with_all_it_started(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 61 & echo $!; while true; do sleep 0.1; done"
    process = Process("stubborn", ["bash", "-c", script], log=tmp_path / "log")
    process.start()
    assert wait_for(lambda: (tmp_path / "log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "log").read_text())
    process.stop(grace=0.3)
    assert not process.running
    assert wait_for(lambda: not alive(grandchild))


def test_a_child_is_not_started_on_a_thread_that_may_end_before_it(tmp_path: Path) -> None:
    errors: list[RuntimeError] = []

    def start() -> None:
        try:
            Process("sleep", ["sleep", "61"], log=tmp_path / "log").start()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == [
        "sleep must be started on the main thread: it would end with this thread"
    ]


def test_a_paused_server_answers_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data", port=free_port(), cache_gb=0.25) as mongod:
        mongod.pause()
        with (
            MongoClient[Document](mongod.url, timeoutMS=300) as client,
            pytest.raises(Exception, match=r"timed out|Timeout"),
        ):
            client.admin.command("ping")
        mongod.resume()
        assert answers(mongod.port)
        assert documents(mongod.url) == []


def test_a_frozen_child_stands_still_with_all_its_threads_from_then_on(tmp_path: Path) -> None:
    busy = "import threading\nfor _ in range(6): threading.Thread(target=exec, args=('while True: pass',)).start()"
    with Process("busy", [sys.executable, "-c", busy], log=tmp_path / "log") as child:
        tasks = Path(f"/proc/{child.pid}/task")
        child.wait_until(lambda: len(list(tasks.iterdir())) == 7, deadline=10)
        for _ in range(5):
            child.freeze()
            assert {_state(task) for task in tasks.iterdir()} == {"T"}
            child.signal_group(signal.SIGCONT)
        child.kill()


def _state(task: Path) -> str:
    return (task / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


# which backends a session uses


@pytest.mark.parametrize(
    ("environment", "images", "mongo", "kafka", "idempotence"),
    [
        ({}, False, "mongod", "embedded", False),
        ({}, True, "container", "container", True),
        ({"FOQUALE_TESTCONTAINERS": "0"}, True, "mongod", "embedded", False),
        ({"FOQUALE_TESTCONTAINERS": "1"}, False, "container", "container", True),
        ({"FOQUALE_KAFKA": "apache"}, False, "mongod", "apache", True),
        ({"FOQUALE_KAFKA": "embedded"}, True, "container", "embedded", False),
        ({"FOQUALE_TEST_MONGO_URL": "mongodb://m", "FOQUALE_TEST_KAFKA": "k:1"}, True, "external", "external", True),
        ({"FOQUALE_TEST_KAFKA": "k:1", "FOQUALE_KAFKA": "embedded"}, False, "mongod", "external", False),
    ],
)
def test_the_environment_decides_which_backends_are_used(
    environment: dict[str, str], images: bool, mongo: str, kafka: str, idempotence: bool
) -> None:
    chosen = choose(environment, lambda image: images)
    assert (chosen.mongo, chosen.kafka, chosen.kafka_idempotence) == (mongo, kafka, idempotence)


def test_an_unknown_kafka_is_refused() -> None:
    with pytest.raises(ValueError, match="FOQUALE_KAFKA=rabbit"):
        choose({"FOQUALE_KAFKA": "rabbit"}, lambda image: False)
