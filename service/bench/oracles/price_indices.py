"""QuantLib's price index in the states of a market: the level of its base month, and a curve with a node for every month."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import QuantLib as ql  # noqa: N813

from lake.arrays import Floats
from scenarios.types import RiskFactor, tenor_years
from service.bench.oracles.market import TODAY, Quotes, ql_date

CPI, CURVE, LAG = "CPI:X", "INF:X", 3
RATES = {"1Y": 0.021, "2Y": 0.019, "5Y": 0.022, "10Y": 0.024, "30Y": 0.026}
FACTORS = (
    (RiskFactor(CPI, "price_index", CPI, "USD"), 257.0),
    *((RiskFactor(f"{CURVE}:{p}", "inflation_rate", p, "USD", CURVE, p), r) for p, r in RATES.items()),
)
BASE_MONTH = dt.date(2019, 12, 1)
_MONTHS = 12 * 52

CPI_INTERPOLATION = {"linear": ql.CPI.Linear, "flat": ql.CPI.Flat}


def quantlib_index(name: str, fixings: Mapping[dt.date, float], quotes: Quotes) -> ql.ZeroInflationIndex:
    """An index of this name, which is all that QuantLib knows its fixings by, with these and that of the base month."""
    handle = ql.RelinkableZeroInflationTermStructureHandle()
    index = ql.ZeroInflationIndex(
        name, ql.CustomRegion("oracle", "XX"), False, ql.Monthly, ql.Period(2, ql.Months), ql.USDCurrency(), handle
    )
    index.clearFixings()
    for day, level in fixings.items():
        index.addFixing(ql_date(day), level, True)
    levels = quotes.market.level(CPI)

    def move(state: int) -> None:
        index.addFixing(ql_date(BASE_MONTH), float(levels[state]), True)
        handle.linkTo(_curve(quotes, state))

    quotes.follow(move)
    return index


def _curve(quotes: Quotes, state: int) -> ql.ZeroInflationCurve:
    """Made once a state: the same for all indices."""
    made: dict[int, ql.ZeroInflationCurve] = quotes.market.index.memo.setdefault("quantlib inflation curves", {})
    if state not in made:
        base = ql_date(BASE_MONTH)
        dates = [base + ql.Period(k, ql.Months) for k in range(_MONTHS)]
        rates = _monthly_rates(quotes.market.levels([f.risk_factor_id for f, _ in FACTORS[1:]])[:, state])
        made[state] = ql.ZeroInflationCurve(
            ql_date(TODAY), dates, rates, ql.Monthly, ql.Thirty360(ql.Thirty360.BondBasis)
        )
        made[state].enableExtrapolation()
    return made[state]


def _monthly_rates(rates: Floats) -> list[float]:
    """Zero-coupon swap rates for every month: the logarithm of the growth is linear between pillars and beyond the last."""
    times = np.array([0.0, *(tenor_years(p) for p in RATES)])
    logs = np.array([0.0, *(times[1:] * np.log1p(rates))])
    months = np.arange(1, _MONTHS) / 12
    slope = (logs[-1] - logs[-2]) / (times[-1] - times[-2])
    grown = np.interp(months, times, logs) + slope * np.maximum(months - times[-1], 0.0)
    return [float(rates[0]), *np.expm1(grown / months).tolist()]
