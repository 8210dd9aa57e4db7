"""The command line by itself: every mistake ends in a sentence and an exit code, never in a traceback."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.cli.failures import Commands
from deploy.local import free_port

COMMANDS = ("up", "demo", "import", "simulate", "indicators", "init")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A terminal of 200 columns where nothing of FOQUALE runs."""
    monkeypatch.setenv("COLUMNS", "200")
    for service in ("REFERRAL", "CATALOGUE", "TRACKING", "REPORTING"):
        monkeypatch.delenv(f"FOQUALE_{service}_URL", raising=False)
        monkeypatch.setenv(f"FOQUALE_{service}_PORT", str(free_port()))
    return CliRunner()


def test_the_version_is_shown(run: CliRunner) -> None:
    result = run.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("foquale 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: CliRunner, command: str) -> None:
    result = run.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert command == "init" or "Example" in result.stdout


def test_an_import_needs_a_file_that_is_there(run: CliRunner, tmp_path: Path) -> None:
    for file, words in ((tmp_path / "no.csv", "there is no file"), (tmp_path, "is a directory")):
        result = run.invoke(app, ["import", str(file)])
        assert result.exit_code == 1
        assert result.stderr.startswith("foquale: ")
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_an_import_says_where_errors_cannot_be_written_before_it_sends(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("a\n")
    result = run.invoke(app, ["import", str(tmp_path / "list.csv"), "--errors", str(tmp_path / "no" / "e.csv")])
    assert result.exit_code == 1
    assert "there is no directory" in result.stderr


@pytest.mark.parametrize(("command", "service"), [("import", "referral"), ("indicators", "reporting")])
def test_a_service_that_does_not_answer_is_named_with_the_remedy(
    run: CliRunner, tmp_path: Path, command: str, service: str
) -> None:
    (tmp_path / "list.csv").write_text("campaign;source\n")
    arguments = [command, str(tmp_path / "list.csv")] if command == "import" else [command]
    result = run.invoke(app, arguments)
    assert result.exit_code == 1
    assert f"{service} does not answer at http://127.0.0.1:" in result.stderr
    assert "foquale up" in result.stderr
    assert f"FOQUALE_{service.upper()}_URL" in result.stderr
    assert result.stdout == ""


def test_an_address_on_the_command_line_comes_first(run: CliRunner) -> None:
    port = free_port()
    result = run.invoke(app, ["indicators", "--reporting", f"http://127.0.0.1:{port}"])
    assert f"http://127.0.0.1:{port}" in result.stderr
    nonsense = run.invoke(app, ["indicators", "--reporting", "no such thing"])
    assert nonsense.exit_code == 1
    assert "Traceback" not in nonsense.stderr


def test_a_wrong_option_is_refused_with_code_2(run: CliRunner, tmp_path: Path) -> None:
    for arguments in (["simulate", "--youths", "-1", "--out", str(tmp_path)], ["nonsense"], ["import"]):
        result = run.invoke(app, arguments)
        assert result.exit_code == 2, arguments
        assert "Traceback" not in result.stderr


def test_a_simulation_says_what_it_wrote(run: CliRunner, tmp_path: Path) -> None:
    result = run.invoke(app, ["simulate", "--youths", "20", "--seed", "3", "--out", str(tmp_path / "made")])
    assert result.exit_code == 0, result.stderr
    assert "rows in two lists" in result.stdout
    assert (tmp_path / "made" / "work.jsonl").exists()


def test_a_simulation_cannot_be_written_everywhere(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run.invoke(app, ["simulate", "--youths", "2", "--out", str(tmp_path / "file" / "below")])
    assert result.exit_code == 1
    assert "not a directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_demo_needs_a_whole_campaign(run: CliRunner, tmp_path: Path) -> None:
    result = run.invoke(app, ["demo", "--campaign", str(tmp_path), "--data-dir", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "has no expected.json" in result.stderr


def test_a_demo_wipes_nothing_that_is_not_its_own(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    result = run.invoke(app, ["demo", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "would be wiped" in result.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_address_that_is_none_is_a_sentence_too(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("campaign;source\n")
    monkeypatch.setenv("FOQUALE_REFERRAL_URL", "http://[::1")
    result = run.invoke(app, ["import", str(tmp_path / "list.csv")])
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("foquale: ")


def test_an_error_of_ours_is_a_sentence_without_the_data_it_quotes(run: CliRunner) -> None:
    broken = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @broken.command()
    def one() -> None:
        raise KeyError("Zoé Dupont")

    @broken.command()
    def another() -> None:
        raise KeyboardInterrupt

    result = run.invoke(broken, ["one"])
    assert result.exit_code == 1
    assert "an error of ours (KeyError" in result.stderr
    assert "Zoé" not in result.stderr
    assert run.invoke(broken, ["another"]).exit_code == 130
