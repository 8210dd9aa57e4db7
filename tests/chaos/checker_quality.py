"""The judge, fourth part: what is told of lists, disputes and dead letters, and what reporting keeps of it. Pure."""

from collections import Counter
from collections.abc import Iterator

from shared.events import DisputeOpened, DisputeSettled, ListTakenIn
from shared.events.dead_letters import KEPT, SETTLED
from tests.chaos.checker import Evidence, Kind, Violation


def dead_letters(evidence: Evidence) -> Iterator[Violation]:
    """Each dead letter of a service that tells of its own is told once, and once more when it is settled."""
    for service in KEPT:
        letters = evidence.by_id(service, "dead_letters")
        settled = {key for key, letter in letters.items() if letter.get("state") == "replayed"}
        for type_, there in ((KEPT[service].TYPE, set(letters)), (SETTLED[service].TYPE, settled)):
            told = Counter(event["dead_letter_id"] for event in evidence.of_type(type_))
            yield from _compare(f"{type_} of dead letter", Counter(there), told)


def disputes(evidence: Evidence) -> Iterator[Violation]:
    """Each dispute is told once when it opens, and once when it is settled."""
    there = evidence.by_id("referral", "disputes")
    settled = {key for key, dispute in there.items() if dispute["state"] == "resolved"}
    for model, wanted in ((DisputeOpened, set(there)), (DisputeSettled, settled)):
        told = Counter(event["dispute_id"] for event in evidence.of_type(model.TYPE))
        yield from _compare(f"{model.TYPE} of dispute", Counter(wanted), told)


def lists(evidence: Evidence) -> Iterator[Violation]:
    """What is told of rows is what referral keeps of them: of those taken in, and of those rejected by code."""
    rows, rejected = 0, Counter[str]()
    for event in evidence.of_type(ListTakenIn.TYPE):
        for counts in event["counts"]:
            rows += sum(counts[name] for name in ("accepted", "matched", "disputed"))
            rejected.update(counts["rejected"])
    there = sum(not key.startswith("SPONTANEOUS|") for key in evidence.by_id("referral", "rows"))
    yield from _compare("rows", Counter({"taken in": there}), Counter({"taken in": rows}))
    for document in evidence.collection("referral", "rejection_counts"):
        told = rejected[document["_id"]]
        if told < document["rows"]:  # one that was sent twice counts once there
            yield Violation("lost", f"{document['_id']}: {document['rows']} rows rejected, {told} told")


def kept(evidence: Evidence) -> Iterator[Violation]:
    """Reporting keeps each list event, dispute and dead letter that the log tells of, once."""
    generation = next((slot["generation"] for slot in evidence.collection("reporting", "slots")), 1)
    behind = "" if generation == 1 else f"_{generation}"
    letters = {
        f"{service}|{event['dead_letter_id']}"
        for table in (KEPT, SETTLED)
        for service, model in table.items()
        for event in evidence.of_type(model.TYPE)
    }
    told = {
        "taken_lists": {event.id for event in evidence.events.values() if event.type == ListTakenIn.TYPE},
        "disputes": {
            event["dispute_id"] for model in (DisputeOpened, DisputeSettled) for event in evidence.of_type(model.TYPE)
        },
        "told_dead_letters": letters,
    }
    for name, wanted in told.items():
        found = evidence.by_id("reporting", f"{name}{behind}")
        yield from _compare(f"reporting's {name}", Counter(wanted), Counter(dict.fromkeys(found, 1)))


def _compare(what: str, wanted: Counter[str], found: Counter[str]) -> Iterator[Violation]:
    for key in sorted({*wanted, *found}):
        if wanted[key] != found[key]:
            kind: Kind = "lost" if found[key] < wanted[key] else "doubled"
            count = abs(found[key] - wanted[key])
            yield Violation(kind, f"{what} {key}: {found[key]}, not {wanted[key]}", count)
