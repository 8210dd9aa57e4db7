"""`python -m tests.browser.service`: reporting as it is, but for the day that it believes to be: that of the campaign.

The clock goes on from there; a page has a year under way to show, whatever the year in which the tests run.
"""

from datetime import datetime

from services.reporting.app import app
from services.reporting.settings import ReportingSettings
from shared.clock import Clock, utc_now
from shared.service import serve
from tests.browser.campaign import TODAY


def clock_of_the_campaign() -> Clock:
    """Now it is `TODAY`."""
    behind = utc_now() - TODAY

    def now() -> datetime:
        return utc_now() - behind

    return now


if __name__ == "__main__":
    settings = ReportingSettings()
    serve(app(settings, clock=clock_of_the_campaign()), settings)
