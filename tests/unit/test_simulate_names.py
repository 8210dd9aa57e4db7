"""A name is misspelt only in what must not matter, and two names of the lists are never one."""

from datetime import date
from random import Random

from deploy.simulate.names import FAMILY_NAMES, GIVEN_NAMES_F, GIVEN_NAMES_M, draw_name, misspelt, mistyped
from shared.identifiers import identity_key, name_key

BORN = date(1996, 2, 29)


def test_names_of_the_lists_are_all_different_people() -> None:
    given = set(GIVEN_NAMES_F) | set(GIVEN_NAMES_M)
    assert len({name_key(name) for name in FAMILY_NAMES}) == len(FAMILY_NAMES)
    assert len({name_key(name) for name in given}) == len(given)


def test_a_misspelt_name_looks_different_and_is_the_same_person() -> None:
    rng = Random(7)
    for _ in range(5_000):
        name = draw_name(rng, rng.choice("FM"))
        other = misspelt(rng, name)
        assert other != name
        assert identity_key(*other, BORN) == identity_key(*name, BORN), (name, other)


def test_a_mistyped_name_is_another_person() -> None:
    rng = Random(8)
    for _ in range(2_000):
        name = draw_name(rng, rng.choice("FM"))
        assert identity_key(*mistyped(rng, name), BORN) != identity_key(*name, BORN)


def test_the_lists_hold_what_makes_matching_hard() -> None:
    names = " ".join(FAMILY_NAMES)
    assert any("-" in name for name in GIVEN_NAMES_F)
    assert any("-" in name for name in GIVEN_NAMES_M)
    for trait in ("'", "-", "œ", "è", "De ", "Du ", "Des ", "Le ", "La ", "L'", "D'"):
        assert trait in names, trait
