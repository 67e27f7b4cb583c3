"""Commands that bring files into the lake, and write sample files as a user would bring them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from lake.errors import BadInput, NotFound, counted
from service.cli.forward import Group
from service.cli.given import as_date, open_lake, settings_of
from service.cli.options import LakeOption
from service.cli.questions import by_option, given_values, lake_and_json, option_of
from service.ingests import INGESTS, companions, named
from service.parameters import parameters_of
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

sample_app = typer.Typer(
    add_completion=False, help="Write sample files, as a user would bring them.", no_args_is_help=True
)


def group() -> click.Group:
    """A command for each entry of INGESTS."""
    found = Group("ingest", help="Bring files into the lake: market data, positions, P&L, hierarchies and more.")
    for what in INGESTS:
        found.add_command(_command(what))
    return found


def _command(what: str) -> click.Command:
    kind, path = INGESTS[what], click.Path(path_type=Path)
    files = click.Argument(
        ["files"],
        type=path,
        required=True,
        nargs=-1 if kind.several else 1,
        metavar="FOLDER" if kind.folder else "FILE..." if kind.several else "FILE",
    )

    def run(**given: Any) -> None:
        _bring(what, given)

    dry_run = click.Option(["--dry-run"], is_flag=True, help="Say what would be loaded, and store nothing.")
    suggest = [
        click.Option(
            ["--suggest"], is_flag=True, help="Only guess how the file is mapped, and show its first rows so."
        ),
        click.Option(["--out"], type=path, help="Write the suggestion to this file; default to the terminal."),
    ]
    options = [
        *map(option_of, parameters_of(kind.options)),
        dry_run,
        *(suggest if kind.suggest else ()),
        *lake_and_json(),
    ]
    about = f"{kind.meaning}\n\n{'FOLDER' if kind.folder else 'FILE'}: {kind.files}"
    return click.Command(what, callback=run, params=[files, *options], help=about, short_help=kind.meaning)


def _bring(what: str, given: dict[str, Any]) -> None:
    """Brings the files in, here or as a job of the engine, and shows what became of each."""
    from lake.committer import DryRun
    from lake.tables import Lake
    from service import client
    from service.encoding import as_json
    from service.jobs import INGEST
    from service.work import ingest, ingest_request

    kind = INGESTS[what]
    files: list[Path] = [*given["files"]] if kind.several else [given["files"]]
    if absent := [file for file in files if not file.exists()]:  # before a lake is made for them
        raise NotFound(f"There is no {'folder' if kind.folder else 'file'} {absent[0]}.")
    if given.get("suggest"):
        if beside := given_values(parameters_of(kind.options), given):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in beside)
            raise BadInput(f"--suggest guesses from the file alone and does not read {names}; leave that out.")
        _suggest(what, files, given["out"], given["as_json"])
        return
    if given.get("out") is not None:
        raise BadInput("--out is where --suggest writes; give both.")
    values = given_values(parameters_of(kind.options), given)
    settings = settings_of(given["lake"])
    with by_option(kind.options):
        request = ingest_request(what, files, values, settings)
    if given["dry_run"]:
        told = as_json(ingest(DryRun(Lake(settings.lake)), request))
        display.say("Dry run: nothing was stored.")
    else:
        opened = Lake.create(settings.lake)
        told = client.done(settings, opened, f"ingest {what}", INGEST, request.model_dump(mode="json"))
    reports: list[dict[str, Any]] = told["reports"]
    if given["as_json"]:
        display.print_json(reports if kind.several else reports[0])
    else:
        named(f"service.rendering.{kind.shown}")(reports)
    if any(report.get("rejected") for report in reports):
        raise SystemExit(3)


def _suggest(what: str, files: list[Path], out: Path | None, as_json: bool) -> None:
    """Shows, or writes, the mapping that a file seems to need."""
    from lake.storage import write_durable
    from service.rendering import tables

    if len(files) > 1:
        raise BadInput(f"--suggest looks at one file, and {len(files)} were given.")
    guess = named(str(INGESTS[what].suggest))(files[0])
    if out is not None:
        write_durable(out, guess.toml().encode(), replace=True)
    if as_json:
        display.print_json(guess.to_dict())
        return
    tables.show_suggestion(guess, whole=out is None)
    if out is not None:
        kind = INGESTS[what]
        place = files[0].parent if kind.folder and files[0].is_file() else files[0]
        option = f"--{companions(kind.options)[0]} {out}"
        display.say(f"Wrote {out}. See to its doubts, then: varlake ingest {what} {place} {option} --dry-run")


@sample_app.command("market")
def sample_market_command(
    directory: Annotated[Path, typer.Argument(help="Folder to write the files into.")],
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 1,
    first: Annotated[str, typer.Option("--first", help="First date.")] = "2005-01-03",
    last: Annotated[str, typer.Option("--last", help="Last date.")] = "2022-12-28",
) -> None:
    """Write a synthetic market history, labelled synthetic, and its catalogue."""
    from scenarios.market import sample_market

    written = sample_market.write_sample_market(
        directory, seed=seed, first=as_date(first, "--first"), last=as_date(last, "--last")
    )
    display.say(f"Wrote a synthetic market to {directory}. Bring it in with:")
    display.say(f"  varlake ingest market {directory} --catalogue {written}")


@sample_app.command("book")
def sample_book_command(
    directory: Annotated[Path, typer.Argument(help="Folder to write the files into.")],
    positions: Annotated[int, typer.Option("--positions", help="Positions on each date.")] = 20_000,
    dates: Annotated[
        str, typer.Option("--dates", help="A:B for every business day, or a comma separated list.")
    ] = "2020-02-14,2020-03-16",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same book.")] = 1,
    lake: LakeOption = None,
) -> None:
    """Write a sample bank book on the risk factors the lake holds, one file a date."""
    from valuation.samples import book

    _, opened = open_lake(lake)
    files = book.write_sample_book(opened.snapshot(), directory, positions=positions, dates=dates, seed=seed)
    display.say(f"Wrote {counted(len(files), 'file')}. Bring them in with:")
    display.say(f"  varlake ingest positions {directory}/*")


@sample_app.command("ticks")
def sample_ticks_command(
    directory: Annotated[Path, typer.Argument(help="Folder to write the file into.")],
    date: Annotated[str, typer.Option("--date", help="Day, of which the lake has levels.")],
    ticks: Annotated[int, typer.Option("--ticks", help="Ticks in all.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same ticks.")] = 1,
    factors: Annotated[
        str | None, typer.Option("--factors", help="Risk factors, with commas; default all shares, indices, rates.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="A log of FIX 4.4 in place of a CSV file.")] = False,
    lake: LakeOption = None,
) -> None:
    """Write a synthetic day of ticks whose last levels are those of the lake, labelled synthetic."""
    from scenarios.market import sample_ticks

    _, opened = open_lake(lake)
    wanted = tuple(factors.split(",")) if factors else ()
    written = sample_ticks.write_sample_ticks(
        opened.snapshot(), directory, date=as_date(date, "--date"), ticks=ticks, seed=seed, factors=wanted, fix=fix
    )
    display.say(f"Wrote synthetic ticks to {written}. Bring them in with:")
    display.say(f"  varlake ingest ticks {written} --source synthetic")


@sample_app.command("live-day")
def sample_live_day_command(
    directory: Annotated[Path, typer.Argument(help="Folder to write the files into.")],
    date: Annotated[str, typer.Option("--date", help="Day, best one that the lake has no market data of yet.")],
    ticks: Annotated[int, typer.Option("--ticks", help="Ticks in all.")] = 20_000,
    orders: Annotated[int, typer.Option("--orders", help="Executions in all.")] = 300,
    cuts: Annotated[
        str, typer.Option("--cuts", help="Where the day is cut into files: times in New York, with commas.")
    ] = "11:05,14:30",
    seed: Annotated[int, typer.Option("--seed", help="Same seed and lake, same day.")] = 1,
    lake: LakeOption = None,
) -> None:
    """Write a synthetic day of ticks, and of orders in the shares of the book, as files in the order of arrival."""
    from valuation.samples import live_day

    _, opened = open_lake(lake)
    try:
        times = [dt.time.fromisoformat(text) for text in cuts.split(",") if text]
    except ValueError:
        raise BadInput(f"--cuts {cuts!r}: expected times with commas, such as 11:05,14:30.") from None
    day = as_date(date, "--date")
    written = live_day.write_live_day(
        opened.snapshot(), directory, date=day, ticks=ticks, orders=orders, seed=seed, cuts=times
    )
    display.say(f"Wrote a synthetic day, {counted(sum(map(len, written.values())), 'file')}. Follow it with:")
    display.say(
        f"  varlake live follow --as-of {day} --by desk --ticks {directory}/ticks --source synthetic "
        f"--orders {directory}/orders --once"
    )


@sample_app.command("counterparties")
def sample_counterparties_command(
    directory: Annotated[Path, typer.Argument(help="Folder to write the files into.")],
    dates: Annotated[
        str, typer.Option("--dates", help="Days with balances: A:B for every business day, or a comma separated list.")
    ] = "2020-02-14,2020-03-16",
    seed: Annotated[int, typer.Option("--seed", help="That of the book; same seed, same counterparties.")] = 1,
    lake: LakeOption = None,
) -> None:
    """Write the counterparties of the sample book, their agreements and collateral, and classifications, a file each."""
    from valuation.samples import book, reference

    _, opened = open_lake(lake)
    files = reference.write_sample_reference(opened.snapshot(), directory, dates=book.book_dates(dates), seed=seed)
    display.say(f"Wrote {counted(len(files), 'file')}. Bring them in with:")
    for what, path in files.items():
        display.say(f"  varlake ingest {what} {path}")
