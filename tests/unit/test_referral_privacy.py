"""No record in which an under-16's birth date can be read is kept, wherever in it that is and however broken it is."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.referral.privacy import may_keep
from shared.envelope import Record

KEEP: Callable[[Record], bool] = may_keep(lambda: datetime(2013, 6, 1, tzinfo=UTC))
YOUNG = {"family_name": "SECRET", "birth_date": "2000-02-02", "campaign": "2013-03"}
OLD = {**YOUNG, "birth_date": "1996-02-02"}


def kept(value: bytes | None) -> bool:
    return KEEP(Record("siei.dropouts", 0, 0, b"k", value, []))


WRAPPINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "plain": lambda row: json.dumps(row).encode(),
    "spaced": lambda row: json.dumps(row, indent=4).encode(),
    "structured": lambda row: json.dumps({"id": "x", "data": row}).encode(),
    "a list": lambda row: json.dumps([1, row]).encode(),
    "deeper": lambda row: json.dumps({"data": {"rows": [{"row": row}]}}).encode(),
    "a text": lambda row: json.dumps({"data": json.dumps(row)}).encode(),
    "a text in a text": lambda row: json.dumps({"data": json.dumps({"data": json.dumps(row)})}).encode(),
    "base64": lambda row: json.dumps({"data_base64": b64encode(json.dumps(row).encode()).decode()}).encode(),
    "UTF-16": lambda row: json.dumps(row).encode("utf-16"),
    "broken after": lambda row: json.dumps(row).encode()[:-1] + b', "x": oops',
    "broken text": lambda row: json.dumps({"data": json.dumps(row)}).encode()[:-2],
    "no UTF-8": lambda row: json.dumps(row).encode()[:-1] + b', "x": "\xff"}',
    "without campaign": lambda row: json.dumps({"birth_date": row["birth_date"]}).encode(),
    "escaped": lambda row: json.dumps(row).replace("birth_date", "birth\\u005fdate").encode(),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_an_under_16_is_not_kept_and_one_who_is_older_is(wrapping: str) -> None:
    wrap = WRAPPINGS[wrapping]
    assert not kept(wrap(YOUNG))
    assert kept(wrap(OLD))


def test_one_under_16_among_others_is_enough() -> None:
    assert not kept(json.dumps([OLD, OLD, YOUNG]).encode())


def test_the_day_of_the_list_decides_and_today_where_it_cannot_be_read() -> None:
    turns_16 = {"birth_date": "1997-04-15"}
    assert not kept(json.dumps({**turns_16, "campaign": "2013-03"}).encode())
    assert kept(json.dumps({**turns_16, "campaign": "2013-10"}).encode())
    assert kept(json.dumps({**turns_16, "campaign": "?"}).encode())


def test_what_cannot_be_read_at_all_is_kept() -> None:
    for value in (None, b"", b"\xff\xfe", b"{", b'{"birth_date": 3}', b'{"data_base64": "?"}', b"[" * 100_000):
        assert kept(value), value


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_whatever_stands_before_and_after_it(before: bytes, after: bytes) -> None:
    assert not kept(before + json.dumps(YOUNG).encode() + after)
