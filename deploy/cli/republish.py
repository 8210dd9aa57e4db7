"""`foquale republish`: services publish their journals again, for a broker that has lost its log."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.addresses import PORTS, Addresses
from deploy.answers import Publication
from deploy.cli.failures import Failure
from deploy.client import Client, Unreachable

_POLL_S: Final = 0.2
_SILENT_S: Final = 60.0


async def run(services: Sequence[str], since: str | None, addresses: Addresses) -> None:
    """Let the services (all, when none is named) publish again what they recorded since then; wait until it is done."""
    unknown = sorted(set(services) - set(PORTS))
    if unknown:
        raise Failure(f"there is no service {', '.join(unknown)}; they are {', '.join(PORTS)}")
    moment = _moment(since)
    async with Client(addresses) as client:
        for ended in await republish(client, services or list(PORTS), moment, Console(stderr=True)):
            typer.echo(ended)


async def republish(client: Client, services: Sequence[str], since: str | None, console: Console) -> list[str]:
    """Publish again, all services side by side, with a progress bar each; a line on each service."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        async def one(service: str) -> str:
            publication = await client.publish_again(service, since)
            task = progress.add_task(service, total=publication["events"])

            def tell(published: int) -> None:
                progress.update(task, completed=published)

            done = await _watch(client, service, publication, tell)
            return f"{service}: {done['published']} events published again"

        return list(await asyncio.gather(*(one(service) for service in services)))


async def _watch(client: Client, service: str, publication: Publication, tell: Callable[[int], None]) -> Publication:
    """Wait for the end of a publication. `Failure` when it does not move, or when another one replaced it."""
    loop = asyncio.get_running_loop()
    moved_at, before = loop.time(), -1
    while publication["state"] == "running":
        await asyncio.sleep(_POLL_S)
        try:
            publication = await client.publication(service, publication["publication_id"])
        except Unreachable:  # it may be starting anew; the publication goes on then
            if loop.time() - moved_at > _SILENT_S:
                raise
            continue
        tell(publication["published"])
        if publication["published"] != before:
            moved_at, before = loop.time(), publication["published"]
        elif loop.time() - moved_at > _SILENT_S:
            raise Failure(
                f"{service} has published nothing for {_SILENT_S:g} s (of {publication['events']} events, {before} are "
                f"published); see its /ready and its log. It goes on by itself when it can."
            )
    if publication["state"] != "done":
        raise Failure(f"{service}: another publication was begun meanwhile, and goes on instead of this one")
    return publication


def _moment(since: str | None) -> str | None:
    """The moment as it is sent; `Failure` when there is none such."""
    if since is None:
        return None
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise Failure(f"--since {since}: write a moment as 2013-03-31T08:00:00Z, or a day as 2013-03-31") from None
    return moment.isoformat()
