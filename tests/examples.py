"""Example terms of every instrument type, and a market they can be valued in: a file of `instrument_examples` for each.

A file has `examples`, terms as a positions file may have them, and `market`, the risk factors that no other file has yet.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.types import FactorIndex, RiskFactor, ShiftType
from valuation.market.scenario_market import ScenarioMarket

TODAY = dt.date(2020, 3, 16)

_FILES: dict[str, Any] = {
    p.stem: json.loads(p.read_text()) for p in sorted((Path(__file__).parent / "instrument_examples").glob("*.json"))
}
EXAMPLES: dict[str, list[dict[str, Any]]] = {name: content["examples"] for name, content in _FILES.items()}


def _factor(row: dict[str, Any]) -> RiskFactor:
    attributes = tuple(sorted(row.get("attributes", {}).items()))
    return RiskFactor(
        row["id"], row["type"], row["id"], row["currency"], row.get("curve"), row.get("pillar"), attributes
    )


_ROWS = [row for content in _FILES.values() for row in content["market"]]
LEVELS: dict[str, float] = {row["id"]: row["level"] for row in _ROWS}
INDEX = FactorIndex.of(map(_factor, _ROWS))
assert len(LEVELS) == len(_ROWS), "a risk factor stands in two files"
BASE = np.array([LEVELS[f.risk_factor_id] for f in INDEX.factors])


def shocked_market(n_scenarios: int = 40, seed: int = 9) -> ScenarioMarket:
    """Relative shocks of about 3% to prices, absolute ones of about 10bp to rates; WTI goes negative in scenario 1."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((len(BASE), n_scenarios))
    absolute = np.array([f.shift_type is ShiftType.ABSOLUTE for f in INDEX.factors])
    levels = np.where(absolute[:, None], BASE[:, None] + 0.001 * shocks, BASE[:, None] * (1 + 0.03 * shocks))
    levels[INDEX.row["CM:WTI"], 0] = -36.98
    return ScenarioMarket(TODAY, INDEX, BASE, levels)


def numbered(slow_after: int | None = None) -> list[Any]:
    """Every example as parameters: instrument type and number; those of a type from the number `slow_after` on are slow."""
    return [
        pytest.param(
            t, i, id=f"{t}-{i}", marks=[pytest.mark.slow] if slow_after is not None and i >= slow_after else []
        )
        for t, examples in EXAMPLES.items()
        for i in range(len(examples))
    ]
