"""What may be kept of a record that cannot be read: nothing of an under-16, as the CNIL demands."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from services.referral.eligibility import is_under_16
from shared.clock import Clock
from shared.envelope import Record

_BIRTH_DATE = re.compile(rb'"birth_date"\s*:\s*"\s*(\d{4}-\d{2}-\d{2})\s*"')
_CAMPAIGN = re.compile(rb'"campaign"\s*:\s*"\s*(\d{4}-\d{2})\s*"')


def may_keep(clock: Clock) -> Callable[[Record], bool]:
    """Whether a record may be stored as a dead letter: not when a birth date of an under-16 can be read in it."""

    def judge(record: Record) -> bool:
        return not any(is_under_16(values, clock().date()) for values in _readable(record.value or b""))

    return judge


def _readable(value: bytes) -> list[Mapping[str, Any]]:
    """The fields that can be read, however broken the rest is."""
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        campaign = _CAMPAIGN.search(value)
        return [
            {"birth_date": birth.decode(), "campaign": campaign[1].decode() if campaign else ""}
            for birth in _BIRTH_DATE.findall(value)
        ]
    found = (
        [body]
        if isinstance(body, dict)
        else [item for item in body if isinstance(item, dict)]
        if isinstance(body, list)
        else []
    )
    return [*found, *(item["data"] for item in found if isinstance(item.get("data"), dict))]
