"""The commands and their options. Each imports what it needs when it runs, so that help is quick."""
# ruff: noqa: PLC0415

import asyncio
import os
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from deploy.addresses import addresses
from deploy.cli.failures import Commands

_DATA_DIR = Path(".foquale")

app = typer.Typer(
    name="foquale",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"foquale {metadata.version('foquale')}")
        raise typer.Exit


@app.callback()
def foquale(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Run France's FOQUALE networks: from the SIEI lists of young people who left school to académie indicators.

    `foquale up` starts everything on this machine, `foquale demo` shows it at work.
    """


@app.command()
def up(
    data_dir: Annotated[Path, typer.Option(help="Where the data and the logs are kept.")] = _DATA_DIR,
    public: Annotated[
        bool, typer.Option("--public", help="Show what the public sees: small counts are hidden.")
    ] = False,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C.

    A real mongod (replica set), a Kafka-protocol broker and the four services, on 127.0.0.1. Prints `ready` alone on a
    line when every service answers. Data stay in the data directory for the next start. Until there is a sign-in,
    reporting shows what national staff see, or with --public what everybody may.

    Example: `foquale up --data-dir /var/tmp/foquale`
    """
    from deploy.up import run

    run(data_dir, public=public)


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="Where its data are kept; WIPED at the start.")] = _DATA_DIR / "demo",
    campaign: Annotated[
        Path | None, typer.Option(help="Play this simulated campaign (`foquale simulate`) instead of the shipped one.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", envvar="ONCE", help="End when the figures have been shown.")] = False,
) -> None:
    """Show everything at work: start it, import a campaign, play the platforms' work, print the indicators.

    The figures are compared with what the campaign must add up to; a difference makes the exit code 1. On a terminal
    everything then stays up until Ctrl-C.

    Example: `ONCE=1 foquale demo`
    """
    from deploy.demo import run

    run(data_dir, campaign, once=once)


@app.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A SIEI list: CSV in UTF-8 with a header line.")],
    errors: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="Write each rejected row's line, column, code and message.")
    ] = None,
    referral: Annotated[str | None, typer.Option(metavar="URL", help="Where referral is.")] = None,
) -> None:
    """Send a SIEI list to referral and tell what became of its rows.

    Exit code 0, or 2 where rows were rejected, or 1 where the list could not be taken in.

    Example: `foquale import siei-2013-03.csv --errors rejected.csv`
    """
    from deploy.cli.send_list import run

    asyncio.run(run(file, errors, addresses(_override(referral=referral))))


@app.command()
def simulate(
    youths: Annotated[int, typer.Option(min=0, max=5_000_000, help="How many people the lists name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; made if need be.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 2013,
) -> None:
    """Make up a realistic 2013: two SIEI lists, the platforms' later work, and what all that must add up to.

    Real communes, schools and académies; the people are made up. Writes `siei-2013-03.csv`, `siei-2013-10.csv`,
    `work.jsonl` and `expected.json`.

    Example: `foquale simulate --youths 2500 --seed 7 --out /tmp/campaign`
    """
    from deploy.simulate import simulate as make_up
    from shared.reference import load

    made = make_up(youths, seed, out, load())
    typer.echo(f"{made.rows} rows in two lists and {made.work} pieces of work in {out}")


@app.command()
def indicators(
    *,
    by: Annotated[
        str, typer.Option(metavar="LEVELS", help="national, academie, departement, network; several with commas.")
    ] = "national,academie",
    first: Annotated[str | None, typer.Option("--from", metavar="D", help="First day of the period (ISO).")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="D", help="Last day of the period (ISO).")] = None,
    view: Annotated[str, typer.Option(metavar="VIEWS", help="activity, cohort, or both.")] = "activity",
    code: Annotated[str, typer.Option(metavar="CODES", help="Only these units, e.g. 09,24.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The service's answer as JSON, and nothing else.")] = False,
    reporting: Annotated[str | None, typer.Option(metavar="URL", help="Where reporting is.")] = None,
) -> None:
    """Show the table of indicators.

    Examples: `foquale indicators --by academie --from 2013-01-01 --to 2013-12-31`,
    `foquale indicators --view cohort --code 25 --json`
    """
    from deploy.cli.indicators import Question, run

    question = Question(by=by, first=first, last=last, view=view, code=code)
    asyncio.run(run(question, addresses(_override(reporting=reporting)), as_json=as_json))


@app.command()
def quality(
    *,
    first: Annotated[str | None, typer.Option("--from", metavar="D", help="First day of the period (ISO).")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="D", help="Last day of the period (ISO).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The service's answer as JSON, and nothing else.")] = False,
    reporting: Annotated[str | None, typer.Option(metavar="URL", help="Where reporting is.")] = None,
) -> None:
    """Show how good what comes in is: lists by upstream base, rejects, silence, disputes, dead letters.

    Example: `foquale quality --from 2013-03-01`
    """
    from deploy.cli.quality import run

    asyncio.run(run(first, last, addresses(_override(reporting=reporting)), as_json=as_json))


@app.command()
def objectives(
    *,
    year: Annotated[int, typer.Option(metavar="Y", help="A calendar year.")],
    as_json: Annotated[bool, typer.Option("--json", help="The service's answer as JSON, and nothing else.")] = False,
    reporting: Annotated[str | None, typer.Option(metavar="URL", help="Where reporting is.")] = None,
) -> None:
    """Show each académie's objective of a year, how far it has come, and where it will land.

    Example: `foquale objectives --year 2013`
    """
    from deploy.cli.objectives import run

    asyncio.run(run(year, addresses(_override(reporting=reporting)), as_json=as_json))


@app.command()
def republish(
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE]...", help="referral, catalogue, tracking, reporting; or all."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Only what was recorded at or after it, e.g. 2013-03-31.")
    ] = None,
) -> None:
    """Publish services' journals again, for a broker that has lost its log or a new and empty one.

    Every event a service ever published is in its journal. Whoever has seen one before knows it: nothing changes
    downstream. The services go on meanwhile.

    Examples: `foquale republish`, `foquale republish referral --since 2013-03-31T08:00:00Z`
    """
    from deploy.cli.republish import run

    asyncio.run(run(services or [], since, addresses()))


@app.command()
def mend(
    apply: Annotated[
        bool, typer.Option("--apply", help="Publish it again, and let go of what cannot be read and is before it.")
    ] = False,
) -> None:
    """Read all of Kafka's log and tell what of it cannot be read, as where a disk has lost a bit.

    Readers stand still before such records. With --apply the services that wrote the partition publish their journals
    again (whoever has seen an event before knows it), and then it begins behind them. Everything goes on meanwhile.
    Kafka is where FOQUALE_KAFKA_BOOTSTRAP says. Exit code 0 when all can be read or was mended, 1 otherwise.

    Examples: `foquale mend`, `foquale mend --apply`
    """
    from deploy.cli.mend import run

    asyncio.run(run(addresses(), apply=apply))


@app.command()
def rebuild(
    *,
    origin: Annotated[
        str,
        typer.Option(
            "--from", metavar="ORIGIN", help="log: as it lies on the bus; journals: let services publish theirs first."
        ),
    ] = "log",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Switch even where the log tells of fewer youths than are live.")
    ] = False,
    reporting: Annotated[str | None, typer.Option(metavar="URL", help="Where reporting is.")] = None,
) -> None:
    """Build reporting's figures anew from all events, beside the live ones, and switch to them in one step.

    Everything goes on meanwhile; live events wait for some milliseconds at the switch.

    Example: `foquale rebuild --from journals`
    """
    from deploy.cli.rebuild import rebuild as run

    asyncio.run(run(origin, addresses(_override(reporting=reporting)), anyway=anyway))


@app.command()
def verify(
    reporting: Annotated[str | None, typer.Option(metavar="URL", help="Where reporting is.")] = None,
) -> None:
    """Recompute all facts and figures from the log and print every difference to the live ones.

    Changes nothing. Exit code 0, or 1 where anything differs.
    """
    from deploy.cli.rebuild import verify as run

    asyncio.run(run(addresses(_override(reporting=reporting))))


@app.command("dead-letters")
def dead_letters(
    *,
    service: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="Of one service; else of all.")] = None,
    state: Annotated[str, typer.Option(metavar="STATE", help="waiting, replayed, or all.")] = "waiting",
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Only those with this reason.")] = None,
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="Only those of this topic.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, originals in base64, and nothing else.")] = False,
) -> None:
    """List the records that services could not read or apply, with the reason.

    Examples: `foquale dead-letters`, `foquale dead-letters referral --code invalid_data --json`
    """
    from deploy.cli.dead_letters import show

    asyncio.run(show(service, {"state": state, "code": code, "topic": topic}, addresses(), as_json=as_json))


@app.command()
def replay(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service that keeps them.")],
    dead_letter: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="These.")] = None,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="All that wait with this reason.")] = None,
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="All that wait and are of this topic.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
) -> None:
    """Let a service apply dead letters again, once what was wrong is mended. What was applied before changes nothing.

    Exit code 0, or 2 where some still cannot be applied.

    Examples: `foquale replay tracking --code not_applicable`, `foquale replay reporting --all`
    """
    from deploy.cli.dead_letters import replay as run

    asyncio.run(run(service, dead_letter or [], {"code": code, "topic": topic}, addresses(), every=every))


@app.command()
def init(
    replica_set: Annotated[
        bool,
        typer.Option("--replica-set", help="Also form MongoDB's replica set from the servers in FOQUALE_MONGO_URL."),
    ] = False,
) -> None:
    """Prepare a deployment, once: create the topics and each service's collections and indexes.

    Safe to run again. Where MongoDB and Kafka are comes from FOQUALE_MONGO_URL and FOQUALE_KAFKA_BOOTSTRAP.
    """
    from deploy.cli.init import run

    asyncio.run(run(replica_set=replica_set))


def _override(**urls: str | None) -> dict[str, str]:
    """The environment, with the addresses given on the command line before it."""
    given = {f"FOQUALE_{service.upper()}_URL": url for service, url in urls.items() if url}
    return {**os.environ, **given}
