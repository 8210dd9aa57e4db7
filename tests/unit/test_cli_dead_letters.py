"""The commands about dead letters by themselves: mistakes are sentences, and the table shows each whole."""

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.answers import JsonObject
from deploy.cli.app import app
from deploy.cli.dead_letters import table
from deploy.local import free_port

LETTER: JsonObject = {
    "service": "referral",
    "dead_letter_id": "siei.dropouts.11.1234567.0123456789abcdef",
    "topic": "siei.dropouts",
    "code": "not_applicable",
    "message": "the handler failed (BulkWriteError); replay once the cause is mended",
    "kept_at": "2013-04-02T09:00:00.123000+00:00",
    "next_try_at": "2013-04-02T09:01:00.123000+00:00",
    "replays": 3,
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A terminal of 200 columns where nothing of FOQUALE runs."""
    monkeypatch.setenv("COLUMNS", "200")
    for service in ("REFERRAL", "CATALOGUE", "TRACKING", "REPORTING"):
        monkeypatch.delenv(f"FOQUALE_{service}_URL", raising=False)
        monkeypatch.setenv(f"FOQUALE_{service}_PORT", str(free_port()))
    return CliRunner()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dead-letters", "nonsense"], "there is no service nonsense; they are referral, catalogue"),
        (["dead-letters", "--state", "odd"], "it is one of waiting, replayed, all"),
        (["dead-letters"], "referral does not answer"),
        (["dead-letters", "tracking"], "tracking does not answer"),
        (["replay", "tracking"], "say which"),
        (["replay", "tracking", "x", "--all"], "say which"),
        (["replay", "tracking", "--code", "x", "--all"], "say which"),
        (["replay", "nonsense", "--all"], "there is no service nonsense"),
        (["replay", "tracking", "--all"], "tracking does not answer"),
    ],
)
def test_a_mistake_is_a_sentence(run: CliRunner, arguments: list[str], words: str) -> None:
    result = run.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("foquale: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["dead-letters", "replay"])
def test_they_explain_themselves(run: CliRunner, command: str) -> None:
    result = run.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout


@pytest.mark.parametrize("width", [100, 140, 250])
def test_a_line_shows_who_keeps_it_why_since_when_and_its_identifier_whole(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(table([LETTER, {**LETTER, "next_try_at": None, "code": "bad_json"}]))
    first, second = [line for line in out.getvalue().splitlines() if LETTER["dead_letter_id"] in line]
    assert first.startswith("referral")
    assert "–" in second
    assert LETTER["message"] in out.getvalue() or width < 250


def test_a_letter_shows_when_it_was_kept_and_when_it_is_tried_again() -> None:
    out = io.StringIO()
    Console(file=out, width=250).print(table([LETTER]))
    line = out.getvalue().splitlines()[-1]
    for shown in ("not_applicable", "2013-04-02 09:00:00", " 3 ", "2013-04-02 09:01:00", "siei.dropouts"):
        assert shown in line
