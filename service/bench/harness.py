"""Benchmarks as commands: each row has a figure, a peer measured in the same run, their ratio, and a stated bar.

The machine is noisy, so ratios count, not single times; a time is the median of several runs after a warm-up.
"""

from __future__ import annotations

import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import QuantLib as ql  # noqa: N813 - the name its own documentation uses
from scipy.special import ndtr

from lake.arrays import Floats
from lake.committer import Committer
from lake.runtime import spark as lake_spark
from lake.runtime.machine import usable_cores
from lake.schemas import ATTRIBUTES, CONTRACTS, POSITIONS
from lake.tables import Lake
from scenarios.store import save_scenario_set
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from service.rendering import display
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.kernels.black import european_options
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan
from valuation.types import Contract

Row = dict[str, Any]

VALUATION_DATE = dt.date(2020, 3, 16)
_STOCKS = 20


def row(work: str, figure: float, unit: str, peer: str, peer_figure: float, bar: str, *, better: str = "higher") -> Row:
    """A row of bench.json; `bar` is a text such as '>= 2' or '<= 1.5' on the ratio figure / peer figure."""
    ratio = figure / peer_figure
    sign, limit = bar.split()
    met = ratio >= float(limit) if sign == ">=" else ratio <= float(limit)
    return {
        "work": work,
        "figure": float(f"{figure:.6g}"),
        "unit": unit,
        "peer": peer,
        "peer_figure": float(f"{peer_figure:.6g}"),
        "ratio": round(ratio, 3),
        "bar": bar,
        "met": met,
    }


def seconds(work: Callable[[], object], runs: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median seconds of `runs` calls, by the wall or another `clock`, after one that is not counted (it compiles and warms caches)."""
    work()
    times = []
    for _ in range(runs):
        started = clock()
        work()
        times.append(clock() - started)
    return statistics.median(times)


def p95(times: Sequence[float]) -> float:
    """What 19 of 20 stay within."""
    return statistics.quantiles(times, n=20)[-1]


def report(rows: Sequence[Row], output: Path | None) -> None:
    """Prints the rows and writes them as a JSON list."""
    display.print_table(list(rows))
    if output is not None:
        output.write_text(json.dumps(list(rows), indent=2) + "\n")
        display.say(f"Wrote {len(rows)} rows to {output}")


def noisy_market(n_scenarios: int) -> ScenarioSet:
    """A market of stocks with volatilities, a dollar curve and exchange rates, shocked by seeded noise."""
    pillars = ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")
    factors = [
        *(RiskFactor(f"EQ:S{i:02}", "equity_price", f"stock {i}", "USD", synthetic=True) for i in range(_STOCKS)),
        *(RiskFactor(f"IV:S{i:02}", "implied_vol", f"vol {i}", "USD", synthetic=True) for i in range(_STOCKS)),
        *(RiskFactor(f"YC:USD:{p}", "par_yield", p, "USD", "USD", p, synthetic=True) for p in pillars),
        *(RiskFactor(f"FX:EUR{c}", "fx_rate", c, c, synthetic=True) for c in ("USD", "JPY", "GBP")),
    ]
    index = FactorIndex.of(factors)
    rng = np.random.default_rng(1)
    start = {"equity_price": 100.0, "implied_vol": 0.25, "par_yield": 0.02, "fx_rate": 1.1}
    base = np.array([start[f.type] for f in index.factors])
    noise = rng.standard_normal((len(base), n_scenarios))
    absolute = np.array([f.shift_type == "absolute" for f in index.factors])[:, None]
    levels = np.where(absolute, base[:, None] + 0.0005 * noise, base[:, None] * np.exp(0.015 * noise))
    return ScenarioSet(
        scenario_set_id="",
        name="bench",
        method="historical",
        market_date=VALUATION_DATE,
        definition={},
        index=index,
        labels=tuple(f"s{i}" for i in range(n_scenarios)),
        base=base,
        levels=levels,
        shocked=np.ones(len(base), dtype=bool),
    )


def mixed_contracts(n: int) -> pa.Table:
    """A mixed list: 60% options, 15% bonds, 15% swaps, 10% FX forwards, all different."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(n):
        share = i / n
        maturity = VALUATION_DATE + dt.timedelta(days=int(rng.integers(30, 3650)))
        terms: dict[str, Any]
        if share < 0.60:
            stock = f"S{i % _STOCKS:02}"
            kind, terms = (
                "equity_option",
                {
                    "underlying": f"EQ:{stock}",
                    "volatility": f"IV:{stock}",
                    "strike": float(np.round(rng.uniform(60, 140), 4)),
                    "expiry": (VALUATION_DATE + dt.timedelta(days=int(rng.integers(7, 730)))).isoformat(),
                    "option_type": "call" if i % 2 else "put",
                    "discount_curve": "USD",
                },
            )
        elif share < 0.75:
            kind, terms = (
                "government_bond",
                {
                    "issue_date": "2019-11-15",
                    "maturity": maturity.isoformat(),
                    "coupon": float(np.round(rng.uniform(0.005, 0.05), 6)),
                    "frequency": 2,
                    "discount_curve": "USD",
                },
            )
        elif share < 0.90:
            kind, terms = (
                "interest_rate_swap",
                {
                    "pay_fixed": bool(i % 2),
                    "fixed_rate": float(np.round(rng.uniform(0.005, 0.05), 6)),
                    "start": (VALUATION_DATE + dt.timedelta(days=2)).isoformat(),
                    "maturity": (VALUATION_DATE + dt.timedelta(days=int(rng.integers(400, 3650)))).isoformat(),
                    "fixed_frequency": 2,
                    "float_frequency": 4,
                    "fixed_day_count": "Thirty360",
                    "float_day_count": "Actual360",
                    "discount_curve": "USD",
                },
            )
        else:
            kind, terms = (
                "fx_forward",
                {
                    "base_currency": "EUR",
                    "strike": float(np.round(rng.uniform(1.0, 1.2), 5)),
                    "maturity": (VALUATION_DATE + dt.timedelta(days=int(rng.integers(7, 365)))).isoformat(),
                    "quote_curve": "USD",
                    "base_rate": 0.0,
                },
            )
        parsed = parse_terms(kind, {"currency": "USD", **terms})
        rows.append(
            {"contract_id": parsed.contract_id(), "instrument_type": kind, "currency": "USD", "terms": parsed.to_json()}
        )
    return pa.Table.from_pylist(rows, schema=CONTRACTS.schema).group_by(CONTRACTS.schema.names).aggregate([])


def _black_scholes_in_scipy(spot: Floats, strike: Floats, time_: Floats, rate: float, volatility: Floats) -> Floats:
    """The textbook call in whole-array NumPy: what the kernel is measured against."""
    deviation = volatility * np.sqrt(time_)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * time_) / deviation
    value: Floats = spot * ndtr(d1) - strike * np.exp(-rate * time_) * ndtr(d1 - deviation)
    return value


def _kernel_row(n_scenarios: int) -> Row:
    n = 2000
    rng = np.random.default_rng(3)
    spot, volatility = rng.uniform(80, 120, (n, n_scenarios)), rng.uniform(0.1, 0.5, (n, n_scenarios))
    strike, years = rng.uniform(80, 120, n), rng.uniform(0.1, 2, n)
    discount = np.repeat(np.exp(-0.02 * years)[:, None], n_scenarios, axis=1)
    ones = np.ones(n)
    ours = seconds(
        lambda: european_options(ones, ones, strike, years, spot, volatility, discount), clock=time.process_time
    )
    peer = seconds(
        lambda: _black_scholes_in_scipy(spot, strike[:, None], years[:, None], 0.02, volatility),
        clock=time.process_time,
    )
    values = n * n_scenarios
    return row(
        "kernel: Black-Scholes, one core",
        values / ours,
        "values/s",
        "NumPy and SciPy, one core",
        values / peer,
        ">= 2.85",  # three times what it was with the C library's erfc, exp and log
    )


def _quantlib_values_a_second(n: int = 2000) -> float:
    """A European option revalued by QuantLib under one spot after another, as a grid of pricers does it."""
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    spot = ql.SimpleQuote(100.0)
    rates = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.02, ql.Actual365Fixed()))
    volatility = ql.BlackVolTermStructureHandle(
        ql.BlackConstantVol(today, ql.NullCalendar(), 0.25, ql.Actual365Fixed())
    )
    process = ql.BlackScholesProcess(ql.QuoteHandle(spot), rates, volatility)
    option = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Put, 100.0), ql.EuropeanExercise(today + 180))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))

    def work() -> None:
        for i in range(n):
            spot.setValue(80.0 + 0.01 * i)
            option.NPV()

    return n / seconds(work)


def bench_map(n_contracts: int, n_scenarios: int) -> list[Row]:
    """Valuations a second in the kernel, in one process, and end to end through Spark into the lake."""
    rows = [_kernel_row(n_scenarios)]
    contracts = mixed_contracts(n_contracts)
    made = noisy_market(n_scenarios)
    batch = Contract.of(contracts)
    market = ScenarioMarket.of(made, VALUATION_DATE)
    valuations = contracts.num_rows * n_scenarios
    in_process = valuations / seconds(lambda: value_batch(batch, market), runs=3)
    rows.append(
        row(
            f"one process, one thread: {contracts.num_rows:,} mixed contracts x {n_scenarios} scenarios",
            in_process,
            "valuations/s",
            "QuantLib, one option repriced a scenario at a time",
            _quantlib_values_a_second(),
            ">= 10",
        )
    )
    with temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        session = lake_spark.spark_session()
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)

        def end_to_end(day: dt.date) -> float:
            # another valuation date needs all vectors anew, with workers, curves and compiled kernels warm
            started = time.perf_counter()
            plan = make_plan(lake.snapshot(), contracts, stored, day)
            run_plan(committer, plan, runner="spark", spark=lambda: session)
            return time.perf_counter() - started

        times = [end_to_end(VALUATION_DATE + dt.timedelta(days=i)) for i in range(6)]
        session.stop()
    rows.append(
        row(
            f"end to end on Spark into the lake: {contracts.num_rows:,} x {n_scenarios}, session running",
            valuations / statistics.median(times[2:]),
            "valuations/s",
            "one process, one thread, nothing stored",
            in_process,
            ">= 0.4",
        )
    )
    return rows


@contextmanager
def temporary_lake() -> Iterator[Lake]:
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        yield Lake.create(Path(folder) / "lake")


def random_positions(contracts: pa.Table, n: int) -> pa.Table:
    """A seeded book: 20 desks, 200 books, 500 counterparties, long and short."""
    rng = np.random.default_rng(4)
    drawn = contracts.take(pa.array(rng.integers(0, contracts.num_rows, n)))
    members = {
        "desk": 20,
        "book": 200,
        "counterparty": 500,
        "portfolio": 40,
        "client": 300,
        "account": 600,
        "legal_entity": 4,
    }
    return pa.table(
        {
            "positions_date": pa.array([VALUATION_DATE] * n, pa.date32()),
            "contract_id": drawn["contract_id"],
            "quantity": np.round(rng.standard_normal(n) * 1000),
            **{
                name: pa.array([f"{name}-{i:03}" for i in range(m)]).take(pa.array(rng.integers(0, m, n)))
                for name, m in members.items()
            },
            "instrument": drawn["instrument_type"],
            "trade": pa.array([f"T{i:08}" for i in range(n)]),
            "instrument_type": drawn["instrument_type"],
            "currency": drawn["currency"],
            "attributes": pa.array([[]] * n, ATTRIBUTES),
        }
    ).select(POSITIONS.schema.names)


def parallel_read(matrix: Floats) -> Callable[[], object]:
    """Sums every double of the matrix once, a share of the rows a core."""
    shares = np.array_split(np.arange(len(matrix)), usable_cores())
    pool = ThreadPoolExecutor(usable_cores())
    return lambda: sum(pool.map(lambda rows: float(matrix[rows[0] : rows[-1] + 1].sum()), shares))


def as_markdown(rows: Sequence[Row]) -> str:
    """The rows as a table for docs/performance.md."""
    columns = ("work", "figure", "unit", "peer", "peer_figure", "ratio", "bar", "met")
    lines = [columns, ("---",) * len(columns), *([display.text(r[c]) for c in columns] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
