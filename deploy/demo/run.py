"""The demo: start everything, then list, work, list, work in the order of the year, then the figures."""

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.addresses import Addresses
from deploy.answers import Indicators
from deploy.cli.failures import Failure
from deploy.cli.send_list import import_list
from deploy.cli.tables import ACTIVITY, print_delays, print_figures, wide_console
from deploy.client import Client
from deploy.demo.campaign import Campaign, Work
from deploy.demo.player import Player
from deploy.demo.settle import settled
from deploy.demo.verify import figure_differences, list_differences
from deploy.up import Machine, Stopped, for_whom, stay_up, stoppable

SHIPPED: Final = Path(__file__).with_name("data")
_SHOWN: Final = ACTIVITY[:-1]
_MARKER: Final = ".foquale-demo"


def run(data_dir: Path, campaign: Path | None, *, once: bool) -> None:
    """`foquale demo`. Exit code 1 where a figure is not what it must be."""
    played = Campaign(campaign or SHIPPED)
    stays = sys.stdout.isatty() and not once
    with stoppable(), suppress(Stopped):
        _wipe(data_dir)
        with Machine(data_dir) as machine:
            began = time.monotonic()
            machine.start(typer.echo)
            typer.echo(f"everything is up after {time.monotonic() - began:.1f} s")
            right = asyncio.run(show(played, Addresses(**machine.urls)))
            _addresses(machine)
            if stays:
                typer.echo("everything stays up until Ctrl-C")
                stay_up(machine)
        if not right:
            raise Failure("the figures are not what the campaign adds up to")


async def show(campaign: Campaign, addresses: Addresses) -> bool:
    """Import, play, and print the figures; whether they are what the campaign must add up to."""
    console = wide_console()
    began = time.monotonic()
    expected = campaign.expected
    rejected: Counter[str] = Counter()
    differences: list[str] = []
    async with Client(addresses) as client:
        player = Player(client)
        total = sum(expected["work"].values())
        since = ""
        for name, day, file in campaign.lists:
            if since:
                await _play(player, campaign.work(since=since, before=day), total)
            counts = await import_list(client, file, Console(stderr=True))
            rejected.update(counts["rejected"])
            differences += list_differences(name, expected["lists"][name], counts)
            outcomes = ", ".join(f"{counts[name]} {name}" for name in ("accepted", "matched", "disputed", "repeated"))
            typer.echo(f"{file.name}: {counts['rows']} rows: {outcomes}, {sum(counts['rejected'].values())} rejected")
            await player.learn_youths(name)
            since = day
        await _play(player, campaign.work(since=since), total)
        work_took = time.monotonic() - began
        period = expected["indicators"]
        answer = await settled(client, first=period["from"], last=period["to"])
        differences += figure_differences(period, answer["rows"])
        typer.echo(
            f"{player.done.total()} pieces of work in {work_took:.1f} s ({player.again} tried again), "
            f"figures at rest after {time.monotonic() - began:.1f} s"
        )
        _print_figures(console, answer, f"{period['from']} to {period['to']}")
        await _print_rows(client, rejected)
    return _print_check(console, differences)


def _print_figures(console: Console, answer: Indicators, period: str) -> None:
    rows = answer["rows"]
    print_figures(console, rows, "activity", f"Youths by académie, {period}", _SHOWN)
    national = [row for row in rows if row["by"] == "national"]
    print_delays(console, national, "Of those detected in the period: median days (90th percentile)")


async def _print_rows(client: Client, rejected: Counter[str]) -> None:
    total = sum(rejected.values())
    codes = ", ".join(f"{code} {n}" for code, n in sorted(rejected.items()))
    typer.echo(f"{total} rows rejected{': ' if codes else ''}{codes}")
    reasons = Counter([str(dispute["reason"]) async for dispute in client.disputes()])
    found = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
    typer.echo(f"{reasons.total()} disputes for a person to settle{': ' if found else ''}{found}")


def _print_check(console: Console, differences: list[str]) -> bool:
    if not differences:
        console.print("Every figure is what the campaign adds up to.", style="bold green")
        return True
    console.print(f"{len(differences)} figures differ from what the campaign adds up to:", style="bold red")
    for difference in differences:
        console.print(f"  {difference}", markup=False)
    return False


def _addresses(machine: Machine) -> None:
    urls = machine.urls
    typer.echo("\n".join(f"{service:<10} {url}/docs" for service, url in urls.items()))
    reporting = urls["reporting"]
    typer.echo(f"pages      {reporting}/ (France), {reporting}/academies/09 (Lille), {reporting}/definitions")
    typer.echo(f"reader     {for_whom(os.environ.get('FOQUALE_READER'))}")
    typer.echo(f"indicators {reporting}/v1/indicators?by=national,academie&from=2013-01-01&to=2013-12-31")


async def _play(player: Player, work: Iterable[Work], total: int) -> None:
    """Play with a progress bar that counts all the work of the campaign."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("the platforms' work", total=total, completed=player.done.total())
        player.told = lambda done: progress.update(task, completed=done)
        await player.play(work)


def _wipe(data_dir: Path) -> None:
    """Empty the demo's own directory; one that is somebody else's is left alone."""
    marker = data_dir / _MARKER
    if data_dir.exists() and any(data_dir.iterdir()) and not marker.exists():
        raise Failure(
            f"{data_dir} is not the demo's (it has no {_MARKER}) and would be wiped; choose another --data-dir"
        )
    for child in data_dir.iterdir() if data_dir.exists() else ():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    data_dir.mkdir(parents=True, exist_ok=True)
    marker.touch()
