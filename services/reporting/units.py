"""Which units an answer lists, and what they are called."""

from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Final

from services.reporting.figures import NATIONAL_CODE, Level, Period
from shared.reference import Reference

_LONG_AGO: Final = date.min
_FAR_OFF: Final = date.max
_MOST_SUGGESTIONS = 3


class Units:
    """The units of the levels: official ones from the reference data, networks as they are registered."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def always(self, level: Level, period: Period, networks: Mapping[str, str]) -> set[str]:
        """The codes listed even where nothing counts; `period` must be closed.

        Vice-rectorats are not among the 30 académies: they are listed when they have figures.
        """
        if level == "national":
            return {NATIONAL_CODE}
        if level == "academie":
            first, last = period.first or _LONG_AGO, period.last or _FAR_OFF
            return {academie.code for academie in self._reference.academies_between(first, last, "academie")}
        return set(self._reference.departements()) if level == "departement" else set(networks)

    def labels(self, level: Level, period: Period, networks: Mapping[str, str]) -> dict[str, str]:
        """The names of all units of a level, by code; where an académie's changed, the period's."""
        if level == "national":
            return {NATIONAL_CODE: "France"}
        if level == "academie":
            ever = self._reference.academies_between(_LONG_AGO, _FAR_OFF)
            then = self._reference.academies_between(period.first or _LONG_AGO, period.last or _FAR_OFF)
            return {academie.code: academie.name for academie in (*ever, *then)}
        if level == "departement":
            return {code: departement.name for code, departement in self._reference.departements().items()}
        return dict(networks)


def suggestions(code: str, labels: Sequence[Mapping[str, str]]) -> list[str]:
    """What an unknown code may have meant: codes and names that are close to it, as `code (name)`."""
    texts: dict[str, str] = {}
    for of_level in labels:
        for known, label in of_level.items():
            shown = f"{known} ({label})"
            texts.setdefault(known.casefold(), shown)
            texts.setdefault(label.casefold(), shown)
    close = get_close_matches(code.casefold(), list(texts), n=2 * _MOST_SUGGESTIONS, cutoff=0.5)
    return list(dict.fromkeys(texts[text] for text in close))[:_MOST_SUGGESTIONS]
