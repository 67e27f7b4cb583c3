"""The audit trail: what was done to the lake, by whom, and whether the trail is whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import counted, validated
from service.cli.given import as_date, laid_out, open_lake
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)


@app.command("list")
def audit_list_command(
    actor: Annotated[str | None, typer.Option("--actor", help="Only acts of this user.")] = None,
    act: Annotated[
        str | None, typer.Option("--act", help="Only acts of this kind, such as ingest or standard.")
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Only acts that made a version of this table.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Only acts that ended so: done, failed, cancelled, killed; or open.")
    ] = None,
    first: Annotated[str | None, typer.Option("--first", help="Only acts of this day (UTC) or later.")] = None,
    last: Annotated[str | None, typer.Option("--last", help="Only acts of this day (UTC) or earlier.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="So many of the newest at most; 0 for all.")] = 100,
    csv: Annotated[bool, typer.Option("--csv", help="Print the acts as CSV.")] = False,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The acts, oldest first: when, by whom, what, and how it ended."""
    from lake.audit_check import ActFilter, acts_table, recorded_acts
    from service.encoding import to_csv

    _, opened = open_lake(lake)
    days = {name: as_date(text, f"--{name}") for name, text in (("first", first), ("last", last)) if text}
    wanted = validated(ActFilter, {**days, "actor": actor, "act": act, "table": table, "outcome": outcome}, "filter")
    acts = recorded_acts(opened.trail, wanted)
    rows = acts_table(acts[-limit:])
    if rows.num_rows < len(acts):
        display.say(f"The newest {rows.num_rows:,} of {len(acts):,} acts; --limit 0 shows all.")
    if json:
        display.print_json(rows.to_pylist())
    elif csv:
        sys.stdout.write(to_csv(rows).decode())
    elif rows.num_rows:
        with laid_out(columns):
            display.print_table(
                rows.to_pylist(), rows.column_names, first=("number", "began_at", "actor", "act", "outcome")
            )
    else:
        display.say(
            "The trail holds no act. A lake that was ever written has some: if this one was, its trail was emptied, and `varlake audit "
            "verify` says what is missing."
            if wanted == ActFilter()
            else "There is no such act."
        )


@app.command("show")
def audit_show_command(
    number: Annotated[int, typer.Argument(help="Number of the act, or of one of its entries.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """One act: who asked for what, what it led to, and its entries as they stand in the trail."""
    from dataclasses import asdict

    from lake.audit_check import recorded_act

    act, entries = recorded_act(open_lake(lake)[1].trail, number)
    if json:
        display.print_json({**asdict(act), "entries": entries})
        return
    told: dict[str, Any] = {**act.row(), **act.asked, **act.led_to}
    display.print_pairs({k: v for k, v in told.items() if v not in (None, "")}, title=f"Act {act.number}")
    for entry in entries:
        display.say(f"entry {entry['sequence']}: {entry['phase']}, {entry['at']}, digest {entry['digest']}")


@app.command("verify")
def audit_verify_command(
    head: Annotated[
        str | None, typer.Option("--head", help="Number and digest of an entry that were kept elsewhere, 12:3f09...")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Verify this exported trail instead, by itself.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Hold the trail to its digests and to the tables; name the first place where it is broken, and end with 3."""
    from lake.audit_check import verify_file, verify_trail

    verdict = verify_trail(open_lake(lake)[1], head) if file is None else verify_file(file, head)
    if json:
        display.print_json(verdict.to_dict())
    else:
        for note in verdict.notes:
            display.say(f"Note: {note}")
        if verdict.holds:
            display.say(f"The trail holds: {counted(verdict.entries, 'entry', 'entries')}.")
            if verdict.head is not None:
                display.say("Keep its head elsewhere:")
                display.stdout().print(verdict.head, soft_wrap=True)
        else:
            display.say(str(verdict.fault))
    if not verdict.holds:
        raise typer.Exit(3)


@app.command("export")
def audit_export_command(
    out: Annotated[Path, typer.Argument(help="File to write the trail to, JSON lines.")],
    lake: LakeOption = None,
) -> None:
    """Write the trail to a file that verifies by itself, for an auditor."""
    from lake.storage import write_durable

    lines = list(open_lake(lake)[1].trail.lines())
    write_durable(out.absolute(), b"".join(line + b"\n" for line in lines), replace=True)
    display.say(f"Wrote {counted(len(lines), 'entry', 'entries')}. `varlake audit verify --file {out}` verifies them.")
