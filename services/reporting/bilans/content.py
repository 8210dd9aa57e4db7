"""What a bilan says, as plain data: what is sealed of it, and what goes with that. Pure but for a line in the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog

from services.reporting.bilans.domain import ACADEMIE, SEALED, Key, Version, canonical, digest, plain, written
from services.reporting.bilans.figures import Figures
from services.reporting.bilans.store import Kept, Sealed
from services.reporting.figures import share
from services.reporting.freshness import Partition
from services.reporting.history.explanations import Explanation
from shared.problems import Problem

log = structlog.get_logger(__name__)

Bilan = dict[str, Any]
Audience = Literal["staff", "public"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a bilan is frozen with, of one moment: figures as staff see them and as everybody does, and the rest."""

    staff: Figures
    public: Figures
    objective: Mapping[str, Any] | None
    definitions: list[dict[str, Any]]
    explanation: Mapping[str, Any] | None


def seal(version: Version, prepared: Prepared, figures: Figures, audience: Audience) -> Sealed:
    """What is frozen for these readers, with the hash over it."""
    text = canonical(contents(version, prepared, figures, audience))
    return Sealed(text.decode(), digest(text))


def contents(version: Version, prepared: Prepared, figures: Figures, audience: Audience) -> dict[str, Any]:
    """The fields of `SEALED`. Names of those who wrote are staff's to know; who stands for it is everybody's."""
    return {
        **naming(version),
        "figures": figures.units,
        "series": figures.series,
        "objective": attained(prepared.objective, figures),
        "definitions": prepared.definitions,
        "position": {f"{topic}|{partition}": at for (topic, partition), at in sorted(figures.position.items())},
        "texts": [
            {
                "unit": unit,
                "worked": text.worked,
                "needs": text.needs,
                "obstacles": text.obstacles,
                "by": text.by if audience == "staff" else None,
                "at": written(text.at) if text.at else None,
            }
            for unit, text in sorted(version.texts.items(), key=lambda item: (item[0] != ACADEMIE, item[0]))
        ],
        "visas": [{"by": visa.by, "role": visa.role, "at": written(visa.at)} for visa in version.visas],
    }


def naming(version: Version) -> dict[str, Any]:
    """Which version of which bilan it is."""
    key = version.key
    return {"year": key.year, "period": key.period, "academie": key.academie, "version": version.number}


def attained(objective: Mapping[str, Any] | None, figures: Figures) -> Mapping[str, Any] | None:
    """The year's objective and how much of it is attained: returned and civic service of the year so far."""
    if objective is None:
        return None
    activity = figures.units[0]["year"]["activity"]
    parts = activity["returned"], activity["civic_service"]
    achieved = None if None in parts else sum(parts)
    attainment = None if achieved is None else share(achieved, objective["objective"])
    return {**objective, "achieved": achieved, "attainment": plain(attainment)}


def about(kept: Kept, *, insider: bool) -> Bilan:
    """What goes with the content and is not sealed."""
    version = kept.version
    correction = None
    if kept.correction is not None:
        correction = {**kept.correction, "at": written(kept.correction["at"])}
        correction["by"] = correction["by"] if insider else None
    return {
        "from": version.key.first.isoformat(),
        "to": version.key.last.isoformat(),
        "state": version.state,
        "audience": "staff" if insider else "public",
        "hash": None,
        "sealed": [],
        "frozen": None,
        "journal": [
            {"at": written(entry.at), "by": entry.by, "act": entry.act, "note": entry.note} for entry in version.journal
        ]
        if insider
        else [],
        "correction": correction,
    }


def frozen_bilan(kept: Kept, *, insider: bool) -> Bilan:
    """A frozen version, if it is as it was frozen."""
    sealed = kept.staff if insider else kept.public
    frozen = kept.frozen or {}
    bilan = {
        **opened(sealed, kept.version.key),
        **about(kept, insider=insider),
        "hash": sealed.hash if sealed else None,
        "sealed": list(SEALED),
        "as_of": written(frozen["as_of"]),
        "frozen": {"by": frozen["by"] if insider else None, "at": written(frozen["at"])},
    }
    if bilan["correction"] is not None:
        bilan["correction"] |= (kept.explanation or {}) if insider else {"changes": kept.public_changes}
    return bilan


def opened(sealed: Sealed | None, key: Key) -> dict[str, Any]:
    """What is sealed; 500 `bilan_damaged` where it is not what was frozen."""
    if sealed is None or digest(sealed.content.encode()) != sealed.hash:
        log.error("bilan_damaged", year=key.year, period=key.period, academie=key.academie)
        raise Problem(
            500,
            "bilan_damaged",
            "what the store holds of this bilan is not what was frozen: its hash differs; restore it from a backup",
        )
    found: dict[str, Any] = msgspec.json.decode(sealed.content)
    return found


def told(explanation: Explanation, by: Literal["positions", "time"]) -> dict[str, Any]:
    """Which events made the difference; `by` what they were told from those that are in both versions."""
    found: dict[str, Any] = msgspec.to_builtins(
        {
            "events": explanation.events,
            "events_total": explanation.total,
            "events_by": by,
            "counts": explanation.counts,
            "youths": explanation.youths,
        }
    )
    return found


def position_of(position: Mapping[str, int]) -> dict[Partition, int]:
    """The position in the log that is written in a bilan."""
    found = {}
    for place, next_offset in position.items():
        topic, _, partition = place.rpartition("|")
        found[topic, int(partition)] = next_offset
    return found


def version_line(kept: Kept, *, insider: bool) -> dict[str, Any]:
    """A version in a list."""
    sealed = kept.staff if insider else kept.public
    at = kept.frozen["at"] if kept.frozen else None
    return {
        "version": kept.version.number,
        "state": kept.version.state,
        "hash": sealed.hash if sealed else None,
        "frozen_on": at.date().isoformat() if at else None,
        "corrects": kept.correction["of"] if kept.correction else None,
    }
