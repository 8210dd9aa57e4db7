import unicodedata
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.identifiers import (
    KEY_LETTERS,
    age_on,
    departement_of,
    first_given_name,
    identity_key,
    ine_form,
    key_letter,
    name_key,
    normalise_commune,
    normalise_ine,
    normalise_uai,
    parse_campaign,
    parse_iso_date,
    uai_problem,
    uai_suggestion,
)


def test_the_check_letters_leave_out_those_that_look_like_digits() -> None:
    assert len(KEY_LETTERS) == 23
    assert not set("IOQ") & set(KEY_LETTERS)


@pytest.mark.parametrize("uai", ["0751234J", "0010856A", "0022172A", "9741621U", " 0751234j ", "9830002K"])
def test_a_real_uai_is_right_however_it_is_cased_and_padded(uai: str) -> None:
    assert uai_problem(uai) is None
    assert uai_suggestion(uai) is None
    assert normalise_uai(uai) == uai.strip().upper()


@pytest.mark.parametrize(
    ("uai", "problem", "suggestion"),
    [
        ("0751234K", "wrong_key", "0751234J"),
        ("0000856A", "wrong_key", "0000856F"),
        ("0751234I", "wrong_key", "0751234J"),
        ("751234J", "malformed", "0751234J"),  # a spreadsheet dropped the zero
        ("751234K", "malformed", None),  # ... and there the letter does not fit either
        ("075 1234 j", "malformed", "0751234J"),
        ("", "malformed", None),
        ("0751234", "malformed", None),
        ("07512345J", "malformed", None),
        ("O751234J", "malformed", None),
        ("٠٧٥١٢٣٤J", "malformed", None),  # digits, but not ours
        ("0751234\u017f", "malformed", None),  # a long s, which upper-cases to S
    ],
)
def test_a_wrong_uai_is_told_apart_and_only_a_suggestion_made(uai: str, problem: str, suggestion: str | None) -> None:
    assert uai_problem(uai) == problem
    assert uai_suggestion(uai) == suggestion


@given(st.integers(0, 9_999_999), st.sampled_from(KEY_LETTERS + "IOQ"))
def test_exactly_one_letter_makes_a_number_a_uai(number: int, letter: str) -> None:
    digits = f"{number:07}"
    assert (uai_problem(digits + letter) is None) == (letter == KEY_LETTERS[number % 23])


@given(st.text(max_size=12))
def test_whatever_is_suggested_is_a_right_uai(text: str) -> None:
    suggestion = uai_suggestion(text)
    assert suggestion is None or uai_problem(suggestion) is None


def test_an_ine_has_one_of_three_forms_and_the_rnie_only_since_2017() -> None:
    bea = "1234567890" + key_letter("1234567890")
    assert ine_form(bea, "2013-10") == "bea"
    assert ine_form(f" {bea.lower()} ", "2013-10") == "bea"
    assert normalise_ine(f" {bea.lower()} ") == bea
    assert ine_form("2012A12345Z", "2013-10") == "apprenticeship"
    assert ine_form("123456789AB", "2017-08") is None
    assert ine_form("123456789AB", "2017-09") == "rnie"
    assert ine_form("123456789AB", "") is None


@pytest.mark.parametrize("ine", ["", "123", "1234567890A", "12345678901", "2012B12345Z", "123456789A1", "2012A1234Z"])
def test_a_malformed_ine_or_one_with_a_wrong_key_has_no_form(ine: str) -> None:
    assert ine_form(ine, "2013-10") is None


@given(st.integers(0, 9_999_999_999), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_exactly_one_letter_makes_ten_digits_an_ine(number: int, letter: str) -> None:
    assert (ine_form(f"{number:010}{letter}", "2013-03") == "bea") == (letter == KEY_LETTERS[number % 23])


@pytest.mark.parametrize(
    ("commune", "departement"),
    [
        ("59606", "59"),
        ("01004", "01"),
        ("2A004", "2A"),
        ("2b033", "2B"),
        ("75112", "75"),
        ("69381", "69"),
        ("13216", "13"),
        ("97411", "974"),
        ("97801", "978"),
        ("98818", "988"),
        (" 59606 ", "59"),
        ("20004", None),  # Corsica has been 2A and 2B since 1976
        ("00123", None),
        ("99134", None),  # Spain
        ("2C004", None),
        ("5960", None),
        ("596061", None),
        ("59 06", None),
        ("A9606", None),
        ("", None),
        ("٥٩٦٠٦", None),
    ],
)
def test_a_commune_code_tells_its_departement(commune: str, departement: str | None) -> None:
    assert departement_of(commune) == departement


def test_a_commune_code_is_stored_upper_case() -> None:
    assert normalise_commune(" 2a004 ") == "2A004"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20130331",
        "2013-3-31",
        "2013-02-29",
        "2013-W13-7",
        "31/03/2013",
        "2013-03-31T00:00",
        " 2013-03-31",
        "0000-01-01",
        "2013-13-01",
        "٢٠١٣-٠٣-٣١",
    ],
)
def test_only_a_day_written_iso_is_a_date(text: str) -> None:
    assert parse_iso_date(text) is None


@given(st.dates())
def test_every_day_written_iso_is_that_date(day: date) -> None:
    assert parse_iso_date(day.isoformat()) == day


@given(st.dates(max_value=date(9998, 12, 31)))
def test_a_campaign_refers_to_the_last_day_of_its_month(day: date) -> None:
    reference_date = parse_campaign(day.isoformat()[:7])
    assert reference_date is not None
    assert (reference_date.year, reference_date.month) == (day.year, day.month)
    assert (reference_date + timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    "text", ["", "2013", "2013-00", "2013-13", "2013-1", "13-10", "2013-10-01", "0000-01", "2013/10"]
)
def test_what_is_no_month_is_no_campaign(text: str) -> None:
    assert parse_campaign(text) is None


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        (date(1997, 10, 31), date(2013, 10, 31), 16),
        (date(1997, 11, 1), date(2013, 10, 31), 15),
        (date(1987, 10, 31), date(2013, 10, 31), 26),
        (date(1996, 2, 29), date(2013, 2, 28), 16),
        (date(1996, 2, 29), date(2013, 3, 1), 17),
        (date(1996, 2, 29), date(2012, 2, 29), 16),
        (date(2014, 1, 1), date(2013, 10, 31), -1),
    ],
)
def test_age_is_in_whole_years(birth: date, day: date, age: int) -> None:
    assert age_on(birth, day) == age


BORN = date(1996, 5, 3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lefèvre", "LEFEVRE"),
        ("Lefèvre", "Lefe\u0300vre"),
        ("Œuvrard", "OEUVRARD"),
        ("Cæsar", "Caesar"),
        ("Strauß", "STRAUSS"),
        ("ﬁlippi", "Filippi"),
        ("Sørensen", "Sorensen"),
        ("Saint-André", "SAINT ANDRE"),
        ("Saint‑André", "Saint  André"),  # a hyphen that does not break
        ("N'Diaye", "N’DIAYE"),
        ("N'Diaye", "NʼDiaye"),
        ("N'Diaye", "N`Diaye"),
        ("N'Diaye", "Ndiaye"),
        ("D'Artagnan", "Artagnan"),
        ("d’Artagnan", "D Artagnan"),
        ("L'Hermite", "Hermite"),
        ("de La Fontaine", "FONTAINE"),
        ("Du Pont des Loges", "Pont Loges"),
        ("Le Goff", "Goff"),
        ("  Martin\u00a0 Dupont ", "Martin Dupont"),
    ],
)
def test_what_does_not_matter_in_a_name(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Le Goff", "Legoff"),
        ("D'Artagnan", "Dartagnan"),
        ("Martin", "Martins"),
        ("Dupont", "Dupond"),
        ("Le", "La"),
        ("De La", "Du"),
        ("王", "李"),
        ("?", "!"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_only_the_first_given_name_counts() -> None:
    key = identity_key("Dupont", "Jean-Pierre, Marie", BORN)
    assert key == identity_key("DUPONT", "jean pierre", BORN)
    assert key == identity_key("Dupont", " , Jean-Pierre,Paul", BORN)
    assert key != identity_key("Dupont", "Jean, Pierre", BORN)
    assert first_given_name(" ,Zoé , Anne") == "Zoé"
    assert first_given_name(" , ") == ""


def test_the_birth_date_and_the_place_of_a_name_count() -> None:
    assert identity_key("Martin", "Paul", BORN) != identity_key("Martin", "Paul", BORN + timedelta(days=1))
    assert identity_key("Martin", "Paul", BORN) != identity_key("Paul", "Martin", BORN)
    assert identity_key("Martin Paul", "Jean", BORN) != identity_key("Martin", "Paul Jean", BORN)


LETTERS = st.text("abcdefghijklmnopqrstuvwxyzàâçéèêëîïôùûüÿœæ", min_size=2, max_size=8)
PARTICLES = ["de", "du", "des", "d'", "le", "la", "les", "l'"]


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.replace("œ", "oe").replace("æ", "ae"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


WORDS = LETTERS.filter(lambda word: _without_accents(word) not in PARTICLES)  # `dé` is the particle `de` as well


@given(
    st.lists(WORDS, min_size=1, max_size=3),
    st.sampled_from([" ", "  ", "-", "'", "’", " - "]),
    st.sampled_from([str.upper, str.title, str, _without_accents, lambda t: unicodedata.normalize("NFD", t)]),
    st.sampled_from([*PARTICLES, ""]),
)
def test_every_listed_variation_keeps_the_key(words: list[str], joint: str, change: object, particle: str) -> None:
    assert callable(change)
    varied = f"{particle.upper()} {change(joint.join(words))}"
    assert name_key(varied) == name_key(" ".join(words))


@given(LETTERS, LETTERS)
def test_words_that_differ_without_accents_have_different_keys(one: str, other: str) -> None:
    assume(_without_accents(one) != _without_accents(other))
    assert name_key(one) != name_key(other)


@given(st.text(min_size=1).filter(str.strip))
def test_no_name_has_an_empty_key(name: str) -> None:
    assert name_key(name)
