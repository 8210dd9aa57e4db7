"""What the French texts of a bilan's files say. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from services.reporting.bilans.domain import ACADEMIE
from services.reporting.bilans.tables import NOT_SHOWN, decimal

__all__ = [
    "ACTS",
    "NOT_SHOWN",
    "STATES",
    "TEXT_HEADS",
    "academie",
    "day",
    "events",
    "facts",
    "focus",
    "moment",
    "month",
    "of_text",
    "period",
    "signer",
    "title",
    "unit",
]

STATES: Final[Mapping[str, str]] = {"draft": "projet", "validated": "validé, non figé", "frozen": "figé"}
ACTS: Final[Mapping[str, str]] = {
    "text": "Texte écrit",
    "validated": "Validation",
    "back_to_draft": "Retour à l'état de projet",
    "frozen": "Figé",
    "correction_opened": "Correction ouverte",
}
TEXT_HEADS: Final = ("Ce qui a marché", "Besoins", "Obstacles")
_WITH_ARTICLE: Final = frozenset({"Guadeloupe", "Guyane", "Martinique", "Nouvelle-Calédonie", "Polynésie française"})
_VOWELS: Final = ("A", "E", "I", "O", "U", "É")
_MONTHS: Final = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


def title(bilan: Mapping[str, Any]) -> str:
    """Which bilan it is."""
    return f"Bilan FOQUALE – {academie(bilan)}"


def academie(bilan: Mapping[str, Any]) -> str:
    """The académie with its name, as it is spoken: de Lille, d'Amiens, de la Martinique."""
    name: str = bilan["label"]
    kind = "vice-rectorat" if bilan["kind"] == "vice_rectorat" else "académie"
    if name in _WITH_ARTICLE:
        return f"{kind} de la {name}"
    return f"{kind} d'{name}" if name.startswith(_VOWELS) else f"{kind} de {name}"


def focus(bilan: Mapping[str, Any]) -> str:
    """Whose figures come first: of the académie, or of the only network."""
    first = bilan["figures"][0]
    return "de l'académie" if first["unit"] == ACADEMIE else f"du réseau : {first['label']}"


def signer(bilan: Mapping[str, Any]) -> str:
    """Who signs it."""
    who = "Le vice-recteur ou la vice-rectrice" if bilan["kind"] == "vice_rectorat" else "Le recteur ou la rectrice"
    return who if bilan["kind"] == "vice_rectorat" else f"{who} de l'{academie(bilan)}"


def events(correction: Mapping[str, Any]) -> str:
    """How many events made the difference, by type; empty where that is not told."""
    counts: dict[str, int] = {}
    for kind in correction.get("counts") or ():
        counts[kind["type"]] = counts.get(kind["type"], 0) + kind["events"]
    return " ; ".join(f"{name} : {decimal(count)}" for name, count in counts.items())


def period(bilan: Mapping[str, Any]) -> str:
    """The two months and the year."""
    first = 2 * bilan["period"] - 2
    return f"{_MONTHS[first].capitalize()} et {_MONTHS[first + 1]} {bilan['year']}"


def month(written: str) -> str:
    """A month, as `févr. 2013` is spoken: février 2013."""
    year, number = written.split("-")
    return f"{_MONTHS[int(number) - 1]} {year}"


def day(written: str) -> str:
    """A day, as a French reader writes it."""
    found = date.fromisoformat(written)
    return f"{'1er' if found.day == 1 else found.day} {_MONTHS[found.month - 1]} {found.year}"


def moment(written: str | None) -> str:
    """A moment (UTC)."""
    if written is None:
        return ""
    found = datetime.fromisoformat(written)
    return f"{day(found.date().isoformat())} à {found:%H:%M} UTC"


def unit(bilan: Mapping[str, Any], code: str) -> str:
    """Whose text it is."""
    if code == ACADEMIE:
        of = academie(bilan)
        return of[0].upper() + of[1:]
    return next((of["label"] for of in bilan["figures"] if of["unit"] != ACADEMIE and of["code"] == code), code)


def of_text(text: Mapping[str, Any]) -> tuple[str, str, str]:
    """The parts of a text, as `TEXT_HEADS` names them."""
    return text["worked"], text["needs"], text["obstacles"]


def facts(bilan: Mapping[str, Any]) -> Sequence[str]:
    """What stands below the title: the period, the state, the objective, for whom it is shown, and the hash."""
    lines = [
        f"Période : du {day(bilan['from'])} au {day(bilan['to'])} ; année : du 1er janvier au {day(bilan['to'])}",
        f"Version {bilan['version']} – {STATES[bilan['state']]}{_superseded(bilan)}",
        f"Chiffres arrêtés le {moment(bilan['as_of'])}",
    ]
    objective = bilan["objective"]
    if objective is not None:
        aim = f"{decimal(objective['objective'])} retours en formation"
        lines.append(f"Objectif {bilan['year']} : {aim} ; {_attained(objective)}")
    if bilan["audience"] == "public":
        lines.append(f"{NOT_SHOWN} : non communiqué (effectif de 1 à 4, ou ce qui le révélerait)")
    if bilan["hash"]:
        lines.append(f"Empreinte SHA-256 : {bilan['hash']}")
    return lines


def _attained(objective: Mapping[str, Any]) -> str:
    if objective["achieved"] is None or objective["attainment"] is None:
        return f"atteinte : {NOT_SHOWN}"
    return f"atteint : {decimal(objective['achieved'])} ({decimal(round(objective['attainment'] * 100, 1))} %)"


def _superseded(bilan: Mapping[str, Any]) -> str:
    """A frozen version says when another has taken its place."""
    later = [
        line["version"]
        for line in bilan["versions"]
        if line["state"] == "frozen" and line["version"] > bilan["version"]
    ]
    return f" ; corrigée par la version {later[-1]}" if later else ""
