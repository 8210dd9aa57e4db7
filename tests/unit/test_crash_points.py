"""A point ends the process exactly when it was told to, and else does nothing."""

import signal
import subprocess
import sys

import pytest

from shared.crash_points import Point, crash_at, pass_by

PROGRAM = """
from shared.crash_points import Point, crash_at
reach = crash_at({setting!r})
for number in range(3):
    reach(Point.RELAY_READ)
    print(f"read {{number}}", flush=True)
    reach(Point.RELAY_PUBLISHED)
    print(f"published {{number}}", flush=True)
"""


@pytest.mark.parametrize(
    ("setting", "lines"),
    [
        ("relay.published", ["read 0"]),
        ("relay.read:3", ["read 0", "published 0", "read 1", "published 1"]),
    ],
)
def test_the_process_is_killed_at_the_point_and_not_before(setting: str, lines: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setting=setting)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines() == lines


def test_without_a_setting_nothing_happens_at_any_point() -> None:
    assert crash_at("") is pass_by
    for point in Point:
        crash_at("")(point)


@pytest.mark.parametrize("setting", ["relay", "relay.published:0", "relay.published:x"])
def test_a_setting_that_names_no_point_is_refused_with_those_there_are(setting: str) -> None:
    with pytest.raises(ValueError, match="FOQUALE_CRASH_AT"):
        crash_at(setting)
