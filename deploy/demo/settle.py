"""Waits until what was done is in the figures."""

import asyncio
from typing import Final

from deploy.addresses import PORTS
from deploy.answers import Indicators
from deploy.cli.failures import Failure
from deploy.client import Client

_PAUSE_S: Final = 0.25


async def settled(client: Client, *, first: str, last: str, deadline_s: float = 60.0) -> Indicators:
    """The figures of a period, national and by académie, once they hold all that was done.

    That is when no service has an event left to publish, reporting has applied all that was published, and two
    answers in a row are the same. `Failure` when that is not so within the deadline.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + deadline_s
    before: Indicators | None = None
    while True:
        pending = [
            await client.metric(service, name)
            for service in PORTS
            for name in ("foquale_outbox_pending", "foquale_journal_left")
        ]
        answer = await client.indicators(
            by=("national", "academie"), first=first, last=last, view=("activity", "cohort")
        )
        behind = [source["topic"] for source in answer["sources"] if source["lag"] != 0]
        if not any(pending) and not behind and before is not None and answer["rows"] == before["rows"]:
            return answer
        if loop.time() > give_up_at:
            raise Failure(
                f"the figures do not come to rest within {deadline_s:g} s: {sum(pending):.0f} events to publish, "
                f"reporting is behind on {', '.join(behind) or 'nothing'}"
            )
        before = answer
        await asyncio.sleep(_PAUSE_S)
