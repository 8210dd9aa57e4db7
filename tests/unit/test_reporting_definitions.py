"""The register of definitions: complete, checked, dated; what is wrong in it is named with its remedy."""

from datetime import date
from pathlib import Path

import pytest

from services.reporting.definitions import DefinitionError, registry
from services.reporting.indicators import ACTIVITY_CODES, DELAYS, LAPSED, NOT_KNOWN, UNKNOWN
from tests.support.definitions import CHANGE, SHIPPED, with_second_version


def written(folder: Path, text: str) -> Path:
    path = folder / "indicators.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_is_shown_is_defined_in_both_languages_with_a_source() -> None:
    items = registry().all()
    assert {*ACTIVITY_CODES, NOT_KNOWN, LAPSED, UNKNOWN, *DELAYS} < {item.code for item in items}
    for item in items:
        texts = (*item.name.values(), *item.formula.values(), item.source)
        assert len(texts) == 5, item.code
        assert all(text == text.strip() and "  " not in text and "\n" not in text for text in texts), item.code
        assert (item.version, item.valid_from, item.valid_to) == (1, date(2013, 1, 1), None)


def test_nothing_is_in_force_before_the_circular_and_nothing_breaks_yet() -> None:
    assert registry().at(date(2012, 12, 31)) == ()
    assert registry().at(date(2013, 1, 1)) == registry().all()
    assert registry().breaks() == ()


def test_a_new_version_ends_the_one_before_and_breaks_the_series_where_it_begins(tmp_path: Path) -> None:
    register = registry(with_second_version(tmp_path, "reached", "2014-09-01"))
    old, new = register.versions("reached")
    assert (old.valid_to, new.valid_from, new.valid_to) == (date(2014, 8, 31), date(2014, 9, 1), None)
    assert register.by_code("reached") == new
    assert register.by_code("reached", date(2013, 5, 1)) == old
    assert [item for item in register.at(date(2014, 8, 31)) if item.code == "reached"] == [old]
    [found] = register.breaks(date(2014, 1, 1), date(2014, 12, 31))
    assert (found.code, found.on, found.from_version, found.to_version) == ("reached", date(2014, 9, 1), 1, 2)
    assert found.change == CHANGE


def test_a_period_that_begins_with_the_new_version_or_ends_before_it_has_no_break(tmp_path: Path) -> None:
    register = registry(with_second_version(tmp_path, "reached", "2014-09-01"))
    assert register.breaks(date(2014, 9, 1), date(2014, 12, 31)) == ()
    assert register.breaks(None, date(2014, 8, 31)) == ()
    assert len(register.breaks(date(2014, 8, 31), date(2014, 9, 1))) == len(register.breaks()) == 1


DETECTED = "[[indicator]]\n" + SHIPPED.split("[[indicator]]\n")[1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "youths"', 'unit = "people"', ("'detected'", "version 1", "`$.unit`", "the fields are")),
        ('unit = "youths"', 'unit = "youths"\nweight = 2', ("'detected'", "weight", "the fields are")),
        ('name.en = "Detected"\n', "", ("'detected'", "`$.name`", "fr and en")),
        ('name.en = "Detected"', 'name.de = "Erkannt"', ("'detected'", "'de'", "fr and en")),
        ('name.en = "Detected"', 'name.en = " "', ("'detected'", "`$.name", "fr and en")),
        ("valid_from = 2013-01-01", 'valid_from = "soon"', ("'detected'", "`$.valid_from`")),
        ('code = "detected"', 'code = "spotted"', ("'spotted'", "code", "must be one of")),
        ("version = 1", "version = 2", ("'detected'", "version: ", "number them 1, 2, 3")),
        ("version = 1", 'version = 1\nchange.fr = "a"\nchange.en = "b"', ("'detected'", "change: ", "take it out")),
        ("valid_from = 2013-01-01", "valid_from = 2013-01-01\nvalid_to = 2012-01-01", ("valid_to", "a later day")),
        (DETECTED, "", ("no definition of detected", "add an entry")),
        ("[[indicator]]", "[[indicators]]", ("[[indicator]] entries",)),
        ('code = "detected"', "code = ", ("no TOML", "mend it")),
    ],
)
def test_what_is_wrong_in_an_entry_is_named_with_its_field_and_the_remedy(
    tmp_path: Path, old: str, new: str, said: tuple[str, ...]
) -> None:
    with pytest.raises(DefinitionError) as refused:
        registry(written(tmp_path, SHIPPED.replace(old, new, 1)))
    assert all(part in str(refused.value) for part in said), refused.value


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f'change.fr = "{CHANGE["fr"]}"\n', "", ("$.change", "fr and en")),
        ("valid_from = 2014-09-01", "valid_from = 2013-01-01", ("valid_from of version 2", "a later day")),
        ("version = 1", "version = 1\nvalid_to = 2014-09-30", ("valid_to", "overlap", "write 2014-08-31")),
        ("version = 1", "version = 1\nvalid_to = 2014-07-31", ("valid_to", "a gap", "write 2014-08-31")),
        ("version = 2", "version = 3", ("version 3, version", "number them")),
    ],
)
def test_versions_that_do_not_follow_each_other_are_refused(
    tmp_path: Path, old: str, new: str, said: tuple[str, ...]
) -> None:
    text = with_second_version(tmp_path, "detected", "2014-09-01").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(DefinitionError) as refused:
        registry(written(tmp_path, text.replace(old, new, 1)))
    assert all(part in str(refused.value) for part in ("'detected'", *said)), refused.value


def test_a_new_version_that_does_not_say_what_changed_is_refused(tmp_path: Path) -> None:
    silent = with_second_version(tmp_path, "detected", "2014-09-01", change={})
    with pytest.raises(DefinitionError, match="'detected', version 2, change: say what changed"):
        registry(silent)


def test_versions_of_a_code_that_stand_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="'detected': its versions are apart"):
        registry(written(tmp_path, f"{SHIPPED}\n{DETECTED}\n"))
