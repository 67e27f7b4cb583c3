"""Rows of `varlake bench live` on the live book: from a level, and from a trade, to VaR."""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.live.live_book import LiveBook
from aggregation.live.live_risk import LiveQuery, answer_live
from aggregation.live.opening import LiveDay, open_day
from aggregation.opened.opened_lake import VectorCache
from lake.committer import Committer
from lake.schemas import CONTRACTS, DIMENSION_COLUMNS, MARKET_DATA, ORDERS, POSITIONS, RISK_FACTORS
from scenarios.store import save_scenario_set
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from service.bench import harness
from valuation.catalogue import parse_terms

DAY = harness.VALUATION_DATE + dt.timedelta(days=1)
SHARES, _DESKS = 2000, 20
_NO_ORDER = dict.fromkeys(ORDERS.schema.names)
_NO_POSITION = dict.fromkeys(POSITIONS.schema.names)
_TICK_BAR, _KNOWN_BAR, _NEW_BAR = 0.100, 0.050, 0.150  # seconds, of 99 of 100


def bench_live_book(n_contracts: int, n_scenarios: int, runs: int = 300) -> list[harness.Row]:
    """What 99 of 100 levels and trades stay within until VaR and ES of their groups and of all are there, against the limits."""
    with harness.temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        source = fill(committer, n_contracts, n_scenarios)
        started = time.perf_counter()
        live = LiveBook(open_day(VectorCache(lake), LiveDay(as_of=DAY, scenario_set=source.name)))
        opened = time.perf_counter() - started
        query = LiveQuery(as_of=DAY, by=("desk",), levels=("0.99",), causes=False)
        answer_live(live, query)
        draw, clock = np.random.default_rng(5), itertools.count(1)
        known = lake.read("contracts").to_pylist()

        def tick() -> None:
            share = f"EQ:S{int(draw.integers(SHARES)):05}"
            at = dt.datetime(2020, 3, 17, 14, tzinfo=dt.UTC) + dt.timedelta(seconds=next(clock))
            told = {"level": 100 * float(np.exp(0.02 * draw.standard_normal())), "ticks": 1, "carried_seconds": 0}
            live.apply_levels([{"risk_factor_id": share, "bucket_end": at, "source": "bench", **told}])

        def trade(contract: Mapping[str, Any]) -> None:
            live.apply_orders([_order(next(clock), contract)])

        new = iter(_shares(runs + 20, 0.5))
        fresh = [next(new) for _ in range(runs + 10)]
        committer.put("contracts", pa.Table.from_pylist(fresh, schema=CONTRACTS.schema))
        turn = iter(fresh)
        size = f"{n_contracts:,} contracts x {n_scenarios:,}, by desk"
        kinds = (
            ("level to VaR and ES, prices that only rescale", tick, _TICK_BAR),
            ("trade to VaR and ES, known contract", lambda: trade(known[int(draw.integers(len(known)))]), _KNOWN_BAR),
            ("trade to VaR and ES, new contract", lambda: trade(next(turn)), _NEW_BAR),
        )
        rows = []
        for what, act, bar in kinds:
            walls, cores = [], []
            for i in range(runs + 5):
                begun, spent = time.perf_counter(), time.process_time()
                act()
                answer_live(live, query)
                if i >= 5:
                    walls.append(time.perf_counter() - begun)
                    cores.append(time.process_time() - spent)
            for told, times in (("", walls), (", processor time of all threads", cores)):
                p99 = statistics.quantiles(times, n=100)[-1]
                rows.append(harness.row(f"{what}, p99 of {runs}{told}: {size}", p99, "s", "limit", bar, "<= 1"))
            rows.append(harness.row(f"{what}, median: {size}", statistics.median(walls), "s", "limit", bar, "<= 1"))
        again = LiveBook(live.opening)
        started = time.perf_counter()
        view = again.view(query)
        view.exact()
        rows.append(harness.row(f"a day opened: {size}", opened, "s", "one minute", 60.0, "<= 1"))
        rows.append(
            harness.row(
                f"level to VaR and ES, median: {size}",
                rows[2]["figure"],
                "s",
                "all groups from scratch",
                time.perf_counter() - started,
                "<= 1",
            )
        )
    return rows


def fill(committer: Committer, n_contracts: int, n_scenarios: int) -> ScenarioSet:
    """Shares, so many contracts on each, a position in every contract, and a scenario set."""
    factors = [
        RiskFactor(f"EQ:S{i:05}", "equity_price", f"share {i}", "USD", source="bench", synthetic=True)
        for i in range(SHARES)
    ]
    index = FactorIndex.of(factors)
    levels = 100 * np.exp(0.015 * np.random.default_rng(1).standard_normal((SHARES, n_scenarios)))
    made = ScenarioSet(
        scenario_set_id="",
        name="bench",
        method="historical",
        market_date=harness.VALUATION_DATE,
        definition={},
        index=index,
        labels=tuple(f"s{i}" for i in range(n_scenarios)),
        base=np.full(SHARES, 100.0),
        levels=levels,
        shocked=np.ones(SHARES, np.bool_),
    )
    described = [
        {
            **f.to_dict(),
            "risk_class": f.risk_class.value,
            "shift_type": f.shift_type.value,
            "unit": f.unit,
            "attributes": list(f.attributes),
        }
        for f in factors
    ]
    rows = [
        {
            "as_of_date": harness.VALUATION_DATE,
            "risk_factor_id": f.risk_factor_id,
            "value_received": 100.0,
            "value_used": 100.0,
            "status": "observed",
            "rule": "as received",
            "source": "bench",
        }
        for f in factors
    ]
    contracts = _shares(n_contracts)
    draw = np.random.default_rng(4)
    positions: list[dict[str, Any]] = [
        {
            **_NO_POSITION,
            **{d: f"{d}-{i % 7}" for d in DIMENSION_COLUMNS},
            "positions_date": harness.VALUATION_DATE,
            "trade": f"T{i:07}",
            "desk": f"desk-{i % _DESKS:02}",
            "contract_id": c["contract_id"],
            "instrument_type": c["instrument_type"],
            "currency": "USD",
            "quantity": float(draw.normal() * 1000),
            "attributes": [],
        }
        for i, c in enumerate(contracts)
    ]
    committer.put("risk_factors", pa.Table.from_pylist(described, schema=RISK_FACTORS.schema))
    committer.put("market_data", pa.Table.from_pylist(rows, schema=MARKET_DATA.schema))
    committer.put("contracts", pa.Table.from_pylist(contracts, schema=CONTRACTS.schema))
    committer.put("positions", pa.Table.from_pylist(positions, schema=POSITIONS.schema))
    return save_scenario_set(committer, made)


def _shares(n: int, first_yield: float = 0.0) -> list[dict[str, str]]:
    """Shares, all different: several on one price."""
    rows = []
    for i in range(n):
        given = {
            "currency": "USD",
            "underlying": f"EQ:S{i % SHARES:05}",
            "dividend_yield": str(first_yield + 1e-6 * i),
        }
        terms = parse_terms("cash_equity", given)
        about = {"contract_id": terms.contract_id(), "instrument_type": "cash_equity", "currency": "USD"}
        rows.append({**about, "terms": terms.to_json()})
    return rows


def _order(number: int, contract: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_NO_ORDER,
        **{d: f"{d}-0" for d in DIMENSION_COLUMNS if d != "trade"},
        **{n: contract[n] for n in ("contract_id", "instrument_type", "currency")},
        "order_id": f"O{number}",
        "sequence": 1,
        "event": "new",
        "executed_at": dt.datetime(2020, 3, 17, 15, tzinfo=dt.UTC),
        "trade_date": DAY,
        "side": "buy",
        "quantity": "100",
        "desk": f"desk-{number % _DESKS:02}",
        "attributes": {},
    }
