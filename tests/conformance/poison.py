"""Records that hold no event that anybody could apply, and such as only look so: what must become of each."""

import json
from dataclasses import dataclass

from shared.envelope import to_headers
from tests.support.counting import contact
from tests.support.probe import Raw

Headers = list[tuple[str, bytes | None]]

_MEGABYTE = 1_000_000
_STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]


@dataclass(frozen=True, slots=True)
class Poison:
    """A record, and the code of the dead letter that it must become: None for none at all."""

    what: str
    record: Raw
    code: str | None
    effect: str | None = None
    """Identifier of the event that it holds after all."""


def _event(event_id: str) -> tuple[dict[str, object], Headers]:
    """A good event: its data and its headers."""
    event = contact(event_id)
    return json.loads(event.data), [(name, text.encode()) for name, text in to_headers(event).items()]


def _without(headers: Headers, *names: str) -> Headers:
    return [header for header in headers if header[0] not in names]


def _with(headers: Headers, name: str, content: bytes | None) -> Headers:
    return [*_without(headers, name), (name, content)]


def _body(data: dict[str, object], **changes: object) -> bytes:
    return json.dumps({**data, **changes}).encode()


def _structured(event_id: str, **changes: object) -> bytes:
    data, _headers = _event(event_id)
    body = {
        "specversion": "1.0",
        "id": event_id,
        "type": "fr.foquale.referral.contact-attempted.v1",
        "source": "/foquale/referral",
        "subject": f"y-{event_id}",
        "time": "2013-04-02T09:00:00Z",
        "data": data,
        **changes,
    }
    return json.dumps({name: content for name, content in body.items() if content is not None}).encode()


def bodies() -> list[Poison]:
    """In binary mode, with good headers."""
    data, headers = _event("bad")
    whole = json.dumps(data).encode()

    def bad(what: str, value: bytes | None, code: str) -> Poison:
        return Poison(what, (b"k", value, headers), code)

    return [
        bad("no JSON", b"{not json", "bad_json"),
        bad("half of the JSON", whole[:-7], "bad_json"),
        bad("two events in one", whole + whole, "bad_json"),
        bad("no UTF-8", b"\xff\xfe\xff", "bad_json"),
        bad("a name that is no UTF-8", whole.replace(b"y-bad", b"y-\xff\xfe"), "bad_json"),
        bad("no value", None, "empty"),
        bad("an empty value", b"", "bad_json"),
        bad("an array", b"[1]", "invalid_data"),
        bad("a number", b"3", "invalid_data"),
        bad("null", b"null", "invalid_data"),
        bad("a field of the wrong type", _body(data, youth_id=3), "invalid_data"),
        bad("a value that is on no list", _body(data, channel="pigeon"), "invalid_data"),
        bad("a day that does not exist", _body(data, on="2013-02-30"), "invalid_data"),
        bad("a field missing", _body({**data, "youth_id": None}), "invalid_data"),
        bad("a megabyte of noise", b"\x00\xff" * (_MEGABYTE // 2), "bad_json"),
        bad("arrays in arrays", b"[" * 100_000, "bad_json"),
        bad("a field as deep as the sea", whole[:-1] + b', "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "bad_json"),
    ]


def headers_and_envelopes() -> list[Poison]:
    """With good data."""
    data, headers = _event("bad")
    whole = json.dumps(data).encode()

    def bad(what: str, changed: Headers, code: str) -> Poison:
        return Poison(what, (b"k", whole, changed), code)

    def structured(what: str, value: bytes, code: str) -> Poison:
        return Poison(what, (b"k", value, _STRUCTURED), code)

    return [
        *[bad(f"no {name}", _without(headers, f"ce_{name}"), "missing_attribute") for name in ("id", "type", "source")],
        bad("no specversion", _without(headers, "ce_specversion"), "missing_attribute"),
        bad("an id without content", _with(headers, "ce_id", None), "missing_attribute"),
        bad("an empty type", _with(headers, "ce_type", b""), "missing_attribute"),
        bad("a specversion of tomorrow", _with(headers, "ce_specversion", b"2.0"), "unknown_specversion"),
        bad("a time that is none", _with(headers, "ce_time", b"yesterday"), "bad_time"),
        bad("a source that is no UTF-8", _with(headers, "ce_source", b"\xff"), "bad_header"),
        bad("no headers at all, so taken for structured", [], "no_data"),
        structured("structured, no data", _structured("bad", data=None), "no_data"),
        structured("structured, no id", _structured("bad", id=None), "missing_attribute"),
        structured("structured, a number for an id", _structured("bad", id=3), "missing_attribute"),
        structured("structured, a number for a time", _structured("bad", time=3), "bad_time"),
        structured("structured, data of the wrong type", _structured("bad", data="text"), "invalid_data"),
        structured("structured, no object", b'["event"]', "bad_json"),
        structured("structured, too deep", b'{"data": ' + b"[" * 100_000, "bad_json"),
        # A string that JSON can write and UTF-8 cannot: the store refuses it only when the event is applied.
        structured("structured, half a character", _structured("bad", id="\ud800"), "missing_attribute"),
    ]


def harmless() -> list[Poison]:
    """What only looks like poison, and what is not ours: none becomes a dead letter."""
    data, headers = _event("none")
    whole = json.dumps(data).encode()

    def ignored(what: str, event_type: bytes) -> Poison:
        return Poison(what, (b"k", whole, _with(headers, "ce_type", event_type)), None)

    def good(what: str, event_id: str, **changes: object) -> Poison:
        its_data, its_headers = _event(event_id)
        return Poison(what, (b"k", _body(its_data, **changes), its_headers), None, event_id)

    foreign = _event("foreign-headers")
    no_subject = _event("no-subject")
    return [
        ignored("a type that nobody knows", b"fr.foquale.future.thing-happened.v1"),
        ignored("a version that nobody knows", b"fr.foquale.referral.contact-attempted.v9"),
        good("a megabyte in a field that nobody knows", "huge", unknown="x" * _MEGABYTE),
        good("a field that nobody knows", "unknown-field", unknown={"a": [None, 1.5]}),
        Poison(
            "foreign headers with anything in them",
            (b"k", json.dumps(foreign[0]).encode(), [*foreign[1], ("x-noise", b"\xff\x00"), ("x-none", None)]),
            None,
            "foreign-headers",
        ),
        Poison(
            "neither key nor subject nor time",
            (None, json.dumps(no_subject[0]).encode(), _without(no_subject[1], "ce_subject", "ce_time")),
            None,
            "no-subject",
        ),
        Poison("structured, good", (b"k", _structured("structured"), _STRUCTURED), None, "structured"),
        Poison("structured, good, unlabelled", (b"k", _structured("unlabelled"), []), None, "unlabelled"),
        Poison("structured, of a type that nobody knows", (b"k", _structured("x", type="other.v1"), _STRUCTURED), None),
    ]
