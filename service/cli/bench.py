"""Benchmarks of the reduce as commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lake.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from service.bench.harness import Row

# ruff: noqa: PLC0415 - see service.cli.main

REQUESTS = 200  # of each client of the HTTP benchmark

ContractsOption = Annotated[int, typer.Option("--contracts", help="Contracts with vectors.")]
ScenariosOption = Annotated[int, typer.Option("--scenarios", help="Scenarios.")]
PositionsOption = Annotated[int, typer.Option("--positions", help="Positions.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")]


def register(bench: typer.Typer) -> None:
    """Adds the commands of this module."""
    bench.command("reduce")(bench_reduce_command)
    bench.command("http")(bench_http_command)
    bench.command("vectors")(bench_vectors_command)
    bench.command("table")(bench_table_command)


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


def bench_vectors_command(
    rows: Annotated[
        int, typer.Option("--rows", help="Rows of the table; 8 KB of memory and of disk each.")
    ] = 1_720_000,
    output: OutputOption = None,
) -> None:
    """The public benchmark of vector aggregation: four queries over 100 columns and vectors of 1,000 floats."""
    from service.bench import harness, vectors

    harness.report(vectors.bench_vectors(rows), output)


def bench_table_command(
    files: Annotated[list[Path], typer.Argument(help="JSON files that --output wrote.")],
) -> None:
    """The rows of JSON files as a Markdown table."""
    import json

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
    display.stdout().print(harness.as_markdown(rows), markup=False, highlight=False, soft_wrap=True)
