"""A price index month by month: its level today, and what inflation swaps say of later months.

The level of the `price_index` risk factor is that of the month `lag` months before the month of the valuation date, as the swaps
quoted on that day are struck on it: the pillar of k years, an `inflation_rate` r, says that the index of the month
12 k months later is level x (1 + r)^k. Months are counted from January 1970. There is no seasonality.

In a market rolled with forwards realised, the path of the index stays what it was on the market date, and scenarios at the end of
the roll change it by the ratio of their path to that of the base. So do market paths.
"""

from __future__ import annotations

import datetime as dt

import numpy as np

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor, tenor_years
from valuation.kernels import curves
from valuation.kernels.index_growth import index_growth
from valuation.types import Market


def month_of(day: dt.date) -> int:
    return (day.year - 1970) * 12 + day.month - 1


def month_start(month: int) -> dt.date:
    """The first day of a month."""
    return dt.date(1970 + month // 12, month % 12 + 1, 1)


def inflation_pillars_read(
    index: FactorIndex, curve: str, valuation_date: dt.date, lag: int, months: Ints
) -> tuple[str, ...]:
    """Ids of the pillars that decide the index of these months and no other."""
    pillars = _pillars(index, curve)
    nodes, reads = curves.zero_reads(_times(pillars))
    ends = np.array([months.min(), months.max()])
    begin, end = curves.segments(nodes, _years_from(valuation_date, lag, ends)).tolist()
    return tuple(pillars[k].risk_factor_id for k in np.flatnonzero(reads[begin : end + 2].any(axis=0)))


def projected_index(market: Market, price_index: str, curve: str, lag: int, months: Ints) -> Floats:
    """Level of the index in each of these months, shape (len(months), n_states)."""
    pillars = _pillars(market.index, curve)
    times, ids = _times(pillars), [f.risk_factor_id for f in pillars]
    path = market.level(price_index) * index_growth(
        times, market.levels(ids), _years_from(market.valuation_date, lag, months)
    )
    if market.roll is None or (market.roll.market != "forwards" and market.along is None):
        return path
    origin, row = market.roll.origin, market.index.row
    rates = origin[[row[i] for i in ids]][:, None]
    since = origin[row[price_index]] * index_growth(times, rates, _years_from(market.roll.since, lag, months))
    return np.asarray(since * (path / path[:, :1]))


def _years_from(valuation_date: dt.date, lag: int, months: Ints) -> Floats:
    """Years from the month of the level; zero for months before it, which are known and no longer projected."""
    return np.maximum(months - (month_of(valuation_date) - lag), 0) / 12.0


def _pillars(index: FactorIndex, curve: str) -> tuple[RiskFactor, ...]:
    pillars = index.curve(curve)
    types = {f.type for f in pillars}
    if types != {"inflation_rate"}:
        raise MissingRiskFactor(
            f"Curve {curve} has pillars of type {', '.join(sorted(types))}; an inflation curve has inflation_rate."
        )
    return pillars


def _times(pillars: tuple[RiskFactor, ...]) -> Floats:
    return np.array([tenor_years(f.pillar or "") for f in pillars])
