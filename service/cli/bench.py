"""Benchmarks as commands, each beside its limit or its peer."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lake.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from service.bench.harness import Row

# ruff: noqa: PLC0415 - see service.cli.commands

REQUESTS = 200  # of each client of the HTTP benchmark

ContractsOption = Annotated[int, typer.Option("--contracts", help="Contracts with vectors.")]
ScenariosOption = Annotated[int, typer.Option("--scenarios", help="Scenarios.")]
PositionsOption = Annotated[int, typer.Option("--positions", help="Positions.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")]

app = typer.Typer(add_completion=False, help="Measure speed against stated limits and peers.", no_args_is_help=True)


def _of_one_size(name: str, place: str, meaning: str) -> None:
    """A benchmark that takes contracts, scenarios and positions; `place` is its function in service.bench."""

    def bench(
        contracts: ContractsOption = 100_000,
        scenarios: ScenariosOption = 1000,
        positions: PositionsOption = 1_000_000,
        output: OutputOption = None,
    ) -> None:
        from service.bench import harness

        module, _, function = place.partition(":")
        measure = getattr(importlib.import_module(f"service.bench.{module}"), function)
        harness.report(measure(contracts, scenarios, positions), output)

    bench.__doc__ = meaning
    app.command(name)(bench)


_of_one_size(
    "contributions",
    "contributions:bench_contributions",
    "Seconds of component ES by trade and by desk, and of the greatest contributors, against their limits.",
)
_of_one_size(
    "explain",
    "explain:bench_explain",
    "Seconds of a comparison of two days by desk and cause, against its limit.",
)
_of_one_size(
    "what-if",
    "what_if:bench_what_if",
    "Seconds of a what-if of ten trades, on known contracts and on new ones, against the changed book netted as a whole; and pre-trade.",
)


@app.command("sa-ccr")
def bench_sa_ccr_command(
    trades: Annotated[int, typer.Option("--trades", help="Trades in memory; the questions have a tenth.")] = 1_000_000,
    contracts: ContractsOption = 20_000,
    output: OutputOption = None,
) -> None:
    """Seconds of SA-CCR of a million trades, of one trade more, and of the questions, against their limits."""
    from service.bench import harness, sa_ccr

    harness.report(sa_ccr.bench_sa_ccr(trades, contracts), output)


@app.command("cva")
def bench_cva_command(output: OutputOption = None) -> None:
    """Seconds of incremental CVA and BA-CVA of one new trade on 100,000, against their limit."""
    from service.bench import cva, harness

    harness.report(cva.bench_cva(), output)


@app.command("frtb-ima")
def bench_frtb_ima_command(
    contracts: ContractsOption = 100_000,
    scenarios: ScenariosOption = 250,
    positions: PositionsOption = 100_000,
    output: OutputOption = None,
) -> None:
    """Seconds of internal-model capital from stored vectors, of all and by desk with contributions, against one second."""
    from service.bench import frtb_ima, harness

    harness.report(frtb_ima.bench_frtb_ima(contracts, scenarios, positions), output)


@app.command("reduce")
def bench_reduce_command(
    contracts: ContractsOption = 100_000,
    scenarios: ScenariosOption = 1000,
    positions: PositionsOption = 1_000_000,
    spark: Annotated[
        bool, typer.Option("--spark", help="Also on Spark, last; starting it takes some seconds.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Questions against one read of the same bytes and other engines, growth, contributions, causes, what-if, HTTP."""
    from service import operations
    from service.bench import harness
    from service.config import Settings

    session = operations.spark_of(Settings()) if spark else None
    harness.report(rows_of_the_reduce(contracts, scenarios, positions, session), output)


def rows_of_the_reduce(
    contracts: int, scenarios: int, positions: int, session: Callable[[], SparkSession] | None = None
) -> list[Row]:
    """Every benchmark of the reduce on one size, but the public vector benchmark, which has its own."""
    from service.bench import contributions, explain, http, reduce, what_if

    return [
        *reduce.bench_reduce(contracts, scenarios, positions, session),
        *contributions.bench_contributions(contracts, scenarios, positions),
        *explain.bench_explain(contracts, scenarios, positions),
        *what_if.bench_what_if(contracts, scenarios, positions),
        *http.bench_http(contracts, scenarios, positions, REQUESTS),
    ]


@app.command("paths")
def bench_paths_command(
    trades: Annotated[int, typer.Option("--trades", help="Trades, all different.")] = 1000,
    paths: Annotated[int, typer.Option("--paths", help="Market paths.")] = 1000,
    dates: Annotated[int, typer.Option("--dates", help="Dates of the grid, over ten years.")] = 60,
    swaps: Annotated[int, typer.Option("--swaps", help="Swaps that are also put to ORE, where it is installed.")] = 100,
    output: OutputOption = None,
) -> None:
    """Values along market paths through Spark into the lake, against the kernels alone; swaps against ORE's exposure run."""
    from service.bench import harness, ore_exposure
    from service.bench import paths as measured
    from service.config import Settings
    from service.rendering import display

    rows = measured.bench_paths(trades, paths, dates)
    python = Settings().ore_python
    if python is None:
        display.say("Not measured: ORE's exposure run. Name a Python that has ORE with VARLAKE_ORE_PYTHON.")
    else:
        rows += ore_exposure.bench_ore_exposure(python, swaps, paths, dates)
    harness.report(rows, output)


@app.command("frtb")
def bench_frtb_command(
    contracts: ContractsOption = 100_000, positions: PositionsOption = 100_000, output: OutputOption = None
) -> None:
    """Seconds of market risk capital by the standardised approach, by desk and by trade, from stored sensitivities."""
    from service.bench import frtb, harness

    harness.report(frtb.bench_frtb(contracts, positions), output)


@app.command("http")
def bench_http_command(
    contracts: ContractsOption = 100_000,
    scenarios: ScenariosOption = 1000,
    positions: PositionsOption = 1_000_000,
    requests: Annotated[int, typer.Option("--requests", help="Requests that count, of each client.")] = REQUESTS,
    output: OutputOption = None,
) -> None:
    """Milliseconds of VaR by desk over HTTP, from the real server, with one client and with eight."""
    from service.bench import harness, http

    harness.report(http.bench_http(contracts, scenarios, positions, requests), output)


@app.command("explore")
def bench_explore_command(
    contracts: ContractsOption = 100_000,
    scenarios: ScenariosOption = 1000,
    positions: PositionsOption = 1_000_000,
    actions: Annotated[int, typer.Option("--actions", help="Actions of each kind that count.")] = 100,
    output: OutputOption = None,
) -> None:
    """Milliseconds of the Explore page in a browser: the first pivot, opening a node, adding a measure."""
    from service.bench import explore, harness

    harness.report(explore.bench_explore(contracts, scenarios, positions, actions), output)


@app.command("vectors")
def bench_vectors_command(
    rows: Annotated[
        int, typer.Option("--rows", help="Rows of the table; 8 KB of memory and of disk each.")
    ] = 1_720_000,
    output: OutputOption = None,
) -> None:
    """The public benchmark of vector aggregation: four queries over 100 columns and vectors of 1,000 floats."""
    from service.bench import harness, vectors

    harness.report(vectors.bench_vectors(rows), output)


@app.command("table")
def bench_table_command(
    files: Annotated[list[Path], typer.Argument(help="JSON files that --output wrote.")],
) -> None:
    """The rows of JSON files as a Markdown table."""
    from service.bench import harness
    from service.rendering import display

    rows = []
    for file in files:
        try:
            rows += json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{file} is not a file of benchmark rows: {error}. `varlake bench reduce --output {file}` writes one."
            ) from None
    display.print_text(harness.as_markdown(rows))


@app.command("start")
def bench_start_command(
    lake: Annotated[Path, typer.Option("--lake", help="Folder of a lake like the demo's, valued on 2020-03-16.")],
    output: OutputOption = None,
) -> None:
    """CPU of whole commands, from start to exit, beside that of importing the libraries they rest on."""
    from service.bench import harness, start

    harness.report(start.bench_start(lake), output)


@app.command("web")
def bench_web_command(
    lake: Annotated[Path, typer.Option("--lake", help="Folder of a lake like the demo's.")],
    output: OutputOption = None,
) -> None:
    """Size of the web pages, and milliseconds until each is there, in a real browser that holds nothing of them."""
    from service.bench import harness, pages

    harness.report(pages.bench_pages(lake), output)


@app.command("prices")
def bench_prices_command(
    lake: Annotated[
        Path, typer.Option("--lake", help="Folder of a lake like the demo's; it is copied, and stays as it is.")
    ],
    question: Annotated[
        list[str] | None, typer.Option("--question", help="Only this question; as often as needed.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Core-seconds of every question's example beside its price, which the request budget and the heavy lane go by."""
    from service.bench import harness, prices

    harness.report(prices.bench_prices(lake, question or ()), output)


@app.command("map")
def bench_map_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts to value.")] = 60_000,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Scenarios.")] = 500,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Valuations a second: in the kernel, in one process, and end to end through Spark into the lake."""
    from service.bench import harness

    harness.report(harness.bench_map(contracts, scenarios), output)


@app.command("instruments")
def bench_instruments_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts of each type.")] = 200,
    scenarios: ScenariosOption = 1000,
    output: OutputOption = None,
) -> None:
    """Values a second and core of every instrument type, beside QuantLib's on the same contracts, and how far apart they are."""
    from service.bench import harness, instruments

    harness.report(instruments.bench_instruments(contracts, scenarios), output)


@app.command("scenarios")
def bench_scenarios_command(
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Historical and Monte Carlo scenarios of 500 factors, and a million of them in bounded memory."""
    from service.bench import harness, scenarios

    harness.report(scenarios.bench_scenarios(500, 500, 10_000, 1_000_000), output)


@app.command("ingest")
def bench_ingest_command(
    positions: Annotated[int, typer.Option("--positions", help="Rows of the CSV file of positions.")] = 2_000_000,
    values: Annotated[int, typer.Option("--values", help="Rows of the long CSV file of market values.")] = 10_000_000,
    vectors: Annotated[int, typer.Option("--vectors", help="P&L vectors in the Parquet file.")] = 100_000,
    scenarios: ScenariosOption = 1000,
    output: OutputOption = None,
) -> None:
    """Seconds and memory of bringing large files in, of verifying the lake they make, and of one commit."""
    from service.bench import harness, ingest

    harness.report(ingest.bench_ingest(positions, values, vectors, scenarios), output)


@app.command("live")
def bench_live_command(
    messages: Annotated[int, typer.Option("--messages", help="FIX messages of market data.")] = 400_000,
    ticks: Annotated[int, typer.Option("--ticks", help="Ticks that are aligned.")] = 5_000_000,
    contracts: ContractsOption = 100_000,
    scenarios: ScenariosOption = 1000,
    runs: Annotated[int, typer.Option("--runs", help="Levels, and trades of each kind, of the live book.")] = 300,
    trades: Annotated[int, typer.Option("--trades", help="Trades of the whole day.")] = 200_000,
    output: OutputOption = None,
) -> None:
    """Ticks in (FIX messages, alignment, slides of a covariance), seconds from a level or a trade to VaR, and a whole day, against limits
    and peers."""
    from service.bench import harness, live, live_book, live_day

    rows = [
        *live.bench_live(messages, ticks),
        *live_book.bench_live_book(contracts, scenarios, runs),
        *live_day.bench_live_day(ticks, trades, max(contracts // 5, 1), max(scenarios // 2, 2)),
    ]
    harness.report(rows, output)


@app.command("profiles")
def bench_profiles_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts with values on paths.")] = 4000,
    paths: Annotated[int, typer.Option("--paths", help="Paths.")] = 1000,
    dates: Annotated[int, typer.Option("--dates", help="Dates of the grid.")] = 60,
    sets: Annotated[int, typer.Option("--sets", help="Netting sets, each with collateral.")] = 200,
    output: OutputOption = None,
) -> None:
    """Seconds of EE, PFE and EPE by counterparty with collateral, from cached values, against one read of their bytes."""
    from service.bench import harness, profiles

    harness.report(profiles.bench_profiles(contracts, paths, dates, sets), output)


@app.command("exposure")
def bench_exposure_command(output: OutputOption = None) -> None:
    """Paths, exposure profiles, CVA, SA-CCR and market risk capital, each against its limit; it takes some minutes."""
    from service.bench import exposure, harness

    harness.report(exposure.bench_exposure(), output)


@app.command("all")
def bench_all_command(
    output: Annotated[Path, typer.Option("--output", help="JSON file for the rows.")] = Path("bench.json"),
) -> None:
    """Every benchmark with its default sizes."""
    from service.bench import harness, instruments, scenarios

    harness.report(
        [
            *harness.bench_map(60_000, 500),
            *instruments.bench_instruments(),
            *scenarios.bench_scenarios(500, 500, 10_000, 1_000_000),
            *rows_of_the_reduce(100_000, 1000, 1_000_000),
        ],
        output,
    )
