"""The stable codes that the sources give to what they refuse: found by reading the calls that carry one."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from deploy.docs.sources import source_files, tree_of
from services.referral import eligibility

FOLDERS: Final = ("shared", "services")


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A code in one place. `carrier`: what carries it there; `status`: the HTTP status, where it is told."""

    code: str
    file: str
    carrier: str
    status: int | None = None


# What carries a code, and which of its positional arguments that is.
_AT: Final[Mapping[str, int]] = {
    "Problem": 1,
    "Undecodable": 0,
    "Unapplicable": 0,
    "NotYet": 0,
    "Refused": 1,
    "Failure": 1,
    "Fault": 1,
    "Look": 0,
    "_fault": 1,
    "NotAllowed": 0,
    "Rejected": 0,
    "PydanticCustomError": 0,
    "reject": 0,
}
_IN_TRACKING: Final[Mapping[str, int]] = {"Refused": 0, "_broken": 1}  # its `Refused` is a state's, no dead letter's
_TRACKING: Final = "services/tracking/"
_CONSUMER: Final = "shared/consumer.py"
_ELIGIBILITY: Final = "services/referral/eligibility.py"
_STATUS: Final[Mapping[str, int]] = {
    "NotYet": 503,
    "Failure": 422,
    "Fault": 422,
    "PydanticCustomError": 422,
    "Look": 422,
    "_fault": 422,
    "NotAllowed": 409,
}


def codes_used(root: Path) -> list[Use]:
    """All codes of the sources. A code that a call takes from a variable is found where that variable is made."""
    found = {
        Use(code, file, carrier, status)
        for folder in FOLDERS
        for path in source_files(root, folder)
        for file in [str(path.relative_to(root))]
        for node in ast.walk(tree_of(path))
        for carrier, code, status in _carried(file, node)
    }
    listed = {
        *(Use(code, _ELIGIBILITY, "reject") for code in get_args(eligibility.Code)),
        *(Use(code, _ELIGIBILITY, "warning") for code in get_args(eligibility.Warned)),
    }
    return sorted(found | listed, key=lambda use: (use.code, use.file, use.carrier, use.status or 0))


Carried = Iterator[tuple[str, str, int | None]]
"""What carries the code, the code, and the HTTP status where it is told."""


def _carried(file: str, node: ast.AST) -> Carried:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        yield from _in_call(file, node.func.id, node)
    elif isinstance(node, ast.Dict):
        yield from _in_dictionary(node)
    elif isinstance(node, ast.Return) and file == _CONSUMER and isinstance(node.value, ast.Tuple):
        # (code, message) of why an event cannot be applied
        for code in _texts(node.value.elts[0]):
            yield "Unapplicable", code, None


def _in_call(file: str, name: str, call: ast.Call) -> Carried:
    place = _AT.get(name)
    tracking = file.startswith(_TRACKING)
    if tracking and name in _IN_TRACKING:
        place = _IN_TRACKING[name]
    if place is None or len(call.args) <= place:
        return
    status = _STATUS.get(name)
    if name == "Problem" and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, int):
        status = call.args[0].value
    if tracking and name in _IN_TRACKING:
        status, name = (409, "Problem") if name == "Refused" else (422, "Failure")
    for code in _texts(call.args[place]):
        yield name, code, status


def _in_dictionary(node: ast.Dict) -> Carried:
    """`{"code": "..."}`, an entry of `errors`; and status -> code."""
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            if key.value == "code":
                yield "Failure", value.value, 422
            elif isinstance(key.value, int):
                yield "Problem", value.value, key.value


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may give; `*` stands for what a formatted text fills in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        for default in node.args[1:]:
            yield from _texts(default)
