"""Variance swap: at maturity the variance that a share or index realised is paid, and the square of a volatility agreed is received for it.

Unit of quantity: one unit of currency a variance point, a percent squared: 20% of volatility are 400 points. A vega notional N is a
quantity of N / (200 x `volatility_strike`). Value = 10,000 DF(T) (E - volatility_strike^2), where E is the variance a year expected
from `start` to `maturity`: `realised_variance` for the days before the valuation date, for the days after it the fair variance that a
strip of options over the whole smile replicates (`valuation.kernels.smiles`), each weighted by calendar days. A swap that starts later is
worth the variance to maturity less that to its start.

A scenario moves the share from the base at once, and a running swap realises that: ln(S/S_0)^2 over the years from `start` to `maturity`
is added to E. So a crash pays by itself, beside the volatility that comes with it. In a roll nothing moves but time, so that the days since
the market date realise none. On market paths they realise the squared moves from each date of the grid to the next.

Source: Demeterfi, Derman, Kamal and Zou, *More than you ever wanted to know about volatility swaps*, Goldman Sachs, 1999. The share has no
jumps in the strip and is watched without pause: the daily fixings of a real swap differ by what jumps and sampling make.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import SHARES, FactorIndex
from valuation.instruments.equity.shares import FORWARD_DIVIDENDS, UNDERLYING, YIELD, delivered, share_factors
from valuation.instruments.fields import (
    DISCOUNT_CURVE,
    VOLATILITY,
    Currency,
    Date,
    DividendModel,
    Name,
    Number,
    Rate,
    require_alive,
)
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    require_factor,
    rows_by,
    settlement,
    volatility_factors,
    years,
)
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.market.volatility import fair_variances, surface
from valuation.types import CashFlow, InstrumentTerms, Market, NotValuable, RolledMarkets

VERSION = "1"
_POINTS = 10_000.0  # variance points in a variance of 1

# A volatility of 300% or more is a percentage given where a fraction is meant.
_Variance = Annotated[Number, Field(ge=0, lt=9)]


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "variance_swap"

    currency: Currency = Field(description="currency of the payment, ISO 4217; that of the share")
    underlying: Name = Field(description=UNDERLYING)
    volatility: Name = Field(description=VOLATILITY)
    volatility_strike: Annotated[float, Field(gt=0, lt=3)] = Field(
        description="volatility agreed, a fraction (0.2 is 20%), positive; its square is paid"
    )
    start: Date = Field(description="date of the first price observed")
    maturity: Date = Field(description="date of the last price observed, and of payment")
    realised_variance: _Variance | None = Field(
        None,
        description="variance a year realised from start to the valuation date (0.04 is 20% of volatility squared)",
    )
    dividend_yield: Rate | None = Field(None, description=f"{YIELD}; none when absent")
    dividend_model: DividendModel | None = Field(None, description=FORWARD_DIVIDENDS)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _in_order(self) -> Terms:
        if self.start >= self.maturity:
            raise ValueError(
                f"it starts on {self.start} and matures on {self.maturity}; expected a start before maturity"
            )
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)
        if self.start < (rolled_from or valuation_date) and self.realised_variance is None:
            raise NotValuable(
                "missing_fixing", f"Its variance has been observed since {self.start}; give it as realised_variance."
            )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    curve = curve_factors(index, terms.discount_curve, valuation_date, terms.maturity)
    found = surface(index, terms.volatility)
    ids: list[str] = []
    if terms.start <= valuation_date < terms.maturity:
        ids = [require_factor(index, terms.underlying, SHARES, terms.currency)]
    for day in (terms.maturity, terms.start):
        if day > valuation_date or day == terms.maturity:
            ids += volatility_factors(index, terms.volatility, valuation_date, day)
            if found is not None and found.coordinate == "strike":
                ids += share_factors(terms, index, valuation_date, day)
    return tuple(dict.fromkeys((*ids, *curve)))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date
    maturities = [t.maturity for t in terms]
    begins = [min(max(t.start, today), t.maturity) for t in terms]
    times, since = years(market, maturities), years(market, begins)
    fair = _fair_variances(terms, market, maturities, times)
    later = np.flatnonzero(since > 0)
    if len(later):
        own = [terms[i] for i in later.tolist()]
        before = _fair_variances(own, market, [begins[i] for i in later.tolist()], since[later]) * since[later, None]
        gap = times[later, None] - since[later, None]
        fair[later] = (fair[later] * times[later, None] - before) / gap
    observed = market.roll.since if market.roll is not None else today
    total: Floats = np.array([(t.maturity - t.start).days for t in terms], dtype=np.float64)[:, None]
    done: Floats = np.array([max((observed - t.start).days, 0) for t in terms], dtype=np.float64)[:, None]
    realised: Floats = np.array([[t.realised_variance or 0.0] for t in terms])
    left: Floats = np.array([(t.maturity - b).days for t, b in zip(terms, begins, strict=True)], dtype=np.float64)[
        :, None
    ]
    expected = (realised * done + fair * left) / total
    # on its last day the scenarios move nothing any more; what paths have moved by then counts
    running = np.flatnonzero(
        [t.start <= today < t.maturity or (today == t.maturity and market.along is not None) for t in terms]
    )
    if len(running) and market.along is not None:
        for i in running.tolist():
            expected[i] += market.along.squares(terms[i].underlying, terms[i].start) * (DAYS_A_YEAR / total[i])
    elif len(running):
        spots = market.levels([terms[i].underlying for i in running.tolist()])
        move = np.log(np.where(spots > 0, spots, np.nan) / spots[:, :1])
        expected[running] += move * move * (DAYS_A_YEAR / total[running])
    strikes: Floats = np.array([[t.volatility_strike] for t in terms])
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    return _POINTS * discount * (expected - strikes * strikes)


def _fair_variances(terms: Sequence[Terms], market: Market, days: Sequence[dt.date], times: Floats) -> Floats:
    """Fair variance a year from the valuation date to each contract's day, shape (n_contracts, n_states)."""
    out = np.empty((len(terms), market.n_states))
    for name, rows in rows_by([t.volatility for t in terms]):
        found = surface(market.index, name)
        own = [terms[i] for i in rows.tolist()]
        forwards = np.ones((len(rows), market.n_states))
        if found is not None and found.coordinate == "strike":
            discount = discount_factors(market, [t.discount_curve for t in own], times[rows])
            forwards = delivered(own, market, [days[i] for i in rows.tolist()], times[rows]) / discount
        out[rows] = fair_variances(market, name, times[rows], forwards)
    return out


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
