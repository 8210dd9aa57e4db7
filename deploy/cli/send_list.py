"""`foquale import`: sends a SIEI list, shows how far it is, and tells what became of its rows."""

import asyncio
import csv
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.addresses import Addresses
from deploy.answers import ImportCounts
from deploy.cli.failures import Failure
from deploy.client import Client, ClientError, Refused, Unreachable

ERROR_COLUMNS = ("line", "column", "code", "message", "suggestion")
REJECTED_ROWS = 2

_CHUNK = 64 * 1024
_POLL_S = 0.25


async def run(file: Path, errors: Path | None, addresses: Addresses) -> None:
    """Import the list; ends the command with exit code 2 where rows were rejected."""
    if errors is not None and not errors.parent.is_dir():
        raise Failure(f"{errors} cannot be written: there is no directory {errors.parent}")
    async with Client(addresses) as client:
        counts = await import_list(client, file, Console(stderr=True))
        for line in summary(counts):
            typer.echo(line)
        if errors is not None:
            written = await write_errors(client, counts["import_id"], errors)
            typer.echo(f"{written} rejected rows in {errors}")
    if counts["rejected"]:
        raise typer.Exit(REJECTED_ROWS)


async def import_list(client: Client, file: Path, console: Console) -> ImportCounts:
    """Send the list with a progress bar and wait for its end. `Failure` when it could not be taken in."""
    size = _size(file)
    import_id = str(uuid4())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(file.name, total=size, rows=0)

        def advance(sent: int) -> None:
            progress.update(task, advance=sent)

        def tell(counts: ImportCounts) -> None:
            progress.update(task, rows=f"{counts['rows']:,}")

        watcher = asyncio.create_task(_watch(client, import_id, tell))
        try:
            counts = await client.send_list(_chunks(file, advance), import_id)
        except Unreachable as error:
            raise Failure(await _broken_off(client, import_id, error)) from error
        except Refused as error:
            raise Failure(_refused(file, error)) from error
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        while counts["state"] == "running":
            await asyncio.sleep(_POLL_S)
            counts = await client.import_counts(import_id) or counts
        tell(counts)
    if counts["state"] == "failed":
        raise Failure(f"referral could not take in {file}: {counts.get('reason') or 'no reason given'}")
    return counts


def summary(counts: ImportCounts) -> list[str]:
    """What became of the rows, a line each."""
    rejected, warnings = counts["rejected"], counts["warnings"]
    return [
        f"{counts['rows']} rows",
        *(f"  {name:<10}{counts[name]:>9}" for name in ("accepted", "matched", "disputed", "repeated")),
        f"  {'rejected':<10}{sum(rejected.values()):>9}",
        *(f"    {code:<18}{number:>6}" for code, number in rejected.items()),
        *([f"  {'warnings':<10}{sum(warnings.values()):>9}"] if warnings else []),
        *(f"    {code:<18}{number:>6}" for code, number in warnings.items()),
    ]


async def write_errors(client: Client, import_id: str, file: Path) -> int:
    """Write every rejected row's line, column, code, message and suggestion; how many there are."""
    number = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow(ERROR_COLUMNS)
        async for item in client.import_errors(import_id):
            row = (item["line"], item["field"], item["code"], item["message"], item.get("suggestion") or "")
            writer.writerow(row)
            number += 1
    return number


def _size(file: Path) -> int:
    if file.is_dir():
        raise Failure(f"{file} is a directory; give a CSV file")
    if not file.exists():
        raise Failure(f"there is no file {file}")
    return file.stat().st_size


async def _chunks(file: Path, advance: Callable[[int], None]) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    descriptor = await loop.run_in_executor(None, os.open, file, os.O_RDONLY)
    try:
        while chunk := await loop.run_in_executor(None, os.read, descriptor, _CHUNK):
            yield chunk
            advance(len(chunk))
    finally:
        os.close(descriptor)


async def _watch(client: Client, import_id: str, tell: Callable[[ImportCounts], None]) -> None:
    """Tell how many rows are done while the list is sent; a question that fails is asked again."""
    while True:
        await asyncio.sleep(_POLL_S)
        try:
            counts = await client.import_counts(import_id)
        except ClientError:
            continue
        if counts is not None:
            tell(counts)


async def _broken_off(client: Client, import_id: str, error: Unreachable) -> str:
    """What to say when the connection broke: how much referral has, if it can be asked."""
    try:
        counts = await client.import_counts(import_id)
    except Unreachable:
        raise error from None
    if counts is None:
        raise error
    return (
        f"the connection to referral broke ({error}); {counts['rows']} rows were taken in. Send the list again: rows "
        "that are there already only count as repeated."
    )


def _refused(file: Path, error: Refused) -> str:
    if error.code == "bad_header":
        return f"{file}, {error.detail}"
    return f"referral refuses {file} ({error.code}): {error.detail}"
