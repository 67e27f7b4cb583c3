"""Commands that bring files into the lake, and write sample files as a user would bring them."""

from __future__ import annotations

from json import loads as read_json
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import BadInput, counted, validated
from service.cli.options import JsonOption, LakeOption, as_date, open_lake, settings_of
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be loaded, and store nothing.")]

app = typer.Typer(help="Bring market data and positions into the lake.", no_args_is_help=True)
sample_app = typer.Typer(help="Write sample files, as a user would bring them.", no_args_is_help=True)


@app.command("market")
def ingest_market(
    directory: Annotated[Path, typer.Argument(help="Folder with the landing files.")],
    catalogue: Annotated[
        str, typer.Option("--catalogue", help="Catalogue TOML file, or the name of one that comes with varlake.")
    ],
    accept_levels: Annotated[
        bool, typer.Option("--accept-levels", help="Load levels that are hardly meant, such as a volatility of 20.")
    ] = False,
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring market files into the lake, as a catalogue describes them."""
    from scenarios.market.landing_catalogue import load_catalogue, shipped_catalogues
    from service.rendering import tables

    load_catalogue(catalogue)  # its faults are told before anything is made
    described = catalogue if catalogue in shipped_catalogues() else str(Path(catalogue).absolute())
    (report,) = _reports("market", [directory], lake, dry_run, catalogue=described, accept_levels=accept_levels)
    tables.show_market_report(report, json=json)


@app.command("positions")
def ingest_positions_command(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files, see docs/positions.md.")],
    replace_dates: Annotated[
        bool, typer.Option("--replace-dates", help="The dates in the file become exactly the file.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace dates even by the usable part of a file with unusable rows.")
    ] = False,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="Write the unusable rows to this CSV file.")] = None,
    accept_unknown_factors: Annotated[
        bool, typer.Option("--accept-unknown-factors", help="Load contracts too whose risk factors no market data has.")
    ] = False,
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring positions into the lake; unusable rows are listed, the others load."""
    from service.rendering import tables

    if rejects is not None and len(files) > 1:
        raise BadInput(
            f"--rejects names one file, and {len(files)} files of positions were given; bring them in one by one."
        )
    to = None if rejects is None else str(rejects.absolute())
    options = {"replace_dates": replace_dates, "force": force, "rejects": to}
    options["accept_unknown_factors"] = accept_unknown_factors
    reports = _reports("positions", files, lake, dry_run, **options)
    tables.show_positions_reports(reports, json=json)
    if any(r["rejected"] for r in reports):
        raise typer.Exit(3)


@app.command("pnl")
def ingest_pnl_command(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files, see docs/backtesting.md.")],
    replace_dates: Annotated[
        bool, typer.Option("--replace-dates", help="The days in the file become exactly the file.")
    ] = False,
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring actual P&L into the lake, by day and node; a file with a fault is refused whole."""
    reports = _reports("pnl", files, lake, dry_run, replace_dates=replace_dates)
    if json:
        display.print_json(reports)
        return
    notes = [note for report in reports for note in report.pop("notes")]
    display.print_table(reports)
    for note in notes:
        display.say(f"Note: {note}")


@app.command("hierarchy")
def ingest_hierarchy_command(
    file: Annotated[Path, typer.Argument(help="CSV file, see docs/dimensions.md.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a hierarchy such as division over desk; it becomes exactly the file, or stays as it is when a row is wrong."""
    from service.rendering import dimensions

    (report,) = _reports("hierarchy", [file], lake, dry_run)
    display.print_json(report) if json else dimensions.show_hierarchies(report)


def _reports(what: str, files: list[Path], lake: Path | None, dry_run: bool, **options: Any) -> list[dict[str, Any]]:
    """What became of each file, as JSON has it."""
    from lake.committer import DryRun
    from lake.tables import Lake
    from service.cli import client
    from service.encoding import to_json
    from service.jobs import INGEST
    from service.work import IngestRequest, ingest

    settings = settings_of(lake)
    landed = [{"name": str(f), "path": str(f.absolute())} for f in files]
    request = validated(IngestRequest, {"what": what, "files": landed, **options}, "ingest")
    if dry_run:
        told = read_json(to_json(ingest(DryRun(Lake(settings.lake)), request)))
        display.say("Dry run: nothing was stored.")
    else:
        opened = Lake.create(settings.lake)
        told = client.done(settings, opened, f"ingest {what}", INGEST, request.model_dump(mode="json"))
    reports: list[dict[str, Any]] = told["reports"]
    return reports


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
