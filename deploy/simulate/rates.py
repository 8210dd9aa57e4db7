"""How often what happens, and where that is known from. Shares of 1 unless said.

Published for 2013: over 180,000 contacted, over 100,000 interviewed, 34,000 taken in charge, 20,000 back in training
and 3,000 in civic service. Where only ranges are known a figure within is used.
"""

from datetime import date
from typing import Final

FIRST_CAMPAIGN: Final = "2013-03"
SECOND_CAMPAIGN: Final = "2013-10"
CAMPAIGNS: Final = (FIRST_CAMPAIGN, SECOND_CAMPAIGN)
REFERENCE_DATES: Final = {FIRST_CAMPAIGN: date(2013, 3, 31), SECOND_CAMPAIGN: date(2013, 10, 31)}
LAST_DAY: Final = date(2014, 6, 30)
"""The work is told up to this day; what would come later has not happened yet."""

IN_FIRST_CAMPAIGN: Final = 0.4

# Months in which the youths of a list left school: 60 % of a year's exits are in June to September.
EXIT_MONTHS: Final[dict[str, tuple[tuple[int, int, float], ...]]] = {
    FIRST_CAMPAIGN: (
        (2012, 6, 14), (2012, 7, 12), (2012, 8, 3), (2012, 9, 13), (2012, 10, 11), (2012, 11, 10), (2012, 12, 8),
        (2013, 1, 11), (2013, 2, 9), (2013, 3, 9),
    ),
    SECOND_CAMPAIGN: (
        (2013, 4, 8), (2013, 5, 9), (2013, 6, 25), (2013, 7, 21), (2013, 8, 5), (2013, 9, 21), (2013, 10, 11),
    ),
}  # fmt: skip

SEX_F: Final = 0.47
AGES: Final = ((16, 15), (17, 20), (18, 22), (19, 14), (20, 9), (21, 6), (22, 5), (23, 4), (24, 3), (25, 2))
"""Age on the list's reference date and its weight: 16 to 18 make 57 %."""

SOURCES: Final = (
    ("SCOLARITE", 0.70),
    ("AGRICULTURE", 0.04),
    ("APPRENTISSAGE", 0.11),
    ("MISSION_LOCALE", 0.09),
    ("ETABLISSEMENT", 0.06),
)
"""In the order in which the national list puts them one after the other."""

SOURCE_ORDER: Final = {source: position for position, (source, _) in enumerate(SOURCES)}

FOLLOWED_BY_MISSION_LOCALE: Final = 0.17
"""Besides those whom the missions locales' own base lists, who all are: 24 % in all."""

# Who has left school without a diploma, in relation to the inhabitants of an académie: the published rates of 2011
# (16 to 25 years old, in per cent), the national one where none is published.
RATE_FRANCE: Final = 10.5
RATES: Final = {
    "01": 4.9,
    "14": 7.0,
    "20": 14.0,
    "27": 15.7,
    "28": 14.0,
    "31": 14.0,
    "32": 14.0,
    "33": 14.0,
    "43": 14.0,
}

# Defects of the lists.
MISSING_INE: Final = {"AGRICULTURE": 0.7, "MISSION_LOCALE": 0.05}
MISSING_INE_ELSEWHERE: Final = 0.012
BAD_INE: Final = 0.003
WRONG_PHONE: Final = 0.17
TWICE_IN_A_CAMPAIGN: Final = 0.015
SCHOOL_NOT_LISTED: Final = 0.004
COMMUNE_NOT_LISTED: Final = 0.003

REJECTED: Final = {
    "under_16": 0.005,
    "malformed": 0.002,
    "over_25": 0.002,
    "has_diploma": 0.004,
    "re_enrolled": 0.004,
    "unknown_school": 0.003,
    "unknown_commune": 0.0015,
    "bad_dates": 0.0015,
}
OTHER_ROLES: Final = {"other_birth_date": 0.0008, "namesake": 0.0005, "repeated": 0.001}
SPONTANEOUS: Final = 0.0005
AT_LEAST: Final = 2
"""Of each of these there are so many at least, in a simulation of 500 youths or more."""

# Seen again in the second campaign, by what had become of the youth by then.
SEEN_AGAIN: Final = {"unreached": 0.35, "reached": 0.15, "broken": 0.30, "in_contract": 0.03, "dismissed": 0.06}

# The platforms' work.
DISMISSED: Final = 0.35
DISMISSED_AFTER_CONTACT: Final = 0.6
NOT_ATTEMPTED: Final = 0.02
UNREACHABLE: Final = 0.20
DECLINES_CONTACT: Final = 0.04
WALKS_IN: Final = 0.05
INTERVIEWED: Final = 0.56
TRANSFERRED: Final = 0.015
OFFERED: Final = 0.42
ACCEPTED: Final = 0.85
REFUSED: Final = 0.09
SECOND_OFFER: Final = 0.5
SIGNED: Final = 0.93
STARTED: Final = 0.92
BROKEN: Final = 0.13
OTHERWISE_ENDED: Final = 0.07
BEGINS_AGAIN: Final = 0.25

DISMISSAL_REASONS: Final = (
    ("already_in_training", 70),
    ("has_diploma", 7),
    ("out_of_scope", 9),
    ("moved_abroad", 3),
    ("error", 10.5),
    ("deceased", 0.5),
)
KINDS: Final = (
    ("school", 33),
    ("innovative_structure", 4),
    ("apprenticeship", 11),
    ("trainee", 13),
    ("civic_service", 9),
    ("mission_locale", 21),
    ("social_clause", 9),
)
"""What is wished for. Once started, the first four are returns to training."""

LEVELS: Final = (
    ("CAP/BEP", 51),
    ("college", 18),
    ("bac pro", 12),
    ("lycee", 11),
    ("other", 8),
)
