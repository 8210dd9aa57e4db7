"""Takes out of an answer's rows what the rule of small cells (`small_cells.py`) does not show."""

from collections.abc import Mapping
from typing import Any, Final

from services.reporting.indicators import (
    COHORT_STEPS,
    DELAYS,
    DISMISSED,
    LAPSED,
    NOT_KNOWN,
    STEPS,
    UNKNOWN,
    DelayName,
)
from services.reporting.small_cells import (
    ACHIEVED,
    BACK,
    BY_SOURCE,
    COHORT,
    COHORT_DISMISSED,
    FALSE_POSITIVES,
    LEAST,
)


def hide(row: dict[str, Any], shown: frozenset[str]) -> dict[str, Any]:
    """The row (`api.Row`) without the counts that are not shown: they are None, and `hidden` has their paths.

    `achieved`, the sum of those returned and in civic service, may be shown where its parts are not.
    """
    hidden: list[str] = []
    told: dict[str, Any] = {**row}
    if row.get("activity") is not None:
        activity = row["activity"]
        told[ACHIEVED] = activity["returned"] + activity["civic_service"] if ACHIEVED in shown else None
        hidden += [ACHIEVED] if ACHIEVED not in shown else []
        told["activity"] = _without(activity, _GROUP_OF_ACTIVITY, shown, "activity", hidden)
        by_source = dict.fromkeys(row["dismissed_by_source"], BY_SOURCE)
        told["dismissed_by_source"] = _without(
            row["dismissed_by_source"], by_source, shown, "dismissed_by_source", hidden
        )
    if row.get("cohort") is not None:
        told["cohort"] = _cohort(row["cohort"], shown, hidden)
    return {**told, "suppressed": bool(hidden), "hidden": hidden}


_GROUP_OF_ACTIVITY: Final[dict[str, str]] = {
    **{str(step): str(step) for step in STEPS},
    DISMISSED: DISMISSED,
    "detected": COHORT,
    "returned": BACK,
    "civic_service": BACK,
}
_GROUP_OF_COHORT: Final[dict[str, str]] = {
    **{str(step): f"cohort:{step}" for step in COHORT_STEPS},
    **dict.fromkeys(("size", "detected", "reached", NOT_KNOWN, LAPSED, UNKNOWN), COHORT),
    DISMISSED: COHORT_DISMISSED,
}


def _without(
    counts: Mapping[str, Any], groups: Mapping[str, str], shown: frozenset[str], path: str, hidden: list[str]
) -> dict[str, Any]:
    gone = [name for name in counts if groups[name] not in shown]
    hidden += [f"{path}.{name}" for name in gone]
    nothing: dict[str, Any] = dict.fromkeys(gone)
    return dict(counts) | nothing


def _cohort(cohort: Mapping[str, Any], shown: frozenset[str], hidden: list[str]) -> dict[str, Any]:
    told = _without({name: cohort[name] for name in _GROUP_OF_COHORT}, _GROUP_OF_COHORT, shown, "cohort", hidden)
    shares = {
        name: share if told[name] is not None and told["size"] is not None else None
        for name, share in cohort["shares"].items()
    }
    hidden += [
        f"cohort.shares.{name}"
        for name, share in shares.items()
        if share is None and cohort["shares"][name] is not None
    ]
    delays = {name: _delay(name, cohort["delays"][name], told, hidden) for name in DELAYS}
    of_sources: Mapping[str, Mapping[str, Any]] = cohort["false_positives"]
    if FALSE_POSITIVES not in shown:
        nothing: dict[str, None] = dict.fromkeys(("detected", "dismissed", "rate"))
        of_sources = dict.fromkeys(of_sources, nothing)
        hidden += [
            f"cohort.false_positives.{source}.{name}"
            for source, figures in cohort["false_positives"].items()
            for name, figure in figures.items()
            if figure is not None
        ]
    return {**cohort, **told, "shares": shares, "delays": delays, "false_positives": of_sources}


def _delay(name: DelayName, delay: Mapping[str, Any], cohort: Mapping[str, Any], hidden: list[str]) -> dict[str, Any]:
    """A delay from detection counts those who came to the step, another one some of them: it is not told how many."""
    begin, end = DELAYS[name]
    both = cohort[begin] is not None and cohort[end] is not None
    enough = both and (delay["n"] == 0 or delay["n"] >= LEAST)
    told = {
        "n": delay["n"] if enough and begin == "detected" else None,
        "median": delay["median"] if enough else None,
        "p90": delay["p90"] if enough else None,
    }
    hidden += [
        f"cohort.delays.{name}.{part}" for part, value in told.items() if value is None and delay[part] is not None
    ]
    return told
