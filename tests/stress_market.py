"""A small market for tests of the stress language."""

import datetime as dt

import numpy as np
from support import factor

from scenarios.market.base_market import BaseMarket
from scenarios.types import FactorIndex, RiskFactor

DAY = dt.date(2020, 3, 16)

US = (("region", "US"),)
LEVELS: dict[RiskFactor, float] = {
    factor("EQ:AAPL", "equity_price", attributes=(*US, ("sector", "Information Technology"))): 60.0,
    factor("EQ:XOM", "equity_price", attributes=(*US, ("sector", "Energy"))): 35.0,
    factor("EQ:BP.L", "equity_price", "GBP", attributes=(("region", "UK"), ("sector", "Energy"))): 3.0,
    factor("IDX:SPX", "index_level", attributes=US): 2400.0,
    factor("IV:AAPL", "implied_vol", attributes=(*US, ("asset", "EQ:AAPL"))): 0.80,
    factor("IV:SPX", "implied_vol", attributes=(*US, ("asset", "IDX:SPX"))): 0.75,
    factor("IV:WTI", "implied_vol", attributes=(("asset", "CMD:WTI"),)): 1.2,
    **{
        factor(f"YC:USD:{p}", "par_yield", curve="USD", pillar=p, attributes=US): y
        for p, y in (("3M", 0.0025), ("6M", 0.003), ("2Y", 0.004), ("5Y", 0.005), ("10Y", 0.007), ("30Y", 0.013))
    },
    **{
        factor(f"YC:JPY:{p}", "par_yield", "JPY", curve="JPY", pillar=p): y
        for p, y in (("2Y", -0.002), ("10Y", 0.0005), ("30Y", 0.003))
    },
    factor("FX:EURUSD", "fx_rate"): 1.12,
    factor("FX:EURJPY", "fx_rate", "JPY"): 119.0,
    factor("FX:EURGBP", "fx_rate", "GBP"): 0.91,
    factor("CMD:WTI", "commodity_price"): 29.0,
    factor("CR:US_HY", "credit_spread", attributes=(*US, ("rating", "HY"))): 0.08,
}


def market(levels: dict[RiskFactor, float] = LEVELS, excluded: dict[str, str] | None = None) -> BaseMarket:
    index = FactorIndex.of(levels)
    return BaseMarket(DAY, index, np.array([levels[f] for f in index.factors]), excluded or {}, {}, 1)
