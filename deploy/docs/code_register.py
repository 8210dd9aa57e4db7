"""What each stable code means and what mends it. Who adds a code to the sources adds it here; a test compares."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code."""

    code: str
    meaning: str
    remedy: str


Group = tuple[str, tuple[Code, ...]]

_ANY_SERVICE: Final = (
    Code("invalid_json", "The body is no JSON in UTF-8, or not the kind of JSON asked for.", "Send a JSON object."),
    Code(
        "invalid_request",
        "Fields or parameters are missing, unknown or wrong. `errors` names each with its own code.",
        "Mend the fields named in `errors` and send again.",
    ),
    Code("not_a_date", "A day that does not exist, or is not written YYYY-MM-DD.", "Write it as YYYY-MM-DD."),
    Code("not_a_time", "Not a moment in time.", "Write it as 2013-03-31T08:00:00Z, or a day as 2013-03-31."),
    Code("no_such_path", "No such path.", "See `/docs` of the service."),
    Code("method_not_allowed", "The path does not take this method.", "See `/docs` of the service."),
    Code("http_error", "Another error of HTTP.", "See `detail`."),
    Code(
        "idempotency_key_reused",
        "This Idempotency-Key came with another request before.",
        "Use a new key for a new command.",
    ),
    Code(
        "not_known_yet",
        "This service has not heard of it from the bus.",
        "If it exists, try again in a moment; `Retry-After` says when.",
    ),
    Code("bad_cursor", "The cursor is not one that this list gave.", "Give `next` of the page before, or none."),
    Code(
        "store_unavailable",
        "The store does not answer; whether it was done is not known.",
        "Send the same again with the same Idempotency-Key: it is done once.",
    ),
    Code("unexpected", "An error in the service itself.", "Report it; the service's log names the kind of error."),
    Code("unknown_publication", "There is no such publication.", "Begin one: POST /v1/journal/publications."),
    Code("unknown_dead_letter", "There is no such dead letter.", "List them: GET /v1/dead-letters."),
    Code("topic_not_read", "The dead letter is of a topic that this service no longer reads.", "Keep it or drop it."),
)

_ROWS: Final = (
    Code(
        "under_16",
        "Younger than 16 on the list's date. The row is dropped; only the count remains.",
        "Remove the row at its source.",
    ),
    Code(
        "malformed",
        "A needed field is missing or unreadable, or the line is no row of the list.",
        "Mend the field named, at the line named.",
    ),
    Code("over_25", "26 or older on the list's date.", "Remove the row: outside the age range 16 to 25."),
    Code("has_diploma", "Holds a diploma in the sense of D. 313-59.", "Remove the row: not a dropout by law."),
    Code("re_enrolled", "Enrolled again: `enrolled_in` holds a UAI.", "Remove the row at its source."),
    Code(
        "unknown_school",
        "No UAI (7 digits and a letter), or a wrong check letter.",
        "Correct it; `suggestion` may say how. In the catalogue: leave it out where there is no school.",
    ),
    Code(
        "unknown_commune",
        "No COG code of a known département. A postcode is not one.",
        "Give the commune's INSEE (COG) code.",
    ),
    Code("bad_dates", "The youth left after the list's date.", "Correct `left_on` or the campaign."),
    Code(
        "bad_header",
        "Of a list: columns are missing; the list is not taken in. Of a record: a CloudEvents header is not UTF-8.",
        "Of a list: add the columns named. Of a record: mend the producer.",
    ),
)

_WARNINGS: Final = (
    Code("bad_ine", "Malformed INE, or a wrong key. The row goes on without it.", "Correct it at its source."),
    Code("school_not_listed", "A well-formed UAI that is not in our list.", "Nothing, if it is right."),
    Code(
        "commune_not_listed",
        "A well-formed COG code that is not in our list, as after a merger. The département decides.",
        "Nothing, if it is right.",
    ),
    Code(
        "unreadable_optional",
        "An optional field could not be read. The row goes on without it.",
        "Correct it at its source.",
    ),
)

_REFERRAL: Final = (
    Code("not_csv", "The list came with another content type.", "Send it with Content-Type: text/csv."),
    Code("batch_too_large", "More than 32 MiB of events in one request.", "Send less at once, or a CSV list."),
    Code("import_exists", "There is an import of this identifier.", "Choose another Import-Id."),
    Code("unknown_import", "There is no such import, or it has not begun.", "Check the identifier."),
    Code(
        "directory_incomplete",
        "No platform is known yet for some département, so nobody could own its youths.",
        "Try again in a moment; if it stays, register the platform in the catalogue.",
    ),
    Code("unknown_youth", "There is no such youth.", "Find him in GET /v1/youths."),
    Code(
        "identity_disputed",
        "Several youths, or one with another INE or birth date, may be meant. `dispute_id` names the dispute.",
        "Settle it: POST /v1/disputes/{id}/resolution.",
    ),
    Code("already_dismissed", "The youth is dismissed.", "Nothing. A new sighting opens the case again."),
    Code("same_platform", "The youth belongs to that platform.", "Nothing."),
    Code(
        "before_assignment",
        "A transfer before the day of the assignment that holds.",
        "Give the day named in `detail` or a later one.",
    ),
    Code("unknown_dispute", "There is no such dispute.", "List them: GET /v1/disputes."),
    Code("already_resolved", "The dispute is settled.", "Nothing."),
    Code("not_a_candidate", "The youth named is no candidate of the dispute.", "Choose one of `candidates`."),
)

_CATALOGUE: Final = (
    Code("unknown_network", "There is no such network.", "Register it first: PUT /v1/networks/{id}."),
    Code("unknown_platform", "There is no such platform.", "List them: GET /v1/platforms."),
    Code("unknown_solution", "There is no such solution.", "List them: GET /v1/solutions."),
    Code("unknown_session", "The solution has no such session.", "Choose one of its `sessions`."),
    Code("unknown_academie", "No code of an académie.", "Two digits, 09 for Lille."),
    Code("unknown_departement", "No code of a département.", "59, 2A, 974."),
    Code(
        "academie_does_not_fit",
        "The département was never of that académie.",
        "Give the académie named in the message.",
    ),
    Code("position_incomplete", "One of `lon` and `lat` is missing.", "Give both or neither."),
    Code("repeated", "The same item twice in a list.", "Name it once."),
    Code("ends_before_start", "It ends before it starts (a contract: or on that day).", "Correct one of the days."),
    Code(
        "places_taken",
        "The new version has no room for seats that are held or occupied.",
        "Keep the session, with at least as many places.",
    ),
    Code("solution_withdrawn", "The solution is no longer offered.", "Choose another."),
    Code(
        "not_interviewed",
        "No interview of the youth is known in the catalogue.",
        "Record the interview in referral; if that was a moment ago, try again.",
    ),
    Code("already_offered", "The youth has an open offer in this session.", "Use it: `placement_id`."),
    Code("no_free_place", "All places of the session are taken.", "Choose another session or solution."),
    Code("unknown_placement", "There is no such placement.", "Check the identifier."),
)

_TRACKING: Final = (
    Code("already_answered", "The placement has this answer.", "Nothing."),
    Code("placement_declined", "The placement was declined.", "Offer the youth a new one."),
    Code("placement_expired", "The seat is no longer held.", "Offer the youth a new placement."),
    Code("placement_not_accepted", "The youth has not accepted the placement.", "Record the acceptance first."),
    Code("contract_signed", "A contract is signed on the placement.", "End that contract."),
    Code("contract_exists", "A contract was signed on this placement before.", "Offer a new placement."),
    Code("contract_running", "The youth has a contract that has not ended.", "End that one first."),
    Code("unknown_contract", "There is no such contract.", "List them: GET /v1/contracts."),
    Code("already_started", "The training has started.", "Nothing."),
    Code("not_started", "The training has not started.", "Record its start first."),
    Code("contract_ended", "The contract has ended.", "Nothing; the youth may have another."),
    Code("tutor_signature_needed", "The tutor's signature is missing.", "Give the day on which the tutor signed."),
    Code("youth_signature_needed", "The youth's signature is missing.", "Give the day on which the youth signed."),
    Code(
        "guardian_signature_needed",
        "The youth is a minor and no guardian signed.",
        "Give the day on which the legal guardian signed.",
    ),
    Code(
        "adult_needed",
        "The youth turns 18 in the month of the contract, and only the month is known.",
        "Say `adult`: true or false.",
    ),
    Code("signature_after_start", "A signature after the start.", "Correct the day of the signature or the start."),
    Code("civic_service_duration", "A civic service of less than 6 or more than 12 months.", "Correct the days."),
    Code("formula_needed", "A civic service without its formula.", "Say `full` or `combined`."),
    Code(
        "civic_service_hours",
        "Too few or too many hours a week for the formula.",
        "Full: 24 to 48. Combined: 21 to 35, of mission.",
    ),
    Code("social_clause_hours", "Not one of the hours of the social clause.", "150, 300, 450 or 900."),
    Code("next_review_not_after", "The next review is not after this one.", "Give a later day."),
    Code("end_before_signature", "The end is before the day of the contract.", "Correct the day."),
    Code("date_out_of_range", "A day outside 1900 to 2199.", "Correct it."),
)

_REPORTING: Final = (
    Code("period_upside_down", "`from` is after `to`.", "Swap them or mend one."),
    Code("as_of_in_future", "Figures are asked for as of a day that has not come.", "Give a day until today (UTC)."),
    Code(
        "being_computed",
        "The log is being read for this answer, which takes longer than a request waits.",
        "Ask again in a moment; `Retry-After` says when. It goes on meanwhile, and is done once.",
    ),
    Code(
        "log_unreadable",
        "The log could not be read.",
        "See that the broker answers, and try again.",
    ),
    Code(
        "log_made_anew",
        "The log was made anew since, so positions in it say nothing.",
        "Publish the journals again (`foquale republish`), and ask by day (`as_of`), by when it was recorded.",
    ),
    Code(
        "history_not_for_you",
        "Past figures and differences are for those who see all of the units asked for.",
        "Ask for the units of your own académie, or read the published bilans and the open data.",
    ),
    Code(
        "lineage_not_for_you",
        "The youths behind a figure are shown to those only who see all of the unit.",
        "Ask for a unit of your own académie.",
    ),
    Code("unknown_indicator", "The view has no such count.", "Give one of those that `detail` lists."),
    Code(
        "too_many_followers",
        "Five hundred pages of this process follow the figures already.",
        "Load the page again from time to time instead, or try again later.",
    ),
    Code(
        "period_not_whole_months",
        "A reader outside the académies asks for a part of a month.",
        "Begin on the first day of a month and end on the last day of one.",
    ),
    Code(
        "unknown_code",
        "`code` names a unit that the levels in `by` do not have.",
        "Use one of those that `detail` suggests.",
    ),
    Code(
        "not_your_academie",
        "The reader may not write for this académie.",
        "Ask its own staff or national staff; `FOQUALE_READER` says for whom the service answers.",
    ),
    Code(
        "version_moved",
        "Another version holds than `expected_version`: somebody was quicker.",
        "Read it, then send the `expected_version` that `version` names.",
    ),
    Code(
        "form_of_another_site",
        "The browser does not say that the form was sent from a page of this site.",
        "Open the page and send its form from there; programs use the interface under /v1.",
    ),
    Code("not_a_form", "What was sent to a page is no form.", "Programs use the interface under /v1."),
    Code("form_too_large", "A form of more than 256 KiB.", "Shorten its texts."),
    Code("form_unreadable", "A form that is not written as browsers write them.", "Send it from its page."),
    Code("build_running", "A rebuild or verification of the projection is running.", "Wait for its end, then begin."),
    Code("unknown_build", "There is no such rebuild or verification.", "Begin one: POST /v1/projection/rebuilds."),
    Code(
        "facts_moving",
        "Other replicas write to the same youths all the time.",
        "Nothing: it is tried again in a moment.",
    ),
    Code(
        "batch_refused",
        "The store refuses something of what is written together.",
        "Nothing: it comes again, and what is refused alone becomes a dead letter.",
    ),
    Code("rebuild_switch", "Another projection is about to take over.", "Nothing: it is tried again in a moment."),
    Code(
        "unknown_period", "A year has the periods 1 to 6; bilans are of the years 2000 to 2100.", "Give such a period."
    ),
    Code(
        "period_not_begun",
        "The period, of a bilan or of open data, has not begun.",
        "Ask from the day named in `detail` on.",
    ),
    Code("unknown_version", "The bilan has no such version.", "Leave `version` out: the latest is given."),
    Code("not_published", "No version of the bilan is frozen yet; drafts are for the académie.", "Ask again later."),
    Code("not_acceptable", "The bilan is not given in any format that Accept names.", "Use `?format=`."),
    Code("bilan_frozen", "The bilan is frozen: it no longer changes.", "Open a correction: POST .../corrections."),
    Code("not_frozen", "Only a frozen bilan is corrected; this one may still be changed.", "Change it as it is."),
    Code("not_validated", "A bilan is frozen once somebody stands for it.", "Validate it: POST .../validation."),
    Code("period_not_over", "A bilan is frozen once its period is over.", "Freeze it from the day in `detail` on."),
    Code("bilan_damaged", "A frozen bilan is not what was frozen: its hash differs.", "Restore it from a backup."),
    Code(
        "identity_in_text",
        "Something in a text looks like an INE, a phone number or an e-mail; everybody will read it.",
        "Take out what `errors` points at, by field and place.",
    ),
    Code("looks_like_email", "Something in a text looks like an e-mail address.", "Take it out."),
    Code("looks_like_ine", "Something in a text looks like an INE.", "Take it out."),
    Code("looks_like_phone", "Something in a text looks like a phone number.", "Take it out."),
    Code("bad_text", "A text is too long, or has characters that cannot be printed.", "Mend what `errors` names."),
    Code("control_character", "A text holds a character that cannot be printed.", "Take it out."),
    Code("string_too_long", "A text is too long.", "Shorten it."),
)

_DEAD_LETTERS: Final = (
    Code("empty", "The record has no value.", "Send the event's data."),
    Code("bad_json", "The data or the structured event is no JSON in UTF-8.", "Mend the producer."),
    Code("no_data", "A structured CloudEvent without `data`.", "Give `data`, as JSON."),
    Code("missing_attribute", "A CloudEvents attribute is missing or no text.", "Give specversion, id, type, source."),
    Code("unknown_specversion", "Another version of CloudEvents.", "Use 1.0."),
    Code("bad_time", "`time` is no RFC 3339 time.", "Write it as 2013-04-08T09:30:00Z."),
    Code("unknown_type", "Not a type that is read here.", "Check the type and its version."),
    Code("invalid_data", "The data do not fit the event's schema; `message` names the field.", "Mend the producer."),
    Code(
        "not_applicable",
        "The handler failed; `message` names the kind of error, the log has more.",
        "Mend the cause; it is tried again by itself for some days, or replay it.",
    ),
    Code(
        "second_contract",
        "Two contracts on one placement.",
        "Look at both contracts in tracking; end the wrong one.",
    ),
)

GROUPS: Final[tuple[Group, ...]] = (
    ("Any service", _ANY_SERVICE),
    ("Rows of SIEI lists and events: rejected", _ROWS),
    ("Rows of SIEI lists and events: warnings", _WARNINGS),
    ("Referral", _REFERRAL),
    ("Catalogue", _CATALOGUE),
    ("Tracking", _TRACKING),
    ("Reporting", _REPORTING),
    ("Events that cannot be read or applied", _DEAD_LETTERS),
)
