"""How numbers, shares, days and months are written in French and in English; pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

Lang = Literal["fr", "en"]

_NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
_MONTHS: Final[dict[Lang, tuple[str, ...]]] = {
    "fr": (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
_SHORT: Final[dict[Lang, tuple[str, ...]]] = {
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}

_WITH_ARTICLE: Final = frozenset({"Guadeloupe", "Guyane", "Martinique", "Nouvelle-Calédonie", "Polynésie française"})


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes in one language."""

    lang: Lang

    def number(self, value: float) -> str:
        """`20 000` and `1,5`, or `20,000` and `1.5`; no decimals where there are none, else one."""
        text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
        return self._localised(text.replace("-", "\N{MINUS SIGN}"))

    def percent(self, value: float, decimals: int = 1) -> str:
        """A share of 1 in per cent: `12,3 %`, or `12.3%`."""
        text = self._localised(f"{value * 100:,.{decimals}f}")
        return f"{text}{_NARROW}%" if self.lang == "fr" else f"{text}%"

    def day(self, day: date) -> str:
        """`1er mars 2013`, or `1 March 2013`."""
        number = "1er" if day.day == 1 and self.lang == "fr" else str(day.day)
        return f"{number} {_MONTHS[self.lang][day.month - 1]} {day.year}"

    def moment(self, moment: datetime) -> str:
        """A moment, in UTC and to the minute."""
        at = f"{moment:%H:%M} UTC"
        return f"{self.day(moment.date())} à {at}" if self.lang == "fr" else f"{self.day(moment.date())}, {at}"

    def month(self, number: int) -> str:
        """A month of the year, 1 to 12, in full."""
        return _MONTHS[self.lang][number - 1]

    def short_month(self, number: int) -> str:
        """A month of the year, 1 to 12, as it stands below a chart."""
        return _SHORT[self.lang][number - 1]

    def of(self, name: str) -> str:
        """An académie's name after `académie`: `de Lille`, `d'Amiens`, `de la Guyane`; in English as it is."""
        if self.lang == "en":
            return name
        if name in _WITH_ARTICLE:
            return f"de la {name}"
        return f"d'{name}" if name[0] in "AEIOUYÉ" else f"de {name}"

    def _localised(self, text: str) -> str:
        if self.lang == "en":
            return text
        return text.replace(",", _NARROW).replace(".", ",")
