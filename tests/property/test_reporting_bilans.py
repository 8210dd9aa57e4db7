"""Whatever is done to a bilan, in whatever order: what is frozen stays, and its hash can be recomputed by anybody."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.bilans import domain
from services.reporting.bilans.domain import Key, NotAllowed, Text, Version, canonical, digest, plain
from services.reporting.bilans.pdf import spelt_out
from services.reporting.bilans.tables import cells, difference
from services.reporting.bilans.texts import clean, faults

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBERS = (
    st.none()
    | st.integers(0, 10**9)
    | st.integers(0, 10_000).map(lambda n: n / 10_000)  # shares
    | st.integers(0, 20_000).map(lambda n: n / 2)  # medians
)
CONTENT = st.recursive(
    NUMBERS | WORDS | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
BEGIN = datetime(2013, 2, 20, tzinfo=UTC)
ACTS = ("text", "validate", "freeze", "correct")


@given(CONTENT)
def test_what_is_sealed_is_read_back_to_the_byte_and_hashed_alike_by_the_standard_library(content: Any) -> None:
    sealed = canonical(plain(content))
    read = json.loads(sealed)
    assert canonical(read) == sealed
    assert read == content
    text = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == digest(sealed)


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 6)), max_size=25))
def test_in_whatever_order_things_are_done_a_frozen_version_never_changes(acts: list[tuple[str, int]]) -> None:
    versions = [Version(Key(2013, 1, "09"))]
    frozen: dict[int, Version] = {}
    now = BEGIN
    for act, days in acts:
        now += timedelta(days=days)
        last = versions[-1]
        moves: dict[str, Callable[[Version, datetime], Version]] = {
            "text": lambda version, at: domain.write_text(version, "academie", Text("a", "b", "c", "x"), at),
            "validate": lambda version, at: domain.validate(version, "x", "rectrice", at),
            "freeze": lambda version, at: domain.freeze(version, "x", at),
            "correct": lambda version, at: domain.correct(version, "x", "y", at),
        }
        try:
            after = moves[act](last, now)
        except NotAllowed:
            continue
        if act == "correct":
            versions.append(after)
        else:
            versions[-1] = after
        if act == "freeze":
            assert now.date() > after.key.last
            frozen[after.number] = after
        assert (after.state == "draft") == (after.visas == ())
        assert len(after.journal) > (0 if act == "correct" else len(last.journal))
    assert [version.number for version in versions] == list(range(1, len(versions) + 1))
    assert all(version.state == "frozen" for version in versions[:-1])
    assert all(versions[number - 1] == version for number, version in frozen.items())


@given(WORDS)
def test_texts_are_judged_whatever_they_hold_and_what_is_judged_good_can_be_sealed(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    found = list(faults({"worked": cleaned}))
    assert all(0 <= fault["from"] <= fault["to"] <= max(len(cleaned), 4_000) for fault in found)
    assert all(
        cleaned[fault["from"] : fault["to"]] not in fault["message"]
        for fault in found
        if fault["to"] > fault["from"] + 2
    )
    assert json.loads(canonical(cleaned)) == cleaned


@given(
    st.integers(0, 10**9), st.sampled_from((" ", "", ".", "-", "\u00a0")), st.sampled_from(("0", "+33", "0033", "+33 "))
)
def test_a_phone_number_is_found_however_it_is_set(digits: int, apart: str, begin: str) -> None:
    number = f"{digits % 10**8:08}"
    pairs = [number[place : place + 2] for place in range(0, 8, 2)]
    text = f"le {begin}{1 + digits % 9}{apart}{apart.join(pairs)} ;"
    assert "looks_like_phone" in [fault["code"] for fault in faults({"needs": text})]


@given(WORDS)
def test_what_a_font_may_not_have_is_spelt_out_once_and_for_all(text: str) -> None:
    spelt = spelt_out(text)
    assert spelt_out(spelt) == spelt
    assert all(ord(letter) < 0x2300 for letter in spelt)


FIGURES = st.builds(
    lambda detected, reached, share: {
        "unit": "academie",
        "code": "09",
        "label": "Lille",
        "period": {
            "activity": {"detected": detected, "reached": reached},
            "dismissed_by_source": {"SCOLARITE": reached},
            "cohort": {"size": detected, "shares": {"reached": share}},
        },
        "year": None,
    },
    NUMBERS,
    NUMBERS,
    NUMBERS,
)


@settings(max_examples=50)
@given(FIGURES, FIGURES)
def test_the_difference_of_two_versions_leads_from_one_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert difference([old], [old]) == []
    before, after = ({cell.place: cell.value for cell in cells([unit])} for unit in (old, new))
    told = difference([old], [new])
    for change in told:
        place = next(
            place
            for place in before
            if (place.view, place.indicator, place.source or None, place.measure)
            == (change["view"], change["indicator"], change["source"], change["measure"])
        )
        assert (before.pop(place), after.pop(place)) == (change["old"], change["new"])
    assert before == after
