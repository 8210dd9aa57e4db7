"""The judge, second part: seats, dead letters, and whether the services agree with each other. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    InterviewDone,
    PlacementExpired,
    PlacementOffered,
    ReviewDone,
    TrainingStarted,
)
from tests.chaos.checker import Evidence, Violation
from tests.chaos.observed import SUBSCRIBED, Place

_TAKES: Final = {"held": "held", "accepted": "held", "occupied": "occupied"}
_CATALOGUE_SAYS: Final = {
    "offered": ("held",),
    "accepted": ("accepted",),
    "declined": ("declined",),
    "expired": ("expired",),
    "contracted": ("occupied", "freed"),
}
"""State of a placement in tracking -> those in the catalogue that mean the same."""


def seats(evidence: Evidence) -> Iterator[Violation]:
    """No session has more youths than places, and its counters are what its placements say."""
    taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for placement in evidence.collection("catalogue", "placements"):
        if way := _TAKES.get(placement["state"]):
            taken[placement["session"]][way] += 1
    for session in evidence.collection("catalogue", "sessions"):
        key, count = session["_id"], taken[session["_id"]]
        over = count.total() - session["places"]
        if over > 0:
            yield Violation("oversold", f"session {key}: {count.total()} youths on {session['places']} places", over)
        counters = {way: session.get(way, 0) for way in ("held", "occupied")}
        if counters != {way: count[way] for way in ("held", "occupied")}:
            yield Violation("wrong", f"session {key} counts {counters}, its placements say {dict(count)}")


def placements(evidence: Evidence) -> Iterator[Violation]:
    """Each offer in the log is one placement in the catalogue and one in tracking, in states that mean the same."""
    catalogue, tracking = evidence.by_id("catalogue", "placements"), evidence.by_id("tracking", "placements")
    offered = {event["placement_id"] for event in evidence.of_type(PlacementOffered.TYPE)}
    for name, known in (("catalogue", catalogue), ("tracking", tracking)):
        for placement_id in sorted(offered - set(known)):
            yield Violation("lost", f"{name} does not know placement {placement_id}")
        for placement_id in sorted(set(known) - offered):
            yield Violation("doubled", f"{name} knows placement {placement_id}, which was never offered")
    expired = Counter(event["placement_id"] for event in evidence.of_type(PlacementExpired.TYPE))
    for placement_id, count in expired.items():
        if count > 1:
            yield Violation("doubled", f"placement {placement_id} expired {count} times", count - 1)
    for placement_id in sorted(set(catalogue) & set(tracking)):
        here, there = catalogue[placement_id], tracking[placement_id]
        if here["state"] == "expired" and not expired[placement_id]:
            yield Violation("lost", f"placement {placement_id} expired, and the log does not know")
        if "conflict" in here:
            # Accepted in time, but its seat had expired and gone to another before the catalogue heard of it.
            if here["state"] != "expired" or there["state"] not in ("accepted", "contracted"):
                yield Violation("wrong", f"placement {placement_id}: {here['conflict']}, though {here['state']}")
        elif here["state"] not in _CATALOGUE_SAYS[there["state"]]:
            yield Violation("lost", f"placement {placement_id}: tracking {there['state']}, catalogue {here['state']}")


def contracts(evidence: Evidence) -> Iterator[Violation]:
    """Tracking's contracts are what the log says; the catalogue's seats and referral's worklist follow them."""
    signed = {event["contract_id"]: event for event in evidence.of_type(ContractSigned.TYPE)}
    started = {event["contract_id"]: event["on"] for event in evidence.of_type(TrainingStarted.TYPE)}
    ended = {event["contract_id"]: event for event in evidence.of_type(ContractEnded.TYPE)}
    reviews: defaultdict[str, list[str]] = defaultdict(list)
    for event in evidence.of_type(ReviewDone.TYPE):
        reviews[event["contract_id"]].append(event["on"])
    stored = evidence.by_id("tracking", "contracts")
    for contract_id in sorted(set(signed) ^ set(stored)):
        where = "the log" if contract_id in signed else "tracking"
        yield Violation("lost", f"contract {contract_id} is in {where} alone")
    catalogue, youths = evidence.by_id("catalogue", "placements"), evidence.by_id("referral", "youths")
    for contract_id in sorted(set(signed) & set(stored)):
        contract, event, end = stored[contract_id], signed[contract_id], ended.get(contract_id)
        told = (started.get(contract_id), end and end["on"], sorted(reviews[contract_id]))
        kept = (contract["started_on"], contract["ended_on"], sorted(each["on"] for each in contract["reviews"]))
        if told != kept:
            yield Violation("lost", f"contract {contract_id}: the log says {told}, tracking {kept}")
        placement = catalogue.get(event["placement_id"], {})
        wanted = "freed" if end and end["on"] < event["ends_on"] else "occupied"
        if placement.get("state") != wanted and "conflict" not in placement:
            yield Violation("lost", f"contract {contract_id}: its seat is {placement.get('state')} and not {wanted}")
        youth = youths.get(event["youth_id"], {"open_contracts": [], "ended_contracts": []})
        where = "ended_contracts" if end else "open_contracts"
        if contract_id not in youth[where]:
            yield Violation("lost", f"contract {contract_id} is not among the {where} of youth {event['youth_id']}")
    for youth_id, count in Counter(c["youth_id"] for c in stored.values() if c["ended_on"] is None).items():
        if count > 1:
            yield Violation("doubled", f"youth {youth_id} has {count} contracts at once", count - 1)


def youths(evidence: Evidence) -> Iterator[Violation]:
    """Referral's youths are what the log says of them, and the others have heard of each."""
    contacts = Counter(event["youth_id"] for event in evidence.of_type(ContactAttempted.TYPE))
    interviews: dict[str, str] = {}
    for event in evidence.of_type(InterviewDone.TYPE):
        interviews[event["youth_id"]] = min(event["on"], interviews.get(event["youth_id"], event["on"]))
    detections = Counter(event["youth_id"] for event in evidence.of_type(DropoutDetected.TYPE))
    offerable, known = evidence.by_id("catalogue", "youths"), evidence.by_id("tracking", "youths")
    for youth_id, youth in evidence.by_id("referral", "youths").items():
        if youth["interviewed_on"] != interviews.get(youth_id):
            text = f"youth {youth_id}: interview {youth['interviewed_on']}, the log says {interviews.get(youth_id)}"
            yield Violation("lost", text)
        # A case that opened again, or whose contract ended, begins its attempts anew.
        if detections[youth_id] == 1 and not youth["ended_contracts"] and len(youth["attempts"]) != contacts[youth_id]:
            text = f"youth {youth_id}: {len(youth['attempts'])} attempts, {contacts[youth_id]} in the log"
            yield Violation("lost", text)
        if youth_id in interviews and youth_id not in offerable:
            yield Violation("lost", f"the catalogue has not heard of the interview of youth {youth_id}")
        if "birth_month" not in known.get(youth_id, {}):
            yield Violation("lost", f"tracking has not heard of the detection of youth {youth_id}")


def dead_letters(evidence: Evidence) -> Iterator[Violation]:
    """Dead letters are the planted records, in every service that reads their topic, and the malformed rows."""
    log = evidence.seen.log
    for place in log.unreadable:
        yield Violation("wrong", f"{place} is unreadable, and not by us")
    for planted in evidence.ledger.planted:
        if planted.confirmed and planted.tag not in log.planted:
            yield Violation("lost", f"{planted.tag} is not in {planted.topic}")
    rows = {row.ce_id: row.key for row in evidence.ledger.rows if row.expected == "dead"}
    row_at = {event.place: rows[event.id] for event in log.events if event.id in rows}
    for service, groups in SUBSCRIBED.items():
        topics = {topic for of_group in groups.values() for topic in of_group}
        letters: defaultdict[Place, list[dict[str, Any]]] = defaultdict(list)
        for letter in evidence.collection(service, "dead_letters"):
            letters[letter["topic"], letter["partition"], letter["offset"]].append(letter)
        yield from _planted(evidence, service, topics, {k: v for k, v in letters.items() if k not in row_at})
        if "siei.dropouts" in topics:
            yield from _malformed(row_at, letters)


def _planted(
    evidence: Evidence, service: str, topics: set[str], letters: Mapping[Place, list[dict[str, Any]]]
) -> Iterator[Violation]:
    at = {place: p for p in evidence.ledger.planted for place in evidence.seen.log.planted.get(p.tag, [])}
    wanted = {place: planted.code for place, planted in at.items() if place[0] in topics and planted.kept}
    for place in sorted(set(wanted) - set(letters)):
        yield Violation("lost", f"{service} has no dead letter of {place}")
    for place, found in sorted(letters.items()):
        codes = [letter["code"] for letter in found]
        if place not in wanted:
            yield Violation("wrong", f"{service} has a dead letter of {place}: {codes[0]}, {found[0]['message']}")
        elif len(codes) > 1:
            yield Violation("doubled", f"{service} has {len(codes)} dead letters of {place}")
        elif codes[0] != wanted[place]:
            yield Violation("wrong", f"{service}: {place} is {codes[0]}, not {wanted[place]}")


def _malformed(row_at: Mapping[Place, str], letters: Mapping[Place, list[dict[str, Any]]]) -> Iterator[Violation]:
    """A malformed row is a dead letter, at most one for each time that the log holds it."""
    found = {place: letters[place] for place in row_at if place in letters}
    for key in sorted(set(row_at.values()) - {row_at[place] for place in found}):
        yield Violation("lost", f"row {key} is malformed and no dead letter")
    for place, of_place in sorted(found.items()):
        if len(of_place) > 1:
            text = f"row {row_at[place]} is {len(of_place)} dead letters of {place}"
            yield Violation("doubled", text, len(of_place) - 1)
        if of_place[0]["code"] != "malformed":
            yield Violation("wrong", f"row {row_at[place]} is {of_place[0]['code']}, not malformed")
