"""The command line. Every command: parse, call the package that knows, show. `--json` gives the answer as data."""

from __future__ import annotations

import os
import re
import secrets
import sys
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer

from lake.committer import Committer
from lake.errors import BadInput, VarlakeError, validated
from service.cli import backtest, bench, causes, contributions, dimensions, explain, pnl, whatif
from service.cli.options import (
    BranchOption,
    ByOption,
    CurrencyOption,
    DateText,
    EstimatorOption,
    IntervalOption,
    JsonOption,
    LakeOption,
    LevelOption,
    MeasureOption,
    ParameterOption,
    ReduceOption,
    ScaleOption,
    ScenarioSetOption,
    TailOption,
    ThresholdOption,
    WhereOption,
    as_date,
    as_list,
    as_parameters,
    figures_as,
    open_lake,
    query_of,
    settings_of,
)
from service.cli.scenarios import roll, scenarios_app, stress_app
from service.config import Settings
from service.process import configure_logs
from service.rendering import display

# A command imports what it uses when it is called: all of it together takes a second and a half, `--help` and a query
# should not.
# ruff: noqa: PLC0415

app = typer.Typer(
    help="On-demand Value-at-Risk: value contracts once, net positions at query time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
ingest_app = typer.Typer(help="Bring market data and positions into the lake.", no_args_is_help=True)
sample_app = typer.Typer(help="Write sample files, as a user would bring them.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed against stated limits and peers.", no_args_is_help=True)
app.add_typer(ingest_app, name="ingest")
app.add_typer(sample_app, name="sample")
app.add_typer(scenarios_app, name="scenarios")
app.add_typer(stress_app, name="stress")
app.command("roll")(roll)
app.add_typer(bench_app, name="bench")
backtest.register(app, ingest_app)
dimensions.register(app, ingest_app)
causes.register(app)
explain.register(app, bench_app)
pnl.register(app)
bench.register(bench_app)
whatif.register(app, bench_app)
contributions.register(app, bench_app)


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
        display.stdout().print("\n".join(doctor.lines(findings)), markup=False, highlight=False, soft_wrap=True)
    if any(f.status == "fail" for f in findings):
        raise typer.Exit(1)


@app.command("lake")
def lake_command(lake: LakeOption = None, json: JsonOption = False) -> None:
    """Say what the lake holds: tables, rows, size, dates, valuation sets."""
    from lake.schemas import TABLES
    from valuation.books.contracts import positions_dates
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
    dates = positions_dates(opened)
    summary = {
        "lake": str(opened.path),
        "market data": f"{first} to {last}" if first else "none",
        "positions dates": [str(d) for d in dates],
        "valuation sets": len(list_valuation_sets(opened)),
    }
    if json:
        display.print_json({**summary, "tables": rows})
        return
    display.print_pairs({**summary, "positions dates": f"{len(dates)}: {dates[0]} to {dates[-1]}" if dates else "none"})
    display.print_table(rows)


@ingest_app.command("market")
def ingest_market(
    directory: Annotated[Path, typer.Argument(help="Folder with the landing files.")],
    catalogue: Annotated[
        str, typer.Option("--catalogue", help="Catalogue TOML file, or the name of one that comes with varlake.")
    ],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring market files into the lake, as a catalogue describes them."""
    from lake.tables import Lake
    from scenarios.market import landing_catalogue as market_catalogue
    from service.rendering import tables

    described = market_catalogue.load_catalogue(catalogue)
    with Committer(Lake.create(settings_of(lake).lake), "varlake ingest market") as committer:
        report = market_catalogue.ingest_market(committer, directory, described)
    tables.show_market_report(report, json=json)


@ingest_app.command("positions")
def ingest_positions_command(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files, see docs/positions.md.")],
    replace_dates: Annotated[
        bool, typer.Option("--replace-dates", help="The dates in the file become exactly the file.")
    ] = False,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="Write the unusable rows to this CSV file.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring positions into the lake; unusable rows are listed, the others load."""
    from lake.tables import Lake
    from service.rendering import tables
    from valuation.books.positions import ingest_positions

    if rejects is not None and len(files) > 1:
        raise BadInput(
            f"--rejects names one file, and {len(files)} files of positions were given; bring them in one by one."
        )
    with Committer(Lake.create(settings_of(lake).lake), "varlake ingest positions") as committer:
        outcomes = [ingest_positions(committer, f, replace_dates=replace_dates, rejects=rejects) for f in files]
    tables.show_positions_reports(outcomes, json=json)
    if any(o.rejected for o in outcomes):
        raise typer.Exit(3)


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
    display.say(f"Wrote {len(files)} files. Bring them in with:")
    display.say(f"  varlake ingest positions {directory}/*")


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
    from service import operations
    from service.rendering import tables
    from valuation.sets.requests import ValuationRequest, plan_valuation, run_valuation

    settings, opened = open_lake(lake)
    scenarios = (
        ScenarioRequest(name=None)
        if scenario_set
        else ScenarioRequest(method=method, parameters=as_parameters(parameter), name=None)
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
        display.print_json(planned) if json else tables.show_plan(planned)
        return
    with Committer(opened, "varlake value") as committer, display.progress_bar("valuing") as progress:
        cancelled = threading.Event()
        sealed = run_valuation(
            committer,
            request,
            spark=operations.spark_of(settings),
            progress=progress,
            cancelled=cancelled,
        )
    display.print_json(sealed) if json else tables.show_sealed(sealed)


@app.command("var")
def var_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    measure: MeasureOption = "var,es",
    level: LevelOption = "0.99",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    tail: TailOption = "loss",
    threshold: ThresholdOption = None,
    scale_to_days: ScaleOption = None,
    interval: IntervalOption = None,
    positions_date: Annotated[
        str | None, typer.Option("--positions-date", help="Date of the book, when not as-of.")
    ] = None,
    market_date: dimensions.MarketDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: Annotated[
        str | None, typer.Option("--valuation-set", help="Valuation set id; default the newest that fits.")
    ] = None,
    branch: BranchOption = None,
    subtotals: dimensions.SubtotalsOption = False,
    sort: dimensions.SortOption = "",
    limit: dimensions.LimitOption = None,
    bounds: dimensions.BoundsOption = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be priced first, and the time.")] = False,
    value: Annotated[bool, typer.Option("--value", help="Price what is missing first, then answer.")] = False,
    reduce: ReduceOption = "auto",
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the total's P&L with its figures to this file: .svg or .png.")
    ] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Value-at-Risk and other measures, by any combination of dimensions. Values nothing unless asked to."""
    from aggregation import on_demand
    from aggregation.risk.table import TableQuery, run_table
    from service import operations
    from service.rendering import dimensions as shown
    from service.rendering import tables

    settings, opened = open_lake(lake)
    more = {
        "valuation_set": valuation_set,
        **dimensions.dates_of(positions_date, market_date),
        "branch": branch,
        **figures_as(tail, threshold, scale_to_days, interval),
    }
    query = query_of(as_of, by, where, measure, level, currency, estimator, scenario_set, **more)
    layout = {"subtotals": subtotals, "sort": as_list(sort), "limit": limit, "bounds": bounds}
    table = validated(TableQuery, {**query.model_dump(), **layout}, "query")
    cache = operations.vector_cache(settings, opened, reduce)
    if plan:
        planned = on_demand.plan_answer(opened.snapshot(), table, cache)
        display.print_json(planned) if json else tables.show_plan(planned)
        return
    if value:
        with Committer(opened, "varlake var --value") as committer, display.progress_bar("valuing") as progress:
            result, sealed = on_demand.answer_on_demand(
                committer, table, cache=cache, spark=operations.spark_of(settings), progress=progress
            )
        display.say("Nothing was missing." if sealed is None else on_demand.said(sealed))
    else:
        result = run_table(opened, table, cache=cache)
    if json:
        display.print_json(result.to_dict())
    else:
        (tables.show_result if table.is_plain else shown.show_table)(result)
    if plot is not None:
        display.say(f"Wrote {pnl.plot_var(opened, query, result.total, plot, cache)}")


@app.command("replay")
def replay_command(
    receipt: Annotated[Path, typer.Argument(help="JSON file: an answer, or its receipt.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Recompute an answer from its receipt, compare the bits, and name every input that is not as it was."""
    from aggregation import replay
    from service.rendering import tables

    _, opened = open_lake(lake)
    done = replay.replay(opened, replay.read_receipt(receipt))
    display.print_json(done.to_dict()) if json else tables.show_replay(done)
    if done.verdict != "same bits":
        raise typer.Exit(1)


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
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow an address other machines reach; there is no log-in yet.")
    ] = False,
) -> None:
    """Serve the HTTP API, with the engine beside it."""
    from service.processes import serve

    given = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    settings = settings_of(lake).model_copy(update=given)
    raise typer.Exit(serve.main(settings, web_only=web_only, insecure=insecure))


@app.command("demo")
def demo_command(
    market_data: Annotated[
        Path | None, typer.Option("--market-data", help="Folder of real market data; default a synthetic market.")
    ] = None,
    positions: Annotated[int, typer.Option("--positions", help="Positions on each date.")] = 20_000,
    folder: Annotated[Path, typer.Option("--folder", help="Folder for the demo's lake and files; made anew.")] = Path(
        "demo-lake"
    ),
) -> None:
    """The main job from files to answers: ingest, book, scenarios, valuation on Spark, VaR by desk on two days."""
    from service import demo

    demo.run(market_data, positions, folder)


@bench_app.command("map")
def bench_map(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts to value.")] = 60_000,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Scenarios.")] = 500,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Valuations a second: in the kernel, in one process, and end to end through Spark into the lake."""
    from service.bench import harness

    harness.report(harness.bench_map(contracts, scenarios), output)


@bench_app.command("scenarios")
def bench_scenarios(
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Historical and Monte Carlo scenarios of 500 factors, and a million of them in bounded memory."""
    from service.bench import harness, scenarios

    harness.report(scenarios.bench_scenarios(500, 500, 10_000, 1_000_000), output)


@bench_app.command("all")
def bench_all(
    output: Annotated[Path, typer.Option("--output", help="JSON file for the rows.")] = Path("bench.json"),
) -> None:
    """Every benchmark with its default sizes."""
    from service.bench import harness, scenarios

    harness.report(
        [
            *harness.bench_map(60_000, 500),
            *scenarios.bench_scenarios(500, 500, 10_000, 1_000_000),
            *bench.rows_of_the_reduce(100_000, 1000, 1_000_000),
        ],
        output,
    )


@app.command("version")
def version_command() -> None:
    """Print the version."""
    from lake.tables import code_version

    display.stdout().print(code_version())


def main() -> None:
    """Entry point: errors a user can mend are told in words with exit code 2, others with an id, never as a trace."""
    try:
        settings = Settings()
        configure_logs(settings.log_level)
        app()
    except VarlakeError as error:
        display.print_error(error)
        sys.exit(2)
    except BrokenPipeError:
        # the reader went away (as with `| head`); Python's own flush at exit must find somewhere to write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        display.say("Stopped.")
        sys.exit(130)
    except Exception as error:
        identifier = secrets.token_hex(4)
        trace = os.environ.get("VARLAKE_LOG_LEVEL", "").upper() == "DEBUG"
        structlog.get_logger().error("unexpected", id=identifier, kind=type(error).__name__, exc_info=trace)
        first_line = re.split(r"[\r\n]", str(error), maxsplit=1)[0][:300]
        display.say(
            f"Unexpected error {identifier}: {type(error).__name__}: {first_line}. Run again with VARLAKE_LOG_LEVEL=DEBUG for its trace."
        )
        sys.exit(70)
