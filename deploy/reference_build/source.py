"""The source files, read."""

import csv
import math
from pathlib import Path
from typing import Final

FILES: Final = {
    "academies.csv": ("code", "nom", "type", "valide_du", "valide_au", "remplace_par", "departements"),
    "departements.csv": ("code", "nom"),
    "communes.csv": ("code", "nom", "departement", "codes_postaux", "population", "lat", "lon"),
    "etablissements.csv": ("uai", "nom", "type", "code_commune", "departement", "lat", "lon", "source"),
    "structures-retour-ecole.csv": ("uai",),
    "organismes.csv": ("type", "nom", "code_commune", "commune", "lat", "lon"),
    "chiffres-publies.csv": ("perimetre", "code", "periode", "indicateur", "valeur"),
}
"""Each file with the columns that the build needs of it."""

Row = dict[str, str]

_KM_PER_DEGREE = 111.195


class SourceError(Exception):
    """A source file is missing or is not what the build expects; the message says which and what."""


def read(folder: Path, name: str) -> list[Row]:
    """The rows of one of `FILES`."""
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in FILES[name] if column not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(f"{folder / name}: no column {', '.join(missing)}")
            return list(reader)
    except OSError as error:
        raise SourceError(
            f"{folder / name}: {error.strerror}; give the folder that holds {', '.join(FILES)}"
        ) from error


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Distance in km on a locally flat earth: good to a percent within a département."""
    east = (lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return _KM_PER_DEGREE * math.hypot(lat2 - lat1, east)
