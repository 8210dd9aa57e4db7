"""`foquale up` and `foquale demo` as a person runs them: real processes, real servers, on ports of their own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import free_port
from deploy.local.processes import answers
from deploy.simulate import simulate
from shared.reference import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAMES = ("REFERRAL", "CATALOGUE", "TRACKING", "REPORTING", "MONGO", "KAFKA")
PATIENCE_S = 90


@dataclass
class Foquale:
    """The command with a data directory and ports of its own."""

    data_dir: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})

    @property
    def environment(self) -> dict[str, str]:
        ours = {f"FOQUALE_{name}_PORT": str(port) for name, port in self.ports.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FOQUALE_")}
        return {**kept, **ours, "COLUMNS": "200"}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )

    def start_up(self) -> "Up":
        return Up(self)

    def get(self, service: str, path: str, **query: str) -> Any:
        answer = httpx.get(f"http://127.0.0.1:{self.ports[service]}{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def detected(self) -> int:
        return int(self.get("REPORTING", "/v1/indicators")["rows"][0]["activity"]["detected"])

    def wait_for_detected(self, number: int) -> None:
        _wait(lambda: self.detected() == number, f"{number} youths detected")


class Up:
    """A running `foquale up`; its output is read until `ready`."""

    def __init__(self, foquale: Foquale) -> None:
        self._foquale = foquale
        self._errors = foquale.data_dir.with_suffix(".stderr")
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(foquale.data_dir)],
                env=foquale.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.lines: list[str] = []

    def wait_until_ready(self) -> list[int]:
        """The children's process ids."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if self.lines[-1] == "ready":
                children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
                return [int(child) for child in children]
        raise AssertionError(f"never ready: {self.lines} {self.errors}")

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _wait(done: Any, what: str, deadline_s: float = 30) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, f"not within {deadline_s} s: {what}"
        time.sleep(0.1)


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated campaign."""
    folder = tmp_path_factory.mktemp("campaign")
    simulate(150, 5, folder, load())
    return folder


@pytest.fixture(scope="module")
def foquale(tmp_path_factory: pytest.TempPathFactory) -> Foquale:
    return Foquale(tmp_path_factory.mktemp("foquale") / "data")


@pytest.fixture(scope="module")
def up(foquale: Foquale) -> Iterator[Up]:
    with foquale.start_up() as running:
        running.wait_until_ready()
        yield running


def test_up_tells_where_everything_is(up: Up, foquale: Foquale) -> None:
    told = "\n".join(up.lines)
    for name in NAMES:
        assert f"127.0.0.1:{foquale.ports[name]}" in told
    for service in ("REFERRAL", "CATALOGUE", "TRACKING", "REPORTING"):
        assert foquale.get(service, "/ready")["status"] == "ok"
    assert (foquale.data_dir / "logs" / "referral.log").exists()


@pytest.mark.usefixtures("up")
def test_a_second_up_says_which_port_is_in_use(foquale: Foquale, tmp_path: Path) -> None:
    second = foquale.run("up", "--data-dir", str(tmp_path))
    assert second.returncode == 1
    assert str(foquale.ports["REFERRAL"]) in second.stderr
    assert "FOQUALE_REFERRAL_PORT" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.usefixtures("up")
def test_a_second_up_says_that_the_data_are_in_use(foquale: Foquale) -> None:
    second = Foquale(foquale.data_dir).run("up", "--data-dir", str(foquale.data_dir))
    assert second.returncode == 1
    assert "in use by another running instance" in second.stderr
    assert "--data-dir" in second.stderr


@pytest.mark.usefixtures("up")
def test_a_list_is_imported_and_its_rejected_rows_written(foquale: Foquale, campaign: Path, tmp_path: Path) -> None:
    expected = json.loads((campaign / "expected.json").read_text())["lists"]["2013-03"]
    file, errors = campaign / "siei-2013-03.csv", tmp_path / "errors.csv"
    done = foquale.run("import", str(file), "--errors", str(errors))
    told = dict(line.split()[::-1] if line.endswith("rows") else line.split() for line in done.stdout.splitlines()[:-1])
    assert told["rows"] == str(expected["rows"])
    for name in ("accepted", "matched", "disputed", "repeated"):
        assert told[name] == str(expected[name])
    assert {code: int(told[code]) for code in expected["rejected"]} == expected["rejected"]
    assert done.returncode == (2 if expected["rejected"] else 0)
    with errors.open(encoding="utf-8", newline="") as out:
        rows = list(csv.DictReader(out, delimiter=";"))
    assert len(rows) == sum(expected["rejected"].values())
    for row in rows:
        assert int(row["line"]) > 1
        assert row["code"] in expected["rejected"]
        assert row["message"]


@pytest.mark.usefixtures("up")
def test_a_clean_list_ends_with_0_and_a_wrong_header_with_1(foquale: Foquale, campaign: Path, tmp_path: Path) -> None:
    header, first, *_ = (campaign / "siei-2013-10.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "clean.csv").write_text(f"{header}\n{first}\n", encoding="utf-8")
    clean = foquale.run("import", str(tmp_path / "clean.csv"))
    assert clean.returncode == 0, clean.stderr
    (tmp_path / "wrong.csv").write_text("name;age\nZoé;17\n", encoding="utf-8")
    wrong = foquale.run("import", str(tmp_path / "wrong.csv"))
    assert wrong.returncode == 1
    assert "wrong.csv, line 1" in wrong.stderr
    assert "birth_date" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert wrong.stdout == ""


@pytest.mark.usefixtures("up")
def test_indicators_are_a_table_or_nothing_but_json(foquale: Foquale) -> None:
    table = foquale.run("indicators", "--by", "academie", "--from", "2013-01-01", "--to", "2013-12-31")
    assert table.returncode == 0, table.stderr
    assert all(name in table.stdout for name in ("Caen", "Rouen", "Versailles", "detected", "civic", "broken"))
    answer = json.loads(foquale.run("indicators", "--by", "national", "--view", "cohort", "--json").stdout)
    assert [row["code"] for row in answer["rows"]] == ["FR"]
    refused = foquale.run("indicators", "--from", "2013-02-30")
    assert refused.returncode == 1
    assert "from" in refused.stderr
    assert "2013-02-30" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.usefixtures("up")
def test_a_reader_that_has_enough_is_no_error(foquale: Foquale) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "indicators", "--by", "departement", "--json"],
        env=foquale.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=PATIENCE_S) == 1


@pytest.mark.usefixtures("up")
def test_init_may_run_on_what_is_there(foquale: Foquale) -> None:
    where = {
        "FOQUALE_MONGO_URL": f"mongodb://127.0.0.1:{foquale.ports['MONGO']}/?replicaSet=rs0",
        "FOQUALE_KAFKA_BOOTSTRAP": f"127.0.0.1:{foquale.ports['KAFKA']}",
        "FOQUALE_KAFKA_IDEMPOTENCE": "false",
    }
    fresh = {"FOQUALE_MONGO_PREFIX": "fresh_", "FOQUALE_TOPIC_PREFIX": "fresh."}
    for _ in range(2):
        done = foquale.run("init", **where, **fresh)
        assert done.returncode == 0, done.stderr
        assert "fresh.referral.events" in done.stdout
        assert "fresh_reporting" in done.stdout
    assert foquale.run("init", **where).returncode == 0


def test_everything_ends_together_and_comes_back_with_its_data(campaign: Path, tmp_path: Path) -> None:
    foquale = Foquale(tmp_path / "data")
    with foquale.start_up() as up:
        children = up.wait_until_ready()
        foquale.run("import", str(campaign / "siei-2013-03.csv"))
        accepted = json.loads((campaign / "expected.json").read_text())["lists"]["2013-03"]["accepted"]
        foquale.wait_for_detected(accepted)
        began = time.monotonic()
        assert up.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 20
        assert all(_gone(child) for child in children)
        assert not any(answers(port) for port in foquale.ports.values())
        assert up.errors == ""

    with foquale.start_up() as up:  # the broker has lost its log: the journals come again, and change nothing
        children = up.wait_until_ready()
        foquale.wait_for_detected(accepted)
        _wait(lambda: all(s["lag"] == 0 for s in foquale.get("REPORTING", "/v1/indicators")["sources"]), "no lag")
        assert foquale.detected() == accepted
        again = foquale.run("import", str(campaign / "siei-2013-03.csv"))
        assert "accepted          0" in again.stdout
        up.process.kill()
        up.process.wait()
        _wait(lambda: all(_gone(child) for child in children), "the children of a killed `up` end")

    with foquale.start_up() as up:
        children = up.wait_until_ready()
        tracking = next(pid for pid in children if b"services.tracking" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(tracking, signal.SIGKILL)
        assert up.process.wait(timeout=PATIENCE_S) == 1
        assert "tracking has ended" in up.errors
        assert "tracking.log" in up.errors
        assert "Traceback" not in up.errors
        assert all(_gone(child) for child in children)


def test_the_demo_plays_a_campaign_and_its_figures_are_right(campaign: Path, tmp_path: Path) -> None:
    foquale = Foquale(tmp_path / "demo")
    done = foquale.run("demo", "--data-dir", str(foquale.data_dir), "--campaign", str(campaign))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every figure is what the campaign adds up to." in done.stdout
    lines = done.stdout.splitlines()
    academies = [line for line in lines if line[:4].strip().isdigit() and int(line[:4]) < 40]
    assert len(academies) == 30
    assert any(line.split()[:2] == ["FR", "France"] for line in lines)
    assert "rows rejected" in done.stdout
    assert "disputes" in done.stdout
    assert f"http://127.0.0.1:{foquale.ports['REPORTING']}/v1/indicators?" in done.stdout
    assert not any(answers(port) for port in foquale.ports.values())


def test_the_demo_says_what_is_not_as_it_must_be(campaign: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for path in campaign.iterdir():
        (wrong / path.name).write_bytes(path.read_bytes())
    expected = json.loads((wrong / "expected.json").read_text())
    truth = expected["indicators"]["national"]["FR"]["activity"]["interviewed"]
    expected["indicators"]["national"]["FR"]["activity"]["interviewed"] += 1
    (wrong / "expected.json").write_text(json.dumps(expected))
    foquale = Foquale(tmp_path / "demo")
    done = foquale.run("demo", "--data-dir", str(foquale.data_dir), "--campaign", str(wrong), ONCE="1")
    assert done.returncode == 1
    assert f"national FR activity interviewed: {truth}, expected {truth + 1}" in done.stdout
    assert "1 figures differ" in done.stdout
