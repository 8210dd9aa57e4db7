"""The judge, third part: the figures, counted three ways. Pure.

Each replica's answers are held against a plain count of the log's events; the national ones against what the clients
were told, too; and reporting's own recomputation must differ in nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from shared.events import YouthEvent
from tests.chaos.checker import MODELS, Evidence, Violation
from tests.chaos.ledger import Command
from tests.support import oracle
from tests.support.oracle import Happened

_NAMES: Final = ("by", "code", "label")
_STEPS: Final = {
    "contact": ("attempted",),
    "interview": ("reached", "interviewed"),
    "offer": ("offered",),
    "contract": ("contracted",),
    "end": ("broken",),
}


def happened(evidence: Evidence) -> list[Happened]:
    """The log's events about youths, each once."""
    return [
        Happened(event.id, event.time, cast(YouthEvent, MODELS[event.type].model_validate_json(event.data)))
        for event in evidence.events.values()
        if issubclass(MODELS[event.type], YouthEvent)
    ]


def live(evidence: Evidence) -> Iterator[Violation]:
    """Every figure of every unit, from each replica, over each period."""
    events = happened(evidence)
    for figures in evidence.seen.figures:
        counted = oracle.indicators(events, figures.first, figures.last, figures.lapsed_before)
        for unit in sorted({*counted, *figures.rows}):
            row = figures.rows.get(unit, oracle.NOBODY)
            shown = {name: value for name, value in row.items() if name not in _NAMES}
            for where, answered, wanted in differences(shown, counted.get(unit, oracle.NOBODY)):
                period = f"{figures.first or '...'} to {figures.last or '...'}"
                text = f"{figures.replica} {'/'.join(unit)} {period} {where}: {answered}, the log says {wanted}"
                yield Violation("drift", text)


def recomputed(evidence: Evidence) -> Iterator[Violation]:
    """What reporting finds when it recomputes its projection."""
    for difference in evidence.seen.differences:
        yield Violation("drift", f"recomputed: {difference}")


def told(evidence: Evidence) -> Iterator[Violation]:
    """The national figures are what the clients were told; what nobody answered counts if it was done."""
    wanted = counted_from_ledger(evidence)
    for figures in evidence.seen.figures:
        if figures.first is None and figures.last is None:
            answered = figures.rows.get(("national", "FR"), oracle.NOBODY)["activity"]
            for where, value, count in differences(answered, wanted):
                yield Violation("drift", f"{figures.replica} national {where}: {value}, the clients were told {count}")


def counted_from_ledger(evidence: Evidence) -> dict[str, int]:
    """Youths by step, and the dismissed, as the ledger tells: of the log only whether what nobody answered was done."""
    steps: defaultdict[str, set[str]] = defaultdict(set)
    detected: defaultdict[str, str] = defaultdict(str)
    for row in evidence.ledger.rows:
        youth = evidence.youth_of.get(row.key) if row.expected == "youth" and row.outcome != "refused" else None
        if youth is not None:
            detected[youth] = max(detected[youth], row.on)
            steps["detected"].add(youth)
    dismissed: set[str] = set()
    for command in evidence.ledger.commands:
        if not command.youth or not _was_done(evidence, command):
            continue
        for step in _steps(command):
            steps[step].add(command.youth)
        if command.do == "dismissal" and detected[command.youth] <= command.on:
            dismissed.add(command.youth)
    return {step: len(steps[step] - dismissed) for step in oracle.COUNTS_WHEN} | {"dismissed": len(dismissed)}


def _was_done(evidence: Evidence, command: Command) -> bool:
    if command.outcome == "unknown" and command.effect is not None:
        return evidence.effects[command.effect] > 0
    return command.outcome == "ok"


def _steps(command: Command) -> tuple[str, ...]:
    match command.do:
        case "contact" if command.body["outcome"] in ("reached", "declined"):
            return "attempted", "reached"
        case "start":
            return ("civic_service" if command.kind == "civic_service" else "returned",)
        case "end" if command.body["reason"] not in ("dropped_out", "lost"):
            return ()
    return _STEPS.get(command.do, ())


def differences(answered: Any, wanted: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each figure that differs: where, the one answered, the one wanted."""
    if isinstance(answered, Mapping) and isinstance(wanted, Mapping):
        for name in sorted({*answered, *wanted}):
            yield from differences(answered.get(name), wanted.get(name), f"{where}.{name}".lstrip("."))
    elif answered != wanted:
        yield where, answered, wanted
