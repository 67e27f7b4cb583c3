"""Benchmark of the standardised approach for market risk: capital and contributions of a large book from stored sensitivities."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa import run_frtb_sa
from aggregation.regulatory.frtb_sa_factors import Cell, Choices, Mapper
from aggregation.regulatory.frtb_sa_parameters import SECTION, FrtbSa
from aggregation.regulatory.frtb_sa_query import FrtbSaQuery, prepare
from aggregation.regulatory.frtb_sa_sbm import method_of, sbm_capital
from aggregation.session import no_spark, reading
from lake.committer import Committer
from lake.schemas import MARKET_DATA, RISK_FACTORS
from lake.tables import Lake
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, noisy_market, random_positions, row, seconds
from valuation.sets.requests import run_valuation

_LIMIT = 1.0  # seconds, of a warm question
_CELLS = 1000  # risk factors of the method, in the row of the method alone


def bench_frtb(n_contracts: int, n_positions: int) -> list[Row]:
    """Seconds of the whole question by desk and by trade, warm, in a lake made for it; and of the method alone."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = Lake.create(Path(folder) / "lake")
        _fill(lake, n_contracts, n_positions)
        session, rows = reading(lake), []
        for work, by in (("by desk", ("desk",)), ("by trade", ("trade",))):
            query = FrtbSaQuery(as_of=VALUATION_DATE, by=by)
            answer = run_frtb_sa(session, query)
            assert answer.coverage.covered == n_positions
            size = f"{n_contracts:,} contracts x {answer.receipt['scenario_count']:,} moves, {n_positions:,} positions"
            ours = seconds(lambda query=query: run_frtb_sa(session, query))  # type: ignore[misc]
            rows.append(
                row(f"FRTB standardised approach {work}, warm: {size}", ours, "s", "the stated limit", _LIMIT, "<= 1")
            )
            cores = seconds(lambda query=query: run_frtb_sa(session, query), clock=time.process_time)  # type: ignore[misc]
            name = f"FRTB standardised approach {work}, warm: CPU of all cores"
            rows.append(row(name, cores, "core-s", "one core-second", 1.0, "<= 1"))
    return [*rows, _method_alone()]


def _fill(lake: Lake, n_contracts: int, n_positions: int) -> None:
    """A market of one day, contracts, positions, and the moves of the day valued."""
    contracts, market = mixed_contracts(n_contracts), noisy_market(1)
    described = [
        {
            **f.to_dict(),
            "risk_class": f.risk_class.value,
            "shift_type": f.shift_type.value,
            "unit": f.unit,
            "attributes": list(f.attributes),
            "source": "bench",
        }
        for f in market.index.factors
    ]
    levels = [
        {
            "as_of_date": VALUATION_DATE,
            "risk_factor_id": f.risk_factor_id,
            "value_received": level,
            "value_used": level,
            "status": "observed",
            "rule": "",
            "source": "bench",
        }
        for f, level in zip(market.index.factors, market.base.tolist(), strict=True)
    ]
    with Committer(lake, "varlake bench") as committer:
        committer.put("risk_factors", pa.Table.from_pylist(described, schema=RISK_FACTORS.schema))
        committer.put("market_data", pa.Table.from_pylist(levels, schema=MARKET_DATA.schema))
        committer.put("contracts", contracts)
        committer.put("positions", random_positions(contracts, n_positions))
        request = prepare(reading(lake), FrtbSaQuery(as_of=VALUATION_DATE)).request
        run_valuation(committer, request.model_copy(update={"runner": "in-process"}), spark=no_spark)


def _method_alone() -> Row:
    p = regime_of("basel@2023", VALUATION_DATE, None).section(SECTION, FrtbSa)
    cells = [
        Cell("delta", "csr", str(1 + i % 15), f"issuer {i // 5}", "cds", p.csr.tenors[i % 5]) for i in range(_CELLS)
    ]
    method = method_of(cells, Mapper(p, {}, Choices("USD")))
    outputs = np.random.default_rng(1).standard_normal(method.n_outputs)
    sbm_capital(method, outputs)
    ours = seconds(lambda: sbm_capital(method, outputs))
    name = f"sensitivities-based method with its derivatives: {_CELLS:,} risk factors"
    return row(name, ours, "s", "the stated limit", 0.05, "<= 1")
