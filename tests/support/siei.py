"""Rows of SIEI lists for tests: right ones, made wrong field by field."""

import csv
import io
from collections.abc import Iterable, Mapping

from shared.identifiers import key_letter
from shared.siei_csv import COLUMNS

SCHOOL = "0010001W"  # a real lycée professionnel in Ambérieu-en-Bugey
COMMUNE = "01004"


def ine(number: int) -> str:
    """A valid INE of the BEA form."""
    digits = f"{number:010d}"
    return digits + key_letter(digits)


def row(number: int = 1, **changes: str) -> dict[str, str]:
    """An eligible row of March 2013, with a name of its own for each number."""
    values = dict.fromkeys(COLUMNS, "")
    values |= {
        "campaign": "2013-03",
        "source": "SCOLARITE",
        "source_row": f"R{number}",
        "family_name": f"MARTIN{_letters(number)}",
        "given_names": "Chloé, Marie",
        "birth_date": "1996-05-12",
        "sex": "F",
        "commune": COMMUNE,
        "postal_code": "01500",
        "last_school": SCHOOL,
        "last_level": "2NDE PRO",
        "status": "scolaire",
        "left_on": "2012-11-30",
        "phone": "0601020304",
        "followed_by_mission_locale": "false",
    }
    return {**values, **changes}


def as_csv(rows: Iterable[Mapping[str, str]], delimiter: str = ";") -> bytes:
    """A list as a file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _letters(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 26)
        text = chr(ord("A") + rest) + text
    return text
