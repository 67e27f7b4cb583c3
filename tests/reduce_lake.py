"""Lakes whose valuations are written by hand, so that every vector in them is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.dimensions import DIMENSIONS
from lake.arrays import Floats
from lake.committer import Committer
from lake.schemas import (
    DOUBLES,
    PNL_VECTORS,
    POSITIONS,
    VALUATION_FAILURES,
    VALUATION_MEMBERS,
    VALUATION_SETS,
)
from lake.tables import Lake
from scenarios.store import save_scenario_set
from scenarios.types import FactorIndex, RiskClass, RiskFactor, ScenarioSet

DAY = dt.date(2020, 3, 16)


@dataclass
class Valued:
    """A valuation set: contract id to (currency, base value, P&L), what failed, what is unmoved."""

    vectors: Mapping[str, tuple[str, float, Floats]]
    failed: Mapping[str, str] = field(default_factory=dict)
    unmoved: frozenset[str] = frozenset()
    substituted: frozenset[str] | None = None  # None as in sets filled before it was kept
    fx: Mapping[str, tuple[float, Floats]] = field(default_factory=dict)  # pair to (base, levels)
    weights: Floats | None = None
    day: dt.date = DAY
    name: str = "hand"
    horizon_days: int = 1
    risk_classes: Sequence[str] = tuple(sorted(c.value for c in RiskClass))
    synthetic: bool = False
    held: Mapping[str, str] = field(default_factory=dict)
    fitted: Mapping[str, str] = field(default_factory=dict)
    files: int = 1  # data files the vectors are spread over
    sealed_at: dt.datetime = dt.datetime(2020, 3, 17, tzinfo=dt.UTC)

    @property
    def n_scenarios(self) -> int:
        return len(next(iter(self.vectors.values()))[2])

    @property
    def set_id(self) -> str:
        return f"{self.name}-{self.day}-{self.sealed_at:%H%M%S}"


def put_valued(lake: Lake, valued: Valued) -> ScenarioSet:
    """Writes the scenario set, the vectors, the members, the failures and the seal."""
    with Committer(lake, "test") as committer:
        scenarios = save_scenario_set(committer, _scenario_set(valued))
        _put_vectors(committer, valued)
        members = [
            {
                "valuation_set_id": valued.set_id,
                "contract_id": c,
                "inputs_digest": _digest(valued, c),
                "unmoved": c in valued.unmoved,
                "substituted": None if valued.substituted is None else c in valued.substituted,
            }
            for c in valued.vectors
        ]
        committer.put("valuation_members", pa.Table.from_pylist(members, schema=VALUATION_MEMBERS.schema))
        failures = [
            {"valuation_set_id": valued.set_id, "contract_id": c, "instrument_type": "x", "reason": r, "message": r}
            for c, r in valued.failed.items()
        ]
        committer.put("valuation_failures", pa.Table.from_pylist(failures, schema=VALUATION_FAILURES.schema))
        seal = {c.name: None for c in VALUATION_SETS.columns} | {
            "valuation_set_id": valued.set_id,
            "valuation_date": valued.day,
            "market_date": valued.day,
            "scenario_set_id": scenarios.scenario_set_id,
            "scenario_set_name": valued.name,
            "sample": True,
            "risk_classes": list(valued.risk_classes),
            "pricer_version": "hand",
            "scenario_count": valued.n_scenarios,
            "submitted": len(members) + len(failures),
            "valued": len(members),
            "reused": 0,
            "failed": len(failures),
            "sealed_at": valued.sealed_at,
        }
        committer.put("valuation_sets", pa.Table.from_pylist([seal], schema=VALUATION_SETS.schema))
    return scenarios


def _digest(valued: Valued, contract: str) -> str:
    return f"inputs-{valued.name}-{valued.n_scenarios}-{contract}"


def _put_vectors(committer: Committer, valued: Valued) -> None:
    rows = [
        {
            "valuation_date": valued.day,
            "contract_id": c,
            "inputs_digest": _digest(valued, c),
            "base_digest": f"base-{c}",
            "currency": currency,
            "base_value": base,
            "pnl": [] if c in valued.unmoved else np.asarray(pnl, dtype=np.float64),
        }
        for c, (currency, base, pnl) in valued.vectors.items()
    ]
    # vectors of other sets stand in the same files
    rows.append(rows[0] | {"inputs_digest": "of another set", "pnl": [1e9] * 3})
    rows.append(rows[0] | {"contract_id": "of another set", "pnl": [1e9] * valued.n_scenarios})
    for part in range(valued.files):
        some = rows[part :: valued.files]
        table = pa.Table.from_pylist([{**r, "pnl": list(r["pnl"])} for r in some], schema=PNL_VECTORS.schema)
        assert table.schema.field("pnl").type == DOUBLES
        committer.put("pnl_vectors", table)


def _scenario_set(valued: Valued) -> ScenarioSet:
    n = valued.n_scenarios
    factors = [RiskFactor(f"FX:{pair}", "fx_rate", pair, pair[3:]) for pair in valued.fx]
    factors.append(
        RiskFactor(f"EQ:{valued.name}:{valued.day}", "equity_price", "some stock", "USD", synthetic=valued.synthetic)
    )
    index = FactorIndex.of(factors)
    levels = {f"FX:{pair}": rates for pair, rates in valued.fx.items()}
    flat = (100.0, np.full(n, 100.0))
    return ScenarioSet(
        scenario_set_id="",
        name=valued.name,
        method="historical",
        market_date=valued.day,
        definition={},
        index=index,
        labels=tuple(f"s{i:04}" for i in range(n)),
        base=np.array([levels.get(f.risk_factor_id, flat)[0] for f in index.factors]),
        levels=np.array([levels.get(f.risk_factor_id, flat)[1] for f in index.factors]),
        shocked=np.ones(len(factors), dtype=np.bool_),
        weights=valued.weights,
        horizon_days=valued.horizon_days,
        held=valued.held,
        fitted=valued.fitted,
    )


def position(trade: str, contract: str, quantity: float, **dimensions: Any) -> dict[str, Any]:
    """A row of positions; dimensions not given are named after themselves, attributes come as a mapping."""
    row: dict[str, Any] = {d: f"{d}-1" for d in DIMENSIONS} | {
        "positions_date": DAY,
        "contract_id": contract,
        "quantity": quantity,
        "instrument_type": "cash_equity",
        "currency": "USD",
        "attributes": {},
    }
    row |= dimensions | {"trade": trade}
    row["attributes"] = sorted(row["attributes"].items())
    return row


def put_positions(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> None:
    with Committer(lake, "test") as committer:
        committer.put("positions", pa.Table.from_pylist(list(rows), schema=POSITIONS.schema), replace=True)


def make_lake(folder: Path, valued: Valued, rows: Sequence[Mapping[str, Any]]) -> Lake:
    lake = Lake.create(folder / "lake")
    put_valued(lake, valued)
    put_positions(lake, rows)
    return lake
