"""Commands that are no questions: what is here, valuations, replays, and the processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import validated
from service.cli.given import as_date, laid_out, open_lake, settings_of
from service.cli.options import ColumnsOption, DateText, JsonOption, LakeOption, ParameterOption, ScenarioSetOption
from service.cli.questions import as_pairs
from service.rendering import display

# ruff: noqa: PLC0415 - a command imports what it uses when it is called: all together takes a second and a half

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command("doctor")
def doctor_command(
    lake: LakeOption = None,
    spark: Annotated[bool, typer.Option("--spark", help="Also start Spark, which takes some seconds.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is here (Java, Spark, memory, cores, lake, Delta jars) and what to do about what is missing."""
    from service import doctor

    findings = doctor.examine(settings_of(lake), start_spark=spark)
    if json:
        display.print_json(
            [{"check": f.name, "status": f.status, "found": f.found, "advice": f.advice} for f in findings]
        )
    else:
        display.print_text("\n".join(doctor.lines(findings)), indent=26)
    if any(f.status == "fail" for f in findings):
        raise typer.Exit(1)


@app.command("dimensions")
def dimensions_command(
    as_of: DateText,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """What the book of a date can be grouped and filtered by: dimensions, attributes, levels of hierarchies."""
    from aggregation.dimensions import dimensions_of
    from service import operations

    settings, opened = open_lake(lake)
    book = operations.vector_cache(settings, opened).book(
        opened.snapshot("positions", "hierarchies"), as_date(as_of, "--as-of")
    )
    rows = dimensions_of(book.columns)
    with laid_out(columns):
        display.print_json(rows) if json else display.print_table(rows, title=f"Dimensions of {book.positions_date}")


@app.command("value")
def value_command(
    as_of: DateText,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what is wanted, present, missing, and the expected time.")
    ] = False,
    positions_date: Annotated[
        list[str] | None, typer.Option("--positions-date", help="Date of a book; default as-of; repeatable.")
    ] = None,
    market_date: Annotated[
        str | None, typer.Option("--market-date", help="Date of the base market; default as-of.")
    ] = None,
    scenario_set: ScenarioSetOption = None,
    method: Annotated[str, typer.Option("--method", help="Scenario method, when none is stored.")] = "historical",
    parameter: ParameterOption = None,
    risk_class: Annotated[
        list[str] | None, typer.Option("--risk-class", help="Shock only this risk class; repeatable.")
    ] = None,
    branch: Annotated[
        list[str] | None, typer.Option("--branch", help="Also the contracts of this branch; repeatable.")
    ] = None,
    runner: Annotated[str, typer.Option("--runner", help="auto, in-process or spark.")] = "auto",
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Value every contract held on a date under every scenario; what is known is not valued again."""
    from scenarios.requests import ScenarioRequest
    from service import client
    from service.jobs import VALUATION
    from service.rendering import tables
    from valuation.sets.requests import ValuationRequest, plan_valuation

    settings, opened = open_lake(lake)
    scenarios = (
        ScenarioRequest(name=None)
        if scenario_set
        else ScenarioRequest(method=method, parameters=as_pairs(parameter or ()), name=None)
    )
    request = validated(
        ValuationRequest,
        {
            "as_of": as_date(as_of, "--as-of"),
            "positions_dates": tuple(as_date(d, "--positions-date") for d in positions_date or ()),
            "market_date": as_date(market_date, "--market-date") if market_date else None,
            "scenario_set": scenario_set,
            "scenarios": scenarios,
            "risk_classes": tuple(risk_class or ()),
            "branches": tuple(branch or ()),
            "runner": runner,
        },
        "valuation request",
    )
    if plan:
        planned = plan_valuation(opened.snapshot(), request).to_dict()
        display.print_json(planned) if json else tables.show_valuation_plan(planned)
        return
    sealed = client.done(settings, opened, "value", VALUATION, request.model_dump(mode="json"))
    display.print_json(sealed) if json else tables.show_sealed(sealed)


@app.command("replay")
def replay_command(
    receipt: Annotated[Path, typer.Argument(help="JSON file: an answer, or its receipt.")],
    now: Annotated[
        bool, typer.Option("--now", help="Ask the same question of what is known now, and show what was restated.")
    ] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Recompute an answer from its receipt, compare all it shows, and name every figure and input that is not as it was.

    With --now the same question is asked of what is known now, beside the answer as published.
    """
    from aggregation import replay
    from service.rendering import tables

    settings, opened = open_lake(lake)
    if now:
        from aggregation.recomputed import recompute
        from aggregation.session import Session
        from service.operations import vector_cache

        again = recompute(Session(opened, vector_cache(settings, opened)), replay.read_kept(receipt))
        display.print_json(again.to_dict()) if json else tables.show_recomputed(again)
        return
    done = replay.replay(opened, replay.read_kept(receipt))
    display.print_json(done.to_dict()) if json else tables.show_replay(done)
    if done.verdict != "same bits":
        raise typer.Exit(3 if done.verdict == "damaged" else 1)


@app.command("engine")
def engine_command(lake: LakeOption = None) -> None:
    """Run the engine: takes valuation jobs from the job table, one engine a lake."""
    from service.processes import engine

    engine.main(settings_of(lake))


@app.command("serve")
def serve_command(
    lake: LakeOption = None,
    web_only: Annotated[
        bool, typer.Option("--web-only", help="Start no engine: queries are answered, jobs wait.")
    ] = False,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
) -> None:
    """Serve the HTTP API, with the engine beside it."""
    from service.processes import serve

    given = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    settings = settings_of(lake).model_copy(update=given)
    raise typer.Exit(serve.main(settings, web_only=web_only))


@app.command("demo")
def demo_command(
    market_data: Annotated[
        Path | None, typer.Option("--market-data", help="Folder of real market data; default a synthetic market.")
    ] = None,
    positions: Annotated[int, typer.Option("--positions", help="Positions on each date.")] = 20_000,
    folder: Annotated[Path, typer.Option("--folder", help="Folder for the demo's lake and files.")] = Path("demo-lake"),
    anew: Annotated[bool, typer.Option("--anew", help="Delete the demo that is in the folder first.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve its lake, until Ctrl-C.")] = False,
) -> None:
    """The main job from files to answers: ingest, book, scenarios, valuation on Spark, VaR by desk on two days."""
    from service import demo

    lake = demo.run_demo(market_data, positions, folder, anew=anew)
    if serve:
        serve_command(lake=lake.path)


@app.command("version")
def version_command() -> None:
    """Print the version."""
    from lake.tables import code_version

    display.stdout().print(code_version())
