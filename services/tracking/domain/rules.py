"""What a contract FQE must fulfil; each rule gives all its failures, so that a request can be mended in one go."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from services.tracking.domain.contract import Signatures, Terms
from services.tracking.domain.outcome import Failure
from shared.events.base import Kind

MAJORITY = 18
SOCIAL_CLAUSE_HOURS = (150, 300, 450, 900)
# Hours of mission a week, both ends included. Full: 24 hours and more, at most a legal working week. Combined: 21 hours
# of mission beside about 10 hours at school, which 35 hours still leave room for.
CIVIC_SERVICE_HOURS = {"full": (24, 48), "combined": (21, 35)}


def contract_failures(terms: Terms, kind: Kind, birth_month: str) -> tuple[Failure, ...]:
    """All that is wrong with the terms of a contract, for a solution of this kind and a youth born in `YYYY-MM`."""
    return (
        *_dates(terms),
        *_signatures(terms.signatures, terms.starts_on),
        *_guardian(terms, birth_month),
        *(_civic_service(terms) if kind == "civic_service" else ()),
        *(_social_clause(terms) if kind == "social_clause" else ()),
    )


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _dates(terms: Terms) -> Iterator[Failure]:
    if terms.ends_on <= terms.starts_on:
        yield Failure("ends_on", "ends_before_start", f"must be after starts_on, {terms.starts_on}")


def _signatures(signatures: Signatures, starts_on: date) -> Iterator[Failure]:
    """Tutor and youth sign; nobody signs after the start (circular 2013-035)."""
    given = {"tutor": signatures.tutor, "youth": signatures.youth, "guardian": signatures.guardian}
    for party, day in given.items():
        if day is None and party != "guardian":
            yield Failure(f"signatures.{party}", f"{party}_signature_needed", f"the day on which the {party} signed")
        if day is not None and day > starts_on:
            yield Failure(f"signatures.{party}", "signature_after_start", f"must not be after starts_on, {starts_on}")


def _guardian(terms: Terms, birth_month: str) -> Iterator[Failure]:
    """A minor's guardian signs as well. Where the month of birth settles the age, `adult` decides nothing."""
    born_year, born_month = (int(part) for part in birth_month.split("-"))
    months_since_majority = (terms.on.year - born_year - MAJORITY) * 12 + terms.on.month - born_month
    if months_since_majority == 0 and terms.adult is None:
        yield Failure("adult", "adult_needed", f"the youth turns {MAJORITY} in this month: of age on {terms.on}?")
        return
    minor = months_since_majority < 0 or (months_since_majority == 0 and not terms.adult)
    if minor and terms.signatures.guardian is None:
        yield Failure(
            "signatures.guardian",
            "guardian_signature_needed",
            f"the youth is a minor on {terms.on}: the day on which the legal guardian signed",
        )


def _civic_service(terms: Terms) -> Iterator[Failure]:
    """6 to 12 months, whichever way the last day is counted, and the hours a week of the formula."""
    ends_on, starts_on = terms.ends_on, terms.starts_on
    if ends_on + timedelta(days=1) < months_later(starts_on, 6) or ends_on > months_later(starts_on, 12):
        yield Failure("ends_on", "civic_service_duration", "a civic service lasts 6 to 12 months from starts_on")
    if terms.formula is None:
        yield Failure("formula", "formula_needed", "a civic service is `full`, or `combined` with schooling")
        return
    least, most = CIVIC_SERVICE_HOURS[terms.formula]
    if terms.hours_per_week is None or not least <= terms.hours_per_week <= most:
        yield Failure(
            "hours_per_week",
            "civic_service_hours",
            f"a {terms.formula} civic service has {least} to {most} hours of mission a week",
        )


def _social_clause(terms: Terms) -> Iterator[Failure]:
    """The hours that a public market may set aside (clause sociale de formation)."""
    if terms.hours not in SOCIAL_CLAUSE_HOURS:
        allowed = ", ".join(str(hours) for hours in SOCIAL_CLAUSE_HOURS)
        yield Failure("hours", "social_clause_hours", f"the social clause has one of {allowed} hours")
