"""Small markets for tests, written as risk factor id to level or levels (base first, then the scenarios)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np

from scenarios.types import FactorIndex, RiskFactor
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import InstrumentTerms

TYPES = {
    "EQ": "equity_price", "IX": "index_level", "VOL": "implied_vol", "NV": "normal_vol", "FX": "fx_rate",
    "CM": "commodity_price", "NPV": "normal_price_vol", "CPI": "price_index", "REC": "recovery_rate", "DIV": "dividend",
}  # fmt: skip


def factor(risk_factor_id: str, curve_type: str = "zero_rate") -> RiskFactor:
    """Factor of the type its id says; `YC:USD:5Y` is a pillar in the currency USD; a trailing `.EUR` is the currency."""
    kind, *rest = risk_factor_id.split(":")
    if kind == "YC":
        curve, pillar = rest
        return RiskFactor(risk_factor_id, curve_type, risk_factor_id, curve[:3], curve, pillar)
    currency = risk_factor_id[-3:] if kind == "FX" or "." in risk_factor_id else "USD"
    return RiskFactor(risk_factor_id, TYPES[kind], risk_factor_id, currency)


def make_market(
    valuation_date: dt.date, levels: Mapping[str, float | Sequence[float]], curve_type: str = "zero_rate"
) -> ScenarioMarket:
    index = FactorIndex.of(factor(i, curve_type) for i in levels)
    width = max((len(v) for v in levels.values() if not isinstance(v, int | float)), default=1)
    states = np.array(
        [np.broadcast_to(np.asarray(levels[f.risk_factor_id], dtype=float), width) for f in index.factors]
    )
    return ScenarioMarket(valuation_date, index, states[:, 0], states[:, 1:])


def value(terms: InstrumentTerms, market: ScenarioMarket) -> np.ndarray:
    """Values of one contract in every state, after the checks the batch makes."""
    from valuation.catalogue import INSTRUMENTS

    terms.check(market.valuation_date)
    module = INSTRUMENTS[terms.instrument_type]
    module.risk_factors(terms, market.index, market.valuation_date)
    return module.value([terms], market)[0]
