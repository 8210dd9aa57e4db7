"""What may be kept of a record that cannot be read: nothing of an under-16, as the CNIL demands."""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from services.referral.eligibility import is_under_16
from shared.clock import Clock
from shared.envelope import Record

# In a text within a text, a quotation mark has backslashes before it.
_BIRTH_DATE: Final = re.compile(rb'"birth_date\\*"\s*:\s*\\*"\s*(\d{4}-\d{2}-\d{2})\s*\\*"')
_CAMPAIGN: Final = re.compile(rb'"campaign\\*"\s*:\s*\\*"\s*(\d{4}-\d{2})\s*\\*"')
_DEEPEST: Final = 32


def may_keep(clock: Clock) -> Callable[[Record], bool]:
    """Whether a record may be stored as a dead letter: not when a birth date of an under-16 can be read in it."""

    def judge(record: Record) -> bool:
        return not any(is_under_16(values, clock().date()) for values in _readable(record.value or b""))

    return judge


def _readable(value: bytes) -> Iterator[Mapping[str, Any]]:
    """The fields that can be read, wherever they are and however broken the rest is."""
    campaign = _CAMPAIGN.search(value)
    for birth in _BIRTH_DATE.findall(value):
        yield {"birth_date": birth.decode(), "campaign": campaign[1].decode() if campaign else ""}
    try:
        yield from _within(json.loads(value), _DEEPEST)
    except (ValueError, RecursionError):
        return


def _within(body: Any, deepest: int) -> Iterator[Mapping[str, Any]]:
    """All JSON objects in `body`, those in texts of JSON and in `data_base64` (CloudEvents) too."""
    if not deepest:
        return
    if isinstance(body, dict):
        yield body
        packed = body.get("data_base64")
        if isinstance(packed, str):
            with suppress(ValueError):
                yield from _readable(b64decode(packed))
        for item in body.values():
            yield from _within(item, deepest - 1)
    elif isinstance(body, list):
        for item in body:
            yield from _within(item, deepest - 1)
    elif isinstance(body, str) and "birth_date" in body:
        yield from _readable(body.encode("utf-8", "replace"))
