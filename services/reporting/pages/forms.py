"""Forms of the pages: refused when they come from another site, and done once however often they are sent.

There is no sign-in yet, so nothing but this keeps the page of another site from sending a form in a reader's name.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.commands import Command, Work
from shared.problems import Problem

ONCE: Final = "once"
"""A hidden field with something random: the same form sent twice is one command, a form filled in anew is another."""

_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 256 * 1024
_MOST_FIELDS: Final = 100

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent: `values` by field name, without the hidden `once`; `key` is the same for the same form."""

    values: Mapping[str, str]
    key: str | None
    fingerprint: str

    async def do(self, request: Request, work: Work, *, alone: bool = False) -> dict[str, Any]:
        """Do `work` in a transaction, once; Problem where it is refused. `alone`: nobody else waits for it."""
        command = Command(request.app.state.commands, self.key, self.fingerprint)
        done: dict[str, Any] = json.loads(bytes((await command(work, alone=alone)).body))
        return done


async def read(request: Request) -> Form:
    """The form that was sent; Problem 403 from another site, 413, 415 or 400 where it is none of ours."""
    refuse_other_sites(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Problem(415, "not_a_form", f"send the form as {_TYPE}; programs use the interface under /v1")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem(413, "form_too_large", f"a form holds at most {_MOST_BYTES} bytes; shorten the texts")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem(
            400, "form_unreadable", "the form cannot be read; open its page again and send it from there"
        ) from None
    values = {name: value.replace("\r\n", "\n").strip() for name, value in pairs}
    once = values.pop(ONCE, "")
    fingerprint = sha256(request.url.path.encode() + b"\n" + body).hexdigest()
    return Form(values, f"form-{fingerprint}" if once else None, fingerprint)


def refuse_other_sites(request: Request) -> None:
    """Problem 403 unless the browser says that the form is of this site: every browser names it with a form."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is None:
        ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    else:
        ours = site == "same-origin"
    if not ours:
        raise Problem(
            403,
            "form_of_another_site",
            "this form was not sent from its page; open the page and send it from there (programs use /v1)",
        )


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The form's fields as the model has them; Problem 422 with the fields that are wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = [
            {
                "in": "body",
                "field": ".".join(str(part) for part in item["loc"]),
                "code": item["type"],
                "message": item["msg"],
            }
            for item in error.errors(include_url=False)
        ]
        fields = ", ".join(sorted({str(item["field"]) for item in errors}))
        raise Problem(422, "invalid_request", f"mend these fields and send again: {fields}", errors=errors) from None


@dataclass(frozen=True, slots=True)
class Wrong:
    """What keeps a form from being done, in the reader's language."""

    refusal: str = ""
    errors: tuple[Mapping[str, str], ...] = ()
    """{id, label, message} of each field that is wrong, in the order of the form."""

    @property
    def of(self) -> Mapping[str, str]:
        """The message by the element's id; empty where it is right."""
        return defaultdict(str, {error["id"]: error["message"] for error in self.errors})


def wrong(problem: Problem, texts: Any, labels: Mapping[str, tuple[str, str]]) -> Wrong:
    """What `problem` says of a form whose fields are `labels`: name -> (element's id, label)."""
    found = {str(error["field"]): error for error in problem.more.get("errors", ())}
    errors = [
        {"id": id_, "label": label, "message": getattr(texts.fields, found[name]["code"], texts.fields.other)}
        for name, (id_, label) in labels.items()
        if name in found
    ]
    if errors and problem.code == "invalid_request":
        return Wrong(errors=tuple(errors))
    return Wrong(refused(problem, texts), tuple(errors))


def refused(problem: Problem, texts: Any) -> str:
    """Why, in the reader's language where the code is one that forms know."""
    return str(getattr(texts.refusals, problem.code, problem.detail))
