"""`foquale mend`: what of Kafka's log nobody can read any more is let go, and comes again from the journals."""

from datetime import datetime
from typing import Final

import typer
from rich.console import Console

from deploy.addresses import PORTS, Addresses
from deploy.cli.failures import Failure
from deploy.cli.republish import republish
from deploy.client import Client
from shared.bus import BusError, Damage, Inspection, inspection
from shared.events import TOPICS, SieiDropout
from shared.settings import ServiceSettings

_FOUND: Final = 1


async def run(addresses: Addresses, *, apply: bool) -> None:
    """Tell what cannot be read; with `apply` let go of it, and let the services publish their journals again."""
    settings = ServiceSettings(service="mend", port=0)
    try:
        await mend(settings, addresses, apply=apply)
    except (BusError, OSError) as error:
        raise Failure(
            f"Kafka does not answer as it should at {settings.kafka_bootstrap} ({error}); FOQUALE_KAFKA_BOOTSTRAP says "
            "where it is."
        ) from error


async def mend(settings: ServiceSettings, addresses: Addresses, *, apply: bool) -> None:
    """The same of a broker that these settings name."""
    async with inspection(settings) as look:
        damages = await look.damages([settings.topic(topic) for topic in TOPICS])
        for each in damages:
            several = f"s {each.first} to {each.beyond - 1}" if each.beyond - each.first > 1 else f" {each.first}"
            typer.echo(f"{_where(each)}: record{several} cannot be read")
        if not damages:
            typer.echo("every record of the log can be read")
            return
        siei = settings.topic(SieiDropout.TOPIC)
        for each in damages:
            if each.topic == siei:
                typer.echo(await _lost(look, settings, each))
        if not apply:
            typer.echo("`foquale mend --apply` publishes it again, and lets go of them and of what is before them")
            raise typer.Exit(_FOUND)
        writers = [service for service in PORTS if settings.topic(f"{service}.events") in {d.topic for d in damages}]
        # Only what lies behind the damage as well is let go: whatever ends this, the damage is found again.
        async with Client(addresses) as client:
            for line in await republish(client, writers, None, Console(stderr=True)):
                typer.echo(line)
        await look.let_go(damages)
        for each in damages:
            typer.echo(f"{_where(each)}: begins with record {each.beyond} now")


async def _lost(look: Inspection, settings: ServiceSettings, damage: Damage) -> str:
    """Which rows the upstream bases must send again, in words: no journal has what they put there."""
    group = f"{settings.topic_prefix}foquale.referral.siei"
    taken = await look.log.committed(group, [damage.topic])
    unread = min(damage.first, taken.get((damage.topic, damage.partition), 0))
    since = await look.written_at(damage.topic, damage.partition, max(0, min(unread, damage.first - 1)))
    until = await look.written_at(damage.topic, damage.partition, damage.beyond)
    period = f"from {_moment(since, 'the beginning')} to {_moment(until, 'now')}"
    return f"{_where(damage)}: let the upstream bases send again what they sent {period}; twice does no harm"


def _moment(at: datetime | None, otherwise: str) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else otherwise


def _where(damage: Damage) -> str:
    return f"{damage.topic}, partition {damage.partition}"
