"""The state of quality in the terminal."""

import io
from typing import Any

from rich.console import Console

from deploy.cli.quality import show

SOURCE: dict[str, Any] = {
    "source": "SCOLARITE",
    "last_on": "2013-04-08",
    "last_campaign": "2013-03",
    "silence_days": 46,
    "silent": True,
    "rows": 12_345,
    "accepted": 12_000,
    "matched": 40,
    "disputed": 5,
    "repeated": 0,
    "rejected_total": 300,
    "rejected_share": 0.0243,
    "false_positive_rate": None,
}
NEVER = {**SOURCE, "source": "AGRICULTURE", "silence_days": None, "last_campaign": None, "silent": False, "rows": None}
NOBODY: dict[str, Any] = {"settled": 0, "open": 0, "oldest_open_on": None, "oldest_open_days": None}
STATE: dict[str, Any] = {
    "as_of": "2013-05-24T12:00:00Z",
    "from": "2013-03-01",
    "to": None,
    "topics": [{"topic": "referral.events", "last_event_time": None, "lag": 0}],
    "sources": [SOURCE, NEVER],
    "rejected": {"under_16": None, "over_25": 300},
    "warnings": {"bad_ine": 12},
    "disputes": {"opened": 5, "settled": 4, "open": 1, "oldest_open_on": "2013-05-23", "oldest_open_days": 1},
    "dead_letters": [],
}


def shown(state: dict[str, Any]) -> str:
    out = io.StringIO()
    show(Console(file=out, width=150), state)
    return out.getvalue()


def line(text: str, word: str) -> list[str]:
    return next(each for each in text.splitlines() if word in each).split()


def test_each_source_has_a_line_with_its_silence_and_what_became_of_its_rows() -> None:
    text = shown(STATE)
    assert line(text, "SCOLARITE") == [
        *("SCOLARITE", "46", "days", "ago,", "SILENT", "2013-03"),
        *("12,345", "12,000", "40", "5", "0", "300", "2.4%", "·"),
    ]
    assert line(text, "AGRICULTURE")[1:4] == ["never", "·", "·"]


def test_reasons_disputes_and_dead_letters_are_there_and_what_is_hidden_is_a_dot() -> None:
    text = shown(STATE)
    assert line(text, "under_16") == ["rejected", "under_16", "·"]
    assert line(text, "bad_ine") == ["warning", "bad_ine", "12"]
    assert "disputes: 5 opened, 4 settled, 1 open, the oldest for 1 day" in text
    assert line(text, "none") == ["none"]
    letter = {"service": "tracking", "code": "bad_json", "kept": 3, **NOBODY, "settled": 3}
    assert line(shown({**STATE, "dead_letters": [letter]}), "tracking") == ["tracking", "bad_json", "3", "3", "0", "·"]
