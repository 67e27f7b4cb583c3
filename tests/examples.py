"""Example terms of every instrument type, and a market they can be valued in."""

from __future__ import annotations

import datetime as dt

import numpy as np
from make_market import factor

from scenarios.types import FactorIndex
from valuation.market.scenario_market import ScenarioMarket

TODAY = dt.date(2020, 3, 16)

EXAMPLES: dict[str, list[dict[str, object]]] = {
    "cash_equity": [
        {"currency": "USD", "underlying": "EQ:A"},
        {"currency": "EUR", "underlying": "IX:DAX.EUR"},
    ],
    "equity_forward": [
        {"currency": "USD", "underlying": "EQ:A", "strike": 101.5, "maturity": "2020-12-16", "discount_curve": "USD"},
        {"currency": "EUR", "underlying": "IX:DAX.EUR", "strike": 9000, "maturity": "2025-03-17", "dividend_yield": 0.03,
         "discount_curve": "EUR"},
    ],
    "equity_option": [
        {"currency": "USD", "underlying": "EQ:A", "volatility": "VOL:A", "strike": 95, "expiry": "2020-09-18",
         "option_type": "call", "discount_curve": "USD"},
        {"currency": "USD", "underlying": "EQ:A", "volatility": "VOL:A", "strike": 120, "expiry": "2022-06-17",
         "option_type": "put", "dividend_yield": 0.02, "discount_curve": "USD"},
    ],
    "fx_forward": [
        {"currency": "USD", "base_currency": "EUR", "strike": 1.1, "maturity": "2021-03-16", "quote_curve": "USD",
         "base_curve": "EUR"},
        {"currency": "JPY", "base_currency": "USD", "strike": 106, "maturity": "2020-06-16", "quote_curve": "JPY",
         "base_rate": 0.01},
    ],
    "government_bond": [
        {"currency": "USD", "issue_date": "2018-05-31", "maturity": "2028-05-31", "coupon": 0.02875, "frequency": 2,
         "calendar": "USGS", "end_of_month": True, "discount_curve": "USD"},
        {"currency": "JPY", "issue_date": "2015-03-20", "maturity": "2045-03-20", "coupon": 0.015, "frequency": 2,
         "day_count": "Actual365Fixed", "calendar": "JPTO", "discount_curve": "JPY"},
    ],
    "interest_rate_swap": [
        {"currency": "USD", "pay_fixed": True, "fixed_rate": 0.025, "start": "2018-01-10", "maturity": "2028-01-10",
         "fixed_frequency": 2, "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
         "calendar": "USNY", "discount_curve": "USD", "fixings": {"2020-01-10": 0.0184}},
        {"currency": "EUR", "pay_fixed": False, "fixed_rate": 0.005, "start": "2021-03-15", "maturity": "2041-03-15",
         "fixed_frequency": 1, "float_frequency": 2, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
         "calendar": "EUTA", "discount_curve": "EUR"},
    ],
    "commodity_forward": [
        {"currency": "USD", "underlying": "CM:WTI", "strike": 31, "maturity": "2020-09-16", "discount_curve": "USD"},
        {"currency": "USD", "underlying": "CM:WTI", "strike": -4, "maturity": "2021-09-16", "carry": 0.08,
         "discount_curve": "USD"},
    ],
}  # fmt: skip

_PAR = {"1M": 0.0025, "6M": 0.003, "1Y": 0.0029, "2Y": 0.0036, "5Y": 0.0049, "10Y": 0.0073, "30Y": 0.0134}
_ZERO = {"1Y": -0.008, "5Y": -0.007, "10Y": -0.004, "30Y": 0.001}
LEVELS = {
    "EQ:A": 104.0, "EQ:UNREAD": 12.0, "IX:DAX.EUR": 8742.0, "VOL:A": 0.62, "FX:EURUSD": 1.1157, "FX:EURJPY": 118.4,
    "CM:WTI": 28.7, **{f"YC:USD:{p}": y for p, y in _PAR.items()}, **{f"YC:JPY:{p}": y - 0.003 for p, y in _PAR.items()},
    **{f"YC:EUR:{p}": y for p, y in _ZERO.items()},
}  # fmt: skip
INDEX = FactorIndex.of(factor(i, "zero_rate" if i.startswith("YC:EUR") else "par_yield") for i in LEVELS)
BASE = np.array([LEVELS[f.risk_factor_id] for f in INDEX.factors])


def shocked_market(n_scenarios: int = 40, seed: int = 9) -> ScenarioMarket:
    """Relative shocks of about 3% to prices, absolute ones of about 10bp to yields; WTI goes negative in scenario 1."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((len(BASE), n_scenarios))
    yields = np.array([f.curve is not None for f in INDEX.factors])
    levels = np.where(yields[:, None], BASE[:, None] + 0.001 * shocks, BASE[:, None] * (1 + 0.03 * shocks))
    levels[INDEX.row["CM:WTI"], 0] = -36.98
    return ScenarioMarket(TODAY, INDEX, BASE, levels)
