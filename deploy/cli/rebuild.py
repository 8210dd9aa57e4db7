"""`foquale rebuild` and `foquale verify`: figures built anew, or recomputed and compared, beside the live ones."""

import asyncio
import json
from typing import Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.addresses import PORTS, Addresses
from deploy.answers import Build
from deploy.cli.failures import Failure
from deploy.cli.republish import republish
from deploy.client import Client, Unreachable

Origin = Literal["log", "journals"]

_POLL_S: Final = 0.2
_AWAY_S: Final = 60.0


async def rebuild(origin: str, addresses: Addresses, *, anyway: bool) -> None:
    """Build anew and switch. `Failure` with the reason when it was refused or failed."""
    if origin not in ("log", "journals"):
        raise Failure(f"--from {origin}: it is log or journals")
    console = Console(stderr=True)
    async with Client(addresses) as client:
        if origin == "journals":
            for line in await republish(client, [name for name in PORTS if name != "reporting"], None, console):
                typer.echo(line)
        build = await _watched(client, "rebuild", console, anyway=anyway)
    if build["state"] != "done":
        raise Failure(f"the projection was not rebuilt ({build['state']}): {build['reason']}")
    typer.echo(
        f"rebuilt: {build['read']} events, {build['youths']} youths, generation {build['generation']} is live; "
        f"live events waited {build['held_ms']} ms"
    )


async def verify(addresses: Addresses) -> None:
    """Recompute, and print every difference; ends the command with exit code 1 where there is any."""
    async with Client(addresses) as client:
        build = await _watched(client, "verification", Console(stderr=True))
    found = build["differences"]
    if build["state"] != "done" or found is None:
        raise Failure(f"the projection was not verified ({build['state']}): {build['reason']}")
    for item in found["items"]:
        typer.echo(sentence(item))
    if found["total"] > len(found["items"]):
        typer.echo(f"... and {found['total'] - len(found['items'])} more")
    typer.echo(f"verified: youths={build['youths']} figures={build['figures']} differences={found['total']}")
    if found["total"]:
        raise typer.Exit(1)


def sentence(item: dict[str, object]) -> str:
    """One difference in a line."""
    values = f"live {_text(item['live'])}, recomputed {_text(item['recomputed'])}"
    if "youth_id" in item:
        return f"youth {item['youth_id']} {item['field']}: {values}"
    return f"{item['level']} {item['code']} {item['day']} {item['measure']}: {values}"


def _text(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


async def _watched(
    client: Client, kind: Literal["rebuild", "verification"], console: Console, *, anyway: bool = False
) -> Build:
    """Begin a build and wait for its end, with a progress bar."""
    build_id = await client.begin_build(kind, anyway=anyway)
    loop = asyncio.get_running_loop()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(kind, total=None)
        answered_at = loop.time()
        while True:
            try:
                build = await client.build(kind, build_id)
                answered_at = loop.time()
            except Unreachable:
                if loop.time() - answered_at > _AWAY_S:
                    raise
                await asyncio.sleep(_POLL_S)
                continue
            progress.update(task, completed=build["read"], total=build["of"] or None)
            if build["state"] != "running":
                return build
            await asyncio.sleep(_POLL_S)
