"""Forms of the pages: whose they are, that they are read as they were sent, and what is said of what is wrong."""

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from fastapi import Request
from pydantic import Field

from services.reporting.bilans.api import TextInput
from services.reporting.pages import forms
from services.reporting.pages.forms import Form
from services.reporting.pages.site import Asked, texts
from services.reporting.pages.sorting import head, ordered
from shared.http import Input
from shared.problems import Problem

URLENCODED = "application/x-www-form-urlencoded"


class Count(Input):
    number: int = Field(ge=0, strict=True)
    by: str = Field(min_length=1)


def request(body: bytes, headers: Mapping[str, str], path: str = "/objectifs") -> Request:
    sent = {"host": "foquale.example", "content-type": URLENCODED, **headers}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(
        {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "server": ("foquale.example", 80),
            "scheme": "http",
        },
        receive,
    )


async def read(body: bytes | Mapping[str, str], **headers: str) -> Form:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or {"sec-fetch-site": "same-origin"}
    return await forms.read(request(body if isinstance(body, bytes) else urlencode(body).encode(), sent))


async def test_a_form_is_read_as_it_was_written_with_plain_line_ends() -> None:
    form = await read({"worked": " Été :\r\nça marche & bien = 100 % \r\n", "by": "Zoë", "empty": ""})
    assert form.values == {"worked": "Été :\nça marche & bien = 100 %", "by": "Zoë", "empty": ""}


async def test_a_form_sent_twice_is_the_same_and_one_filled_in_anew_is_another() -> None:
    first, again, other = [await read({"by": by, "once": "abc"}) for by in ("A", "A", "B")]
    assert first.key == again.key
    assert first.key != other.key
    assert "once" not in first.values
    assert (await read({"by": "A"})).key is None


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"origin": "http://foquale.example"},
        {"origin": "https://foquale.example"},  # behind a proxy that ends TLS
        {"sec_fetch_site": "same-origin", "origin": "null"},
    ],
)
async def test_a_form_of_this_site_is_taken(headers: dict[str, str]) -> None:
    assert (await read({"by": "A"}, **headers)).values == {"by": "A"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "cross-site", "origin": "http://foquale.example"},
        {"origin": "http://evil.example"},
        {"origin": "http://foquale.example.evil.example"},
        {"origin": "null"},
        {"referer": "http://foquale.example/objectifs"},
    ],
)
async def test_a_form_of_another_site_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        await read({"by": "A"}, **headers)
    assert (refused.value.status, refused.value.code) == (403, "form_of_another_site")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"by": "A"}', "application/json", 415, "not_a_form"),
        (b"by=A", "", 415, "not_a_form"),
        (b"by=" + b"A" * 300_000, URLENCODED, 413, "form_too_large"),
        (b"by=%ff%fe", URLENCODED, 400, "form_unreadable"),
        (b"by=\xff", URLENCODED, 400, "form_unreadable"),
        (b"&".join(b"f%d=1" % number for number in range(200)), URLENCODED, 400, "form_unreadable"),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(body: bytes, content_type: str, status: int, code: str) -> None:
    with pytest.raises(Problem) as refused:
        await read(body, sec_fetch_site="same-origin", content_type=content_type)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_what_is_wrong_is_said_at_its_field_in_the_readers_language() -> None:
    labels = {"number": ("n", "Nombre"), "by": ("by", "Nom")}
    with pytest.raises(Problem) as refused:
        forms.checked(Count, {"number": "cent", "by": ""})
    wrong = forms.wrong(refused.value, texts("fr"), labels)
    assert [error["id"] for error in wrong.errors] == ["n", "by"]
    assert wrong.of["n"] == "Écrivez un nombre entier, en chiffres."
    assert wrong.of["by"] == "Remplissez ce champ."
    assert wrong.of["other"] == ""
    assert wrong.refusal == ""
    english = forms.wrong(Problem(409, "version_moved", "..."), texts("en"), labels)
    assert english.errors == ()
    assert english.refusal.startswith("Somebody else has changed it")


def test_a_refusal_that_pages_do_not_know_is_said_as_the_interface_says_it() -> None:
    assert forms.refused(Problem(409, "quite_new", "do this instead"), texts("fr")) == "do this instead"


def test_a_text_that_is_too_long_is_said_so() -> None:
    with pytest.raises(Problem) as refused:
        forms.checked(TextInput, {"worked": "x" * 4001, "by": "A"})
    wrong = forms.wrong(refused.value, texts("fr"), {"worked": ("worked", "Ce qui a marché")})
    assert wrong.of["worked"] == "Le texte est trop long : raccourcissez-le."


def row(label: str, value: float | None) -> dict[str, object]:
    return {"label": label, "cells": {"n": value}}


def test_rows_are_sorted_by_a_column_with_what_is_hidden_last_either_way() -> None:
    rows = [row("b", 2), row("a", None), row("d", 1), row("c", 2)]
    assert [each["label"] for each in ordered(rows, "n", ["n"])] == ["d", "b", "c", "a"]
    assert [each["label"] for each in ordered(rows, "-n", ["n"])] == ["b", "c", "d", "a"]
    assert [each["label"] for each in ordered(rows, "-label", ["n"])] == ["d", "c", "b", "a"]
    assert ordered(rows, "", ["n"]) == rows
    with pytest.raises(Problem) as refused:
        ordered(rows, "m", ["n"])
    assert refused.value.status == 422


def test_a_heads_link_sorts_by_it_and_turns_the_order_the_second_time() -> None:
    page = Asked("/objectifs", "year=2013&sort=-n")
    sorted_head, other = head(page, "n", "Nombre", "-n"), head(page, "m", "Autre", "-n")
    assert (sorted_head["sorted"], sorted_head["href"]) == ("descending", "/objectifs?year=2013&sort=n")
    assert (other["sorted"], other["href"]) == (None, "/objectifs?year=2013&sort=-m")
