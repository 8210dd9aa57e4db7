"""What a text may be: not too long, of letters that can be printed, and without a trace of who a youth is. Pure.

Everybody reads the texts once a bilan is frozen: whatever looks like an INE, a phone number or an e-mail is refused.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_APART: Final = r"[ .\-\u00a0\u202f/]?"


class Look(NamedTuple):
    """What identity looks like."""

    code: str
    pattern: re.Pattern[str]


_LOOKS: Final[tuple[Look, ...]] = (
    Look("looks_like_email", re.compile(r"[^\s@<>()\[\],;:]+\s?@\s?[^\s@<>()\[\],;:]+\.[A-Za-z]{2,}")),
    # Ten digits and a letter, dddd A ddddd L, nine digits and two letters (`shared.identifiers.ine_form`): in whatever
    # case, with or without blanks, and whether or not its key is right.
    Look(
        "looks_like_ine",
        re.compile(
            r"(?<![0-9A-Za-z])(?:\d{10} ?[A-Za-z]|\d{4} ?[A-Za-z] ?\d{5} ?[A-Za-z]|\d{9} ?[A-Za-z]{2})(?![0-9A-Za-z])"
        ),
    ),
    Look(
        "looks_like_phone",
        re.compile(
            rf"(?<![\d.,])(?:(?:\+|00){_APART}\d{{2,3}}{_APART}(?:\(0\){_APART})?|0)"
            rf"[1-9](?:{_APART}\d{{2}}){{4}}(?!\d)"
        ),
    ),
)


MOST_CHARACTERS: Final = 4_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with plain line ends and without blanks around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def faults(fields: Mapping[str, str], *, most: int = MOST_CHARACTERS) -> Iterator[dict[str, Any]]:
    """What is wrong with these fields, as `errors` of a problem: field, place, remedy; no text is repeated."""
    for name, text in fields.items():
        if len(text) > most:
            yield _fault(name, "string_too_long", most, len(text), f"at most {most} characters; it has {len(text)}")
        for found in _CONTROL.finditer(text):
            yield _fault(name, "control_character", found.start(), found.end(), "a character that cannot be printed")
        for code, pattern in _LOOKS:
            for found in pattern.finditer(text):
                place = f"characters {found.start() + 1} to {found.end()}"
                yield _fault(name, code, found.start(), found.end(), f"{place}: take it out, the text is read by many")


def _fault(name: str, code: str, first: int, end: int, message: str) -> dict[str, Any]:
    return {"in": "body", "field": name, "code": code, "message": message, "from": first, "to": end}
