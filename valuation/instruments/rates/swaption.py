"""European swaption: the right to enter a fixed-floating swap, or its cash value, on one day.

Unit of quantity: one unit of the swap's notional. Value = annuity x option on the forward swap rate with strike `fixed_rate`, under
Black, shifted Black or Bachelier; the annuity is the discounted sum of the fixed accruals, the forward swap rate the
value of the floating leg over it. On the expiry date the intrinsic value.
Settled `physical`, the annuity is that of the discount curve, and the swap entered into is a contract of its own: what it is worth
on the expiry date leaves this one. Settled `cash`, the payment on the first day of the swap is worth an annuity of 1/frequency a
period discounted at the swap rate itself (the cash settlement of a par yield curve), priced as the market does: as if the forward
swap rate had no drift under it.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "European swap options"; for cash settlement Mercurio,
"Cash-settled swaptions and no-arbitrage", Risk (February 2008).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Date, require_alive
from valuation.instruments.rates.options import (
    ModelArrays,
    RateModel,
    UnderlyingSwap,
    by_curves,
    offsets,
    require_defined,
)
from valuation.instruments.reads import settlement as settled
from valuation.instruments.reads import volatilities, volatility_factors, years
from valuation.kernels import rate_options
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(RateModel, UnderlyingSwap):
    instrument_type: ClassVar[str] = "swaption"

    expiry: Date = Field(description="date of exercise, on or before `start`")
    settlement: Literal["physical", "cash"] = Field(
        "physical", description="physical (the swap is entered into) or cash (at the annuity of a par yield curve)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expiry > self.start:
            raise ValueError(f"expiry {self.expiry} must not lie after start {self.start} of the swap")
        self.check_strike("fixed_rate", self.fixed_rate)
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    fixed, floating = terms.fixed_leg(), terms.floating_leg()
    last = int(max(fixed.payments[-1], floating.payments[-1]))
    first = int(floating.starts[0])  # where floating rates, and on one curve the whole leg, begin
    paid = first if terms.settlement == "cash" else int(min(fixed.payments[0], floating.payments[0]))
    return (
        *terms.curves_read(index, valuation_date, (first, int(floating.payments[-1])), (paid, last)),
        *volatility_factors(index, terms.volatility, valuation_date, terms.expiry, terms.volatility_types),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    fixed, floating = [t.fixed_leg() for t in terms], [t.floating_periods() for t in terms]
    annuities, rates = np.empty((2, len(terms), market.n_states))
    days = [np.concatenate([f.payments, *g]) for f, g in zip(fixed, floating, strict=True)]
    for rows, columns, discount, projection in by_curves(market, terms, days):
        n, m = [len(fixed[i].payments) for i in rows], [len(floating[i][0]) for i in rows]
        split = [np.split(c, [a, a + b]) for c, a, b in zip(columns, n, m, strict=True)]
        paid, first, last = (np.concatenate(part) for part in zip(*split, strict=True))
        annuities[rows], rates[rows] = rate_options.swap_rates(
            offsets(n),
            paid,
            np.concatenate([fixed[i].accruals for i in rows]),
            offsets(m),
            first,
            last,
            projection,
            discount,
        )
        cash = [k for k, i in enumerate(rows) if terms[i].settlement == "cash"]
        if cash:
            places = [rows[k] for k in cash]
            annuities[places] = discount[[split[k][1][0] for k in cash]] * rate_options.cash_annuities(
                np.array([float(terms[i].fixed_frequency) for i in places]),
                np.array([len(fixed[i].payments) for i in places]),
                rates[places],
            )
    models = ModelArrays.of(terms)
    require_defined(terms, *models, rates)
    times, strikes = years(market, (t.expiry for t in terms)), np.array([t.fixed_rate for t in terms])
    return rate_options.rate_options(
        models.normal,
        np.array([1.0 if t.pay_fixed else -1.0 for t in terms]),
        strikes,
        models.shift,
        np.sqrt(times),
        rates,
        volatilities(market, [t.volatility for t in terms], times, strikes, rates),
        annuities,
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settled(value, terms, markets, terms.expiry, until)
