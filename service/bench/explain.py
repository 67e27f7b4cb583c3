"""Benchmark of explanations: why ES changed between two days, by desk and cause."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from aggregation.change.explain import explain
from aggregation.opened import remembered
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import save_scenario_set
from scenarios.types import ScenarioSet
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, noisy_market, random_positions, row, seconds
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

NEXT_DAY = VALUATION_DATE + dt.timedelta(days=1)
LIMIT = 0.3  # seconds, on two cores


def bench_explain(n_contracts: int, n_scenarios: int, n_positions: int) -> list[Row]:
    """Seconds to explain ES between two days by desk and cause, in a lake made for it.

    Once with the P&L of the totals kept from an earlier question, as a second cut of the same days finds it, and once with both
    totals reduced anew; the vectors are mapped and the trades matched in either case.
    """
    size = f"{n_contracts:,} x {n_scenarios}, {n_positions:,} positions"
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = Lake.create(Path(folder) / "lake")
        _fill(lake, n_contracts, n_scenarios, n_positions)
        cache = VectorCache(lake)
        one, two = (RiskQuery(as_of=d, by=("desk",), measures=("es",)) for d in (VALUATION_DATE, NEXT_DAY))
        answer = explain(lake, one, two, cache=cache)
        assert all(c.status == "complete" for c in answer.coverage)
        assert min(abs(answer.causes[c]) for c in ("new", "closed", "amended", "revaluation")) > 0

        def anew() -> None:
            remembered.answers.clear()
            explain(lake, one, two, cache=cache)

        kept = seconds(lambda: explain(lake, one, two, cache=cache))
        return [
            row(f"ES of two days by desk x cause, warm: {size}", kept, "s", "the stated limit", LIMIT, "<= 1"),
            row(f"the same, both totals reduced anew: {size}", seconds(anew), "s", "the stated limit", LIMIT, "<= 1"),
        ]


def _fill(lake: Lake, n_contracts: int, n_scenarios: int, n_positions: int) -> None:
    """Two days: the window has rolled by one, a tenth of the trades are new, a tenth amended."""
    contracts, made = mixed_contracts(n_contracts), noisy_market(n_scenarios)
    with Committer(lake, "varlake bench") as committer:
        committer.put("contracts", contracts)
        book = random_positions(contracts, n_positions)
        for day, scenarios, positions in (
            (VALUATION_DATE, made, book),
            (NEXT_DAY, _rolled(made), _next_book(book)),
        ):
            stored = save_scenario_set(committer, scenarios)
            committer.put("positions", positions)
            run_plan(committer, make_plan(lake.snapshot(), contracts, stored, day), runner="in-process")


def _rolled(made: ScenarioSet) -> ScenarioSet:
    """The next day: other base levels, the same moves, and one new scenario for the oldest."""
    levels = np.asarray(made.levels)
    shifted = np.roll(levels, -1, axis=1)
    shifted[:, -1] = made.base + 2 * (levels[:, 0] - made.base)
    return dataclasses.replace(
        made,
        market_date=NEXT_DAY,
        labels=(*made.labels[1:], "new"),
        base=made.base * 1.01,
        levels=shifted * 1.01,
    )


def _next_book(book: pa.Table) -> pa.Table:
    n = book.num_rows
    number = np.arange(n)
    trade = np.where(
        number % 10 == 0, np.char.add("N", number.astype(str)), book["trade"].to_numpy(zero_copy_only=False)
    )
    quantity = np.where(number % 10 == 1, 2.0, 1.0) * book["quantity"].to_numpy()
    columns = {
        "positions_date": pa.array([NEXT_DAY] * n, pa.date32()),
        "trade": pa.array(trade.tolist(), pa.string()),
        "quantity": pa.array(quantity),
    }
    return pa.table({name: columns.get(name, book[name]) for name in book.column_names})
