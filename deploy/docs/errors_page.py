"""`docs/errors.md`: every stable code, where it comes from, what it means and what mends it."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from deploy.docs.code_register import GROUPS, Code
from deploy.docs.codes import Use, codes_used

_HEAD: Final = """\
<!-- Made from the code by `make docs`; do not edit. The texts are in deploy/docs/code_register.py. -->
# Codes of what is refused

Every refusal has a stable code for machines, and a text for people that names the field or line and what mends it.

- Over HTTP it is a problem (RFC 9457, `application/problem+json`): `status`, `code`, `detail`; with `errors` where
  fields are wrong, each with `field`, `code` and `message`. Codes in `errors` that are not listed here are those of the
  validation itself, such as `missing` or `extra_forbidden` (an unknown field).
- A row of a list is rejected with a line, a field, a code and a message; see `GET /v1/siei/imports/{id}/errors`.
- An event that cannot be read or applied becomes a dead letter with a code; see `GET /v1/dead-letters`. It can be
  replayed once the cause is mended.
"""
_AS: Final = {
    "reject": "row",
    "Rejected": "row",
    "warning": "warning",
    "Undecodable": "dead letter",
    "Unapplicable": "dead letter",
    "Refused": "dead letter",
}


def errors_page(root: Path) -> str:
    """The page."""
    uses = codes_used(root)
    sections = [_section(title, codes, uses) for title, codes in GROUPS]
    return "\n".join([_HEAD, *sections])


def _section(title: str, codes: Iterable[Code], uses: Iterable[Use]) -> str:
    lines = ["| code | as | what it means | what mends it |", "| --- | --- | --- | --- |"]
    for code in codes:
        comes_as = _as(use for use in uses if matches(use, code.code))
        lines.append(f"| `{code.code}` | {comes_as} | {code.meaning} | {code.remedy} |")
    return "\n".join([f"## {title}", "", *lines, ""])


def _as(uses: Iterable[Use]) -> str:
    """HTTP statuses and other ways in which the code comes."""
    kinds = {str(use.status) if use.status else _AS.get(use.carrier, "") for use in uses}
    return ", ".join(sorted(kind for kind in kinds if kind)) or "any other status"


def matches(use: Use, code: str) -> bool:
    """Whether a use in the sources may be that of the code: it may be a pattern, where part of it is filled in."""
    return fnmatch(code, use.code)


def undocumented(root: Path) -> list[Use]:
    """The codes of the sources that the register does not have."""
    known = [code.code for _, codes in GROUPS for code in codes]
    return [use for use in codes_used(root) if not any(matches(use, code) for code in known)]


def unused(root: Path) -> list[str]:
    """The codes of the register that the sources do not have."""
    uses = codes_used(root)
    return [code.code for _, codes in GROUPS for code in codes if not any(matches(use, code.code) for use in uses)]
