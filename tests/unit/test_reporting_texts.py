"""The pages' texts: both languages say the same things, with the same places to fill in."""

import string
from collections.abc import Iterator
from types import SimpleNamespace

from services.reporting.pages.site import texts


def leaves(table: SimpleNamespace, path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in vars(table).items():
        if isinstance(value, SimpleNamespace):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def places(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_both_languages_say_the_same_things() -> None:
    french, english = (dict(leaves(texts(lang))) for lang in ("fr", "en"))
    assert len(french) > 200
    assert set(french) == set(english)
    for path, text in french.items():
        assert text.strip(), path
        assert english[path].strip(), path
        assert places(text) == places(english[path]), path
