"""Académies, départements, communes, schools, sectors, and a plausible set of platforms, networks and solutions."""

from shared.reference.models import (
    Academie,
    AcademieKind,
    Commune,
    Departement,
    Outline,
    ReferenceNetwork,
    ReferencePlatform,
    ReferenceSession,
    ReferenceSolution,
    School,
    Sector,
)
from shared.reference.reference import Reference, load

__all__ = [
    "Academie",
    "AcademieKind",
    "Commune",
    "Departement",
    "Outline",
    "Reference",
    "ReferenceNetwork",
    "ReferencePlatform",
    "ReferenceSession",
    "ReferenceSolution",
    "School",
    "Sector",
    "load",
]
