"""`foquale dead-letters` and `foquale replay`: see what services could not read or apply, and let them try again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import typer
from rich.table import Table

from deploy.addresses import PORTS, Addresses
from deploy.answers import JsonObject
from deploy.cli.failures import Failure
from deploy.cli.tables import wide_console
from deploy.client import Client, Refused

STILL_DEAD: Final = 2
_STATES: Final = ("waiting", "replayed", "all")


async def show(service: str | None, filters: Mapping[str, str | None], addresses: Addresses, *, as_json: bool) -> None:
    """List the dead letters of a service, or of all."""
    if filters["state"] not in _STATES:
        raise Failure(f"--state {filters['state']}: it is one of {', '.join(_STATES)}")
    wanted = {name: value for name, value in filters.items() if value and value != "all"}
    async with Client(addresses) as client:
        found = [
            {"service": name, **item}
            for name in ([_known(service)] if service else PORTS)
            async for item in client.dead_letters(name, **wanted)
        ]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not found:
        typer.echo("no dead letters")
        return
    wide_console().print(table(found))


def table(found: Sequence[JsonObject]) -> Table:
    """A line each: who keeps it, why and since when, when it is tried again, and its identifier for `replay`."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("service", "code", "kept", "tries", "next try", "identifier", "what is wrong"):
        shown.add_column(name, no_wrap=name == "identifier", overflow="fold")
    for item in found:
        moments = [str(item[name])[:19].replace("T", " ") if item[name] else "–" for name in ("kept_at", "next_try_at")]
        shown.add_row(
            *(str(cell) for cell in (item["service"], item["code"], moments[0], item["replays"], moments[1])),
            str(item["dead_letter_id"]),
            str(item["message"]),
        )
    return shown


async def replay(
    service: str,
    identifiers: Sequence[str],
    filters: Mapping[str, str | None],
    addresses: Addresses,
    *,
    every: bool,
) -> None:
    """Let a service apply dead letters again; ends the command with exit code 2 where some still cannot be."""
    wanted = {name: value for name, value in filters.items() if value}
    if bool(identifiers) + bool(wanted) + every != 1:
        raise Failure("say which: identifiers (`foquale dead-letters` lists them), or --code and --topic, or --all")
    async with Client(addresses) as client:
        known = _known(service)
        if identifiers:
            replayed, failed = await _each(client, known, identifiers)
        else:
            replayed, failed = await _all(client, known, wanted)
    typer.echo(f"{replayed} replayed")
    for code, number in sorted(failed.items()):
        typer.echo(f"{number} still cannot be applied: {code}")
    if failed:
        raise typer.Exit(STILL_DEAD)


async def _each(client: Client, service: str, identifiers: Sequence[str]) -> tuple[int, Counter[str]]:
    failed: Counter[str] = Counter()
    for identifier in identifiers:
        try:
            await client.replay(service, identifier)
        except Refused as error:
            if error.status != 409:
                raise
            failed[error.code] += 1
    return len(identifiers) - failed.total(), failed


async def _all(client: Client, service: str, wanted: Mapping[str, str]) -> tuple[int, Counter[str]]:
    failed: Counter[str] = Counter()
    replayed, cursor = 0, None
    while True:
        answer = await client.replay_all(service, wanted, cursor)
        replayed += answer["replayed"]
        failed.update(answer["failed"])
        cursor = answer["next"]
        if cursor is None:
            return replayed, failed


def _known(service: str) -> str:
    if service not in PORTS:
        raise Failure(f"there is no service {service}; they are {', '.join(PORTS)}")
    return service
