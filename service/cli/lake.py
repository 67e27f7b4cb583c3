"""The lake itself: what it holds, whether all of it is as it was committed, and what can be removed from it."""

from __future__ import annotations

from typing import Annotated

import typer

from lake.errors import counted
from service.cli.options import ColumnsOption, JsonOption, LakeOption, laid_out, open_lake
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(help=__doc__, invoke_without_command=True, add_completion=False)
_SHOWN = 40  # valuation sets that `varlake lake` lists


@app.callback()
def lake_command(
    context: typer.Context, lake: LakeOption = None, columns: ColumnsOption = None, json: JsonOption = False
) -> None:
    """Say what the lake holds: tables, rows, size, dates, valuation sets."""
    if context.invoked_subcommand is not None:
        return
    from lake.schemas import TABLES
    from valuation.books.contracts import positions_dates
    from valuation.sets.standards import Standard, standards
    from valuation.sets.store import list_valuation_sets

    _, opened = open_lake(lake)
    rows = []
    for name, table in TABLES.items():
        files = opened.data_files(name)
        rows.append(
            {
                "table": name,
                "one row is": table.one_row,
                "version": opened.version(name),
                "rows": opened.count(name),
                "files": len(files),
                "MB": round(sum(f.stat().st_size for f in files) / 1e6, 2),
            }
        )
    first, last = opened.bounds("market_data", "as_of_date")
    dates, seals = positions_dates(opened), list_valuation_sets(opened)
    standard = standards(opened).get(None, Standard())
    valued = [
        {
            "valuation date": s.valuation_date,
            "market date": s.market_date,
            "scenario set": s.scenario_set_name,
            "scenarios": s.scenario_count,
            "contracts": s.submitted,
            "failed": s.failed,
            "sealed at": s.sealed_at,
        }
        for s in sorted(seals, key=lambda s: (s.valuation_date, s.sealed_at))
    ]
    summary = {
        "lake": str(opened.path),
        "market data": f"{first} to {last}" if first else "none",
        "positions dates": [str(d) for d in dates],
        "valuation sets": len(seals),
        "standard": ", ".join(v for v in (standard.scenario_set, standard.currency) if v) or "none",
    }
    if json:
        display.print_json({**summary, "valued": valued, "tables": rows})
        return
    with laid_out(columns):
        days = f"{len(dates)}: {dates[0]} to {dates[-1]}" if dates else "none"
        display.print_pairs({**summary, "positions dates": days})
        if valued:
            display.print_table(
                valued[-_SHOWN:],
                title=f"Valued: the last {min(len(valued), _SHOWN)} of {counted(len(valued), 'set')}, by date",
                first=("valuation date", "scenario set", "contracts", "failed", "market date"),
            )
        display.print_table(rows, first=("table", "rows", "version", "files", "MB"))


@app.command("verify")
def verify_command(lake: LakeOption = None, columns: ColumnsOption = None, json: JsonOption = False) -> None:
    """Hold every log, every data file of every version and every sealed valuation set to what was committed; exit 3 on damage."""
    from dataclasses import asdict
    from time import perf_counter

    from lake.errors import VarlakeError
    from lake.verify import Fault, verify_files
    from valuation.sets.soundness import verify_sets

    _, opened = open_lake(lake)
    started = perf_counter()
    with display.progress_bar("verify") as progress:
        verified = verify_files(opened, progress)
        read_in = perf_counter() - started
        faults = [*verified.faults]
        try:
            faults += verify_sets(opened, progress)
        except VarlakeError as error:  # damage that is listed already, and hinders the rest
            faults.append(Fault("valuation_sets", "seals", error.message, "Mend what is listed, then verify again."))
    rows = [asdict(f) for f in faults]
    if json:
        told = {"files": verified.files, "bytes": verified.size, "seconds": round(perf_counter() - started, 3)}
        display.print_json({**told, "damaged": rows})
    else:
        if rows:
            with laid_out(columns):
                display.print_table(rows)
        size, speed = verified.size / 1e6, verified.size / 1e6 / max(read_in, 1e-9)
        found = f"{counted(len(rows), 'fault')} found" if rows else "all is as it was committed"
        display.say(f"{counted(verified.files, 'data file')}, {size:,.1f} MB, read at {speed:,.0f} MB/s: {found}.")
    if rows:
        raise typer.Exit(3)


@app.command("compact")
def compact_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which files would become how many.")] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Put small data files together: the same rows in fewer files. Earlier versions keep theirs, and every receipt replays."""
    from dataclasses import asdict

    from lake.committer import Committer
    from lake.compaction import compact, planned
    from lake.schemas import TABLES

    _, opened = open_lake(lake)
    if dry_run:
        found = [planned(opened, name) for name in TABLES]
    else:
        with Committer(opened, "varlake lake compact") as committer, display.progress_bar("compact") as progress:
            found = [compact(committer, name, progress=progress) for name in TABLES]
    found = [f for f in found if f.files]
    if json:
        display.print_json({"dry_run": dry_run, "tables": [asdict(f) for f in found]})
        return
    if found:
        rows = [{"table": f.table, "files": f.files, "into": f.into, "MB": round(f.size / 1e6, 2)} for f in found]
        display.print_table(rows)
    files, into = sum(f.files for f in found), sum(f.into for f in found)
    become = "would become" if dry_run else "became"
    then = "" if dry_run else " Those of before stay for earlier versions; `varlake lake clean` removes them."
    display.say(f"{counted(files, 'file')} {become} {into:,}.{then}" if found else "No two files fit into one.")


@app.command("clean")
def clean_command(
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed; default only list it.")] = False,
    hours: Annotated[float, typer.Option("--hours", min=1, help="Only what was not touched for so many hours.")] = 24.0,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """List, or remove, what killed processes have left in the lake: nothing reads it, and no version of a table holds it."""
    from lake import leftovers
    from lake.committer import Committer

    _, opened = open_lake(lake)
    if remove:
        with Committer(opened, "varlake lake clean"):  # so that no run uses what goes
            found = leftovers.leftovers(opened, hours * 3600)
            leftovers.remove(opened, found)
    else:
        found = leftovers.leftovers(opened, hours * 3600)
    rows = [
        {"path": f.path, "what": f.what, "MB": round(f.size / 1e6, 2), "hours": round(f.age / 3600, 1)} for f in found
    ]
    if json:
        display.print_json({"removed": remove, "leftovers": rows})
        return
    if rows:
        display.print_table(rows)
    done = "were removed" if remove else "are left; --remove removes them"
    told = f"{len(rows):,} files and folders, {sum(f.size for f in found) / 1e6:,.2f} MB, {done}."
    display.say(told if rows else f"Nothing is left that was not touched for {hours:g} hours.")
