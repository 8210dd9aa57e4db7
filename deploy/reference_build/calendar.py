"""When entries into the solutions are, from February 2013 to September 2014."""

from collections.abc import Mapping
from datetime import date
from typing import Final
from zlib import crc32

from shared.events.base import Kind

Period = tuple[date, date]


def _periods(*texts: str) -> tuple[Period, ...]:
    pairs = (text.split("/") for text in texts)
    return tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in pairs)


# The school year 2013-14 began on 3 September and ended on 4 July; 2012-13 ended on 5 July.
_SCHOOL = (
    _periods("2013-03-18/2013-07-05", "2013-09-03/2014-07-04", "2014-03-10/2014-07-04"),
    _periods("2013-09-03/2014-07-04", "2013-11-04/2014-07-04", "2014-09-02/2015-07-03"),
    _periods("2013-04-02/2013-07-05", "2013-10-07/2014-07-04", "2014-01-06/2014-07-04"),
    _periods("2013-09-03/2014-07-04", "2014-01-06/2014-07-04"),
)
# In New Caledonia and Wallis-et-Futuna the school year is the calendar year.
_SOUTHERN_SCHOOL = _periods("2013-02-18/2013-12-13", "2013-07-01/2013-12-13", "2014-02-17/2014-12-12")
_SOUTHERN: Final = frozenset({"40", "42"})

_CALENDARS: Final[Mapping[Kind, tuple[tuple[Period, ...], ...]]] = {
    "school": _SCHOOL,
    "innovative_structure": (
        _periods("2013-03-04/2013-07-05", "2013-09-03/2014-07-04", "2014-02-03/2014-07-04"),
        _periods("2013-09-03/2014-07-04", "2014-01-06/2014-07-04", "2014-09-02/2015-07-03"),
    ),
    "apprenticeship": (
        _periods("2013-03-04/2014-08-29", "2013-09-09/2015-08-28"),
        _periods("2013-09-02/2015-08-28", "2013-11-04/2015-08-28", "2014-09-01/2016-08-26"),
        _periods("2013-10-14/2015-08-28", "2014-03-03/2015-08-28"),
    ),
    "trainee": (
        _periods("2013-03-18/2013-10-31", "2013-10-14/2014-05-30", "2014-03-17/2014-10-31"),
        _periods("2013-04-15/2013-12-20", "2013-11-18/2014-06-27"),
    ),
    "civic_service": (
        _periods("2013-03-01/2013-10-31", "2013-10-01/2014-06-30", "2014-03-03/2014-10-31"),
        _periods("2013-04-02/2013-12-31", "2013-11-04/2014-07-04"),
    ),
    "social_clause": (
        _periods("2013-04-08/2013-07-05", "2013-10-07/2014-04-04"),
        _periods("2013-05-13/2013-11-15", "2013-11-12/2014-05-16", "2014-04-07/2014-10-10"),
    ),
    "mission_locale": (
        _periods("2013-02-18/2013-08-30", "2013-09-16/2014-03-28", "2014-03-31/2014-09-30"),
        _periods("2013-03-11/2013-09-13", "2013-10-07/2014-04-11"),
    ),
}


def sessions(kind: Kind, academie: str, solution_id: str) -> tuple[Period, ...]:
    """First and last day of each entry into a solution, in order."""
    if academie in _SOUTHERN and kind in ("school", "innovative_structure"):
        return _SOUTHERN_SCHOOL
    choices = _CALENDARS[kind]
    return choices[crc32(solution_id.encode()) % len(choices)]
