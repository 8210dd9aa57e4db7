"""The fields of the inbound SIEI event, which are those of the CSV list: referral's rules judge them, not the wire."""

from typing import Any, Final, get_args

from services.referral.eligibility import NEEDED
from shared.events.base import Source
from shared.siei_csv import COLUMNS

_DESCRIPTIONS: Final = {
    "campaign": "Month of the list, YYYY-MM; its last day is the reference date.",
    "source": "The base that lists the youth.",
    "source_row": "Identifier of the row in its base; the same one in the same campaign is the same row.",
    "ine": "National pupil identifier; often missing.",
    "family_name": "Family name.",
    "given_names": "Given names; commas between them, a hyphen joins a compound one.",
    "birth_date": "Date of birth, YYYY-MM-DD.",
    "sex": "F or M.",
    "address": "Street address.",
    "postal_code": "Postcode; decides nothing.",
    "commune": "Commune of residence, INSEE (COG) code.",
    "phone": "Telephone.",
    "email": "E-mail address.",
    "guardian_name": "Name of the legal guardian.",
    "guardian_phone": "Telephone of the legal guardian.",
    "last_school": "UAI of the school the youth left.",
    "last_course": "Code of the course (MEF), where known.",
    "last_level": "Class or diploma prepared, in words.",
    "status": "scolaire or apprenti.",
    "left_on": "Day the youth left, YYYY-MM-DD; not after the reference date.",
    "highest_diploma": "Code of the highest diploma; empty, NONE, DNB and CFG are none in the sense of the law.",
    "followed_by_mission_locale": "true, false or empty.",
    "enrolled_in": "UAI where the youth is enrolled again; empty where he is not.",
}
_SPECIAL: Final[dict[str, dict[str, Any]]] = {
    "campaign": {"pattern": r"^\d{4}-\d{2}$"},
    "source": {"enum": list(get_args(Source))},
    "birth_date": {"format": "date"},
    "sex": {"enum": ["F", "M"]},
    "left_on": {"format": "date"},
    "followed_by_mission_locale": {"type": ["string", "boolean"]},
}


def siei_schema(title: str, description: str) -> dict[str, Any]:
    """JSON schema of the data of the inbound event."""
    return {
        "title": title,
        "description": description,
        "type": "object",
        "required": list(NEEDED),
        "properties": {
            name: {"type": "string", "description": _DESCRIPTIONS[name], **_SPECIAL.get(name, {})} for name in COLUMNS
        },
    }
