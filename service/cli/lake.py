"""The lake itself: what it holds, whether all of it is as it was committed, and what can be removed from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import counted
from service.cli.given import as_date, laid_out, open_lake
from service.cli.options import ColumnsOption, JsonOption, LakeOption
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
    from lake.tables import NEVER_WRITTEN
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
                "version": None if (version := opened.version(name)) == NEVER_WRITTEN else version,
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
        with (
            Committer(opened, "varlake lake compact") as committer,
            committer.acting("compact", {}),
            display.progress_bar("compact") as progress,
        ):
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
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Write what is listed to this file, to be removed later.")
    ] = None,
    remove: Annotated[
        Path | None, typer.Option("--remove", help="Remove what this plan names, and nothing else.")
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=1, help="Leftovers that were not touched for so many hours.")
    ] = 24.0,
    versions_before: Annotated[
        str | None, typer.Option("--versions-before", help="Also data files that were replaced before this day.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option("--before", help="Also valuation sets and vectors of dates before this day that nothing needs."),
    ] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=1, help="Hours that a plan waits before it is removed.")
    ] = 24.0,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Say what can be removed and why; write it as a plan; remove what a plan names once no question can still read it."""
    from lake.cleaning import CLEANER
    from lake.committer import Committer
    from lake.errors import BadInput
    from valuation.sets import cleaning

    _, opened = open_lake(lake)
    stayed: tuple[str, ...] = ()
    if remove is not None:
        if plan is not None or versions_before is not None or before is not None:
            raise BadInput("--remove removes what a plan names: the other options belong to the plan. Give it alone.")
        asked = cleaning.read_plan(remove)
        with Committer(opened, CLEANER) as committer:
            found, stayed = cleaning.clean(committer, asked, grace)
    else:
        found = cleaning.plan_cleaning(
            opened,
            hours,
            None if versions_before is None else as_date(versions_before, "--versions-before"),
            None if before is None else as_date(before, "--before"),
        )
        if plan is not None:
            cleaning.write_plan(found, plan)
    if json:
        display.print_json({"removed": remove is not None, "stayed": list(stayed), **found.model_dump(mode="json")})
        return
    sets = [f"valuation set {s.valuation_set_id} of {s.valuation_date}, {s.scenario_set}" for s in found.sets]
    rows = [{"what": f.what, "why": f.why, "MB": round(f.size / 1e6, 2), "path": f.path} for f in found.files]
    rows += [{"what": told, "why": s.why, "MB": None, "path": None} for told, s in zip(sets, found.sets, strict=True)]
    rows += [
        {
            "what": f"{v.vectors:,} of {v.of:,} vectors of {v.valuation_date}",
            "why": "no valuation set refers to them",
            "MB": round(v.size / 1e6, 2),
            "path": None,
        }
        for v in found.vectors
    ]
    if rows:
        display.print_table(rows)
    for told in stayed:
        display.say(f"Stayed: {told}.")
    size = sum(f.size for f in found.files) / 1e6
    told = f"{counted(len(found.files), 'file or folder', 'files and folders')}, {size:,.2f} MB"
    told += f"; {counted(len(found.sets), 'valuation set')}; vectors of {counted(len(found.vectors), 'day')}"
    if remove is not None:
        display.say(
            f"{told}: removed. Rows that went are still in earlier versions, until `--versions-before` gives these up."
        )
    elif not rows:
        display.say("Nothing can be removed.")
    elif plan is None:
        display.say(
            f"{told}: can be removed. `--plan FILE` writes it as a plan, `--remove FILE` removes it {grace:g} hours later."
        )
    else:
        display.say(
            f"{told}: planned in {plan}. `varlake lake clean --remove {plan}` removes it after {grace:g} hours."
        )


@app.command("pin")
def pin_command(
    receipts: Annotated[
        list[Path] | None, typer.Argument(help="Answers or receipts, JSON files; none to list the pins.")
    ] = None,
    remove: Annotated[str | None, typer.Option("--remove", help="Take the pin of this receipt_digest away.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Keep what a receipt names from every cleaning, so that it replays; without a receipt, list what is kept."""
    from lake import cleaning

    _, opened = open_lake(lake)
    for file in receipts or ():
        cleaning.pin(opened, file)
    if remove:
        cleaning.unpin(opened, remove)
    rows = [
        {"receipt": i, "kind": p["receipt"].get("kind"), "file": p["file"], "pinned at": p["pinned_at"]}
        for i, p in cleaning.pins(opened).items()
    ]
    if json:
        display.print_json(rows)
    elif rows:
        display.print_table(rows)
    else:
        display.say("No receipt is pinned; `varlake lake pin FILE` keeps what one names.")
