"""What must come out, counted from what the load noted of each life: no code of the reporting service, sums of numpy.

`tests/support/oracle.py` counts the same one youth at a time, by the text of the definitions; a test holds both equal.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.bench.events import SOURCES, STEPS, Truth, owners
from tests.support import oracle
from tests.support.oracle import DELAYS

LEVELS: Final = ("national", "academie", "departement", "network")
PERIODS: Final[tuple[tuple[date | None, date | None], ...]] = (
    (None, None),
    (date(2013, 1, 1), date(2013, 12, 31)),
    (date(2013, 3, 11), date(2013, 6, 20)),
    (date(2013, 5, 2), date(2013, 5, 2)),
    (None, date(2013, 4, 30)),
)

Figure = tuple[str, str, str, str, str]
"""Académie, département, network, day (ISO) and measure, as reporting's projection names it."""
Mask = NDArray[np.bool_]
Ends = tuple[str, str]


_ALONE: Final = ("lapsed", "unknown", "false_positives")
_DELAYS: Final = tuple(f"delay:{begin}_to_{end}:" for begin, end in DELAYS)


class Wrong(Exception):
    """Figures are not what they must be."""


def common(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row every way of counting that is measured here counts: what reporting counts beyond it, is held to the
    plain oracle elsewhere.
    """
    cohort = {name: value for name, value in row["cohort"].items() if name not in _ALONE}
    shares = {name: share for name, share in cohort["shares"].items() if name not in _ALONE}
    return {
        "activity": row["activity"],
        "dismissed_by_source": row["dismissed_by_source"],
        "cohort": {**cohort, "shares": shares},
    }


NOBODY: Final = common(oracle.NOBODY)


def _is_common(measure: str) -> bool:
    if measure.startswith("delay:"):
        return measure.startswith(_DELAYS)
    return not measure.startswith(("cohort:detected:", "cohort:dismissed:"))


def rows(
    truth: Truth, first: date | None, last: date | None, levels: Sequence[str] = LEVELS
) -> dict[tuple[str, str], dict[str, Any]]:
    """The figures over a period, both ends included, of every unit that has a youth: (level, code) -> row."""
    return {(level, code): row for level in levels for code, row in _of_level(truth, level, first, last).items()}


def _of_level(truth: Truth, level: str, first: date | None, last: date | None) -> dict[str, dict[str, Any]]:
    codes, unit = _units(truth, level)
    low = first.toordinal() if first else 1
    high = last.toordinal() if last else date.max.toordinal()

    def within(days: NDArray[np.int32]) -> Mask:
        return (days >= low) & (days <= high)

    def count(youths: Mask) -> NDArray[np.int64]:
        return np.bincount(unit[youths], minlength=len(codes))

    standing = truth.dismissed == 0
    dismissed = within(truth.dismissed)
    cohort = standing & within(truth.first[:, 0])
    activity = {step: count(standing & within(truth.first[:, at])) for at, step in enumerate(STEPS)}
    by_source = {name: count(dismissed & (truth.source == at)) for at, name in enumerate(SOURCES)}
    steps = {step: count(cohort & (truth.first[:, at] > 0)) for at, step in enumerate(STEPS) if at}
    size, dropped = count(cohort), count(~standing & within(truth.first[:, 0]))
    delays = {f"{begin}_to_{end}": _delays(truth, cohort, unit, len(codes), (begin, end)) for begin, end in DELAYS}
    found: dict[str, dict[str, Any]] = {}
    for at, code in enumerate(codes):
        reached = {step: int(of[at]) for step, of in steps.items()}
        n = int(size[at])
        not_known = n - reached["reached"]
        sources = {name: int(of[at]) for name, of in by_source.items()}
        found[code] = {
            "activity": {**{step: int(of[at]) for step, of in activity.items()}, "dismissed": sum(sources.values())},
            "dismissed_by_source": sources,
            "cohort": {
                "size": n,
                "detected": n,
                **reached,
                "not_known": not_known,
                "dismissed": int(dropped[at]),
                "shares": {
                    step: round(some / n, 4) if n else None
                    for step, some in (*reached.items(), ("not_known", not_known))
                },
                "delays": {name: of[at] for name, of in delays.items()},
            },
        }
    return found


def _units(truth: Truth, level: str) -> tuple[list[str], NDArray[np.int64]]:
    """The codes of a level, and for each youth the index of its own."""
    if level == "national":
        return ["FR"], np.zeros(len(truth.owner), np.int64)
    names = [{"academie": o.academie, "departement": o.departement, "network": o.network_id}[level] for o in owners()]
    codes, of_owner = np.unique(np.array(names), return_inverse=True)
    return codes.tolist(), of_owner[truth.owner].astype(np.int64)


def _delays(truth: Truth, cohort: Mask, unit: NDArray[np.int64], units: int, ends: Ends) -> list[dict[str, Any]]:
    one, other = (truth.first[:, STEPS.index(end)] for end in ends)
    both = cohort & (one > 0) & (other > 0)
    of, days = unit[both], np.maximum(0, other[both] - one[both])
    order = np.lexsort((days, of))
    days = days[order]
    bounds = np.searchsorted(of[order], np.arange(units + 1))
    return [_spread(days[low:high]) for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]


def _spread(days: NDArray[np.int32]) -> dict[str, Any]:
    n = len(days)
    if n == 0:
        return {"n": 0, "median": None, "p90": None}
    middle = (int(days[(n - 1) // 2]) + int(days[n // 2])) / 2
    return {"n": n, "median": middle, "p90": int(days[-(-9 * n // 10) - 1])}


def figures(truth: Truth) -> Counter[Figure]:
    """Every figure that is not 0: how many youths count on which day in which measure of which network."""
    found: Counter[Figure] = Counter()
    names = [f"dismissed:{source}" for source in SOURCES]
    for days, dismissed, source, at in zip(
        truth.first.tolist(), truth.dismissed.tolist(), truth.source.tolist(), truth.owner.tolist(), strict=True
    ):
        owner = owners()[at]
        leaf = owner.academie, owner.departement, owner.network_id
        if dismissed:
            counts = [(dismissed, "dismissed"), (dismissed, names[source]), (days[0], "cohort:dismissed")]
        else:
            counts = [(day, step) for step, day in zip(STEPS, days, strict=True) if day]
            counts += [(days[0], f"cohort:{step}") for step, day in zip(STEPS[1:], days[1:], strict=True) if day]
            for begin, end in DELAYS:
                one, other = days[STEPS.index(begin)], days[STEPS.index(end)]
                if one and other:
                    counts.append((days[0], f"delay:{begin}_to_{end}:{max(0, other - one)}"))
        for day, measure in counts:
            found[(*leaf, date.fromordinal(day).isoformat(), measure)] += 1
    return found


def assert_france(found: Mapping[Figure, int], truth: Truth, who: str) -> None:
    """`found` holds every figure of all France, by day and measure, and no other. Raises Wrong."""
    expected: Counter[Figure] = Counter()
    for (_, _, _, day, measure), count in figures(truth).items():
        expected["", "", "", day, measure] += count
    _assert_same(found, expected, who)


def assert_figures(found: Mapping[Figure, int], truth: Truth, who: str) -> None:
    """`found` holds every figure that all count (`common`), and no other of these. Raises Wrong."""
    _assert_same(found, figures(truth), who)


def _assert_same(found: Mapping[Figure, int], expected: Mapping[Figure, int], who: str) -> None:
    kept = {figure: count for figure, count in found.items() if count and _is_common(figure[4])}
    if kept != expected:
        wrong = [f for f in {**kept, **expected} if kept.get(f, 0) != expected.get(f, 0)]
        told = "; ".join(f"{f} is {kept.get(f, 0)} instead of {expected.get(f, 0)}" for f in sorted(wrong)[:3])
        raise Wrong(f"{who}: {len(wrong)} of {len(expected)} figures are wrong: {told}")


def assert_answers(url: str, truth: Truth, *, periods: Iterable[tuple[date | None, date | None]] = PERIODS) -> int:
    """Reporting's answers of all levels over these periods hold the figures; the number of rows. Raises Wrong."""
    compared = 0
    with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as http:
        for first, last in periods:
            expected = rows(truth, first, last)
            days = {name: day.isoformat() for name, day in (("from", first), ("to", last)) if day is not None}
            answer = http.get("/v1/indicators", params={"by": ",".join(LEVELS), **days}).raise_for_status().json()
            shown = {(row["by"], row["code"]): row for row in answer["rows"]}
            missing = {unit for unit, row in expected.items() if row != NOBODY} - set(shown)
            if missing or len(shown) != len(answer["rows"]):
                raise Wrong(f"rows are missing or twice, from {first} to {last}: {sorted(missing)[:3]}")
            for unit, row in shown.items():
                told = common(row)
                if told != expected.get(unit, NOBODY):
                    raise Wrong(f"the row of {unit} from {first} to {last} is {told}, not {expected.get(unit, NOBODY)}")
            compared += len(shown)
    return compared
