"""Non-deliverable forward: an FX forward of which only the gain or loss at the fixing is paid, in one of its currencies.

Unit of quantity: one unit of base currency bought forward. With X the spot rate published on the fixing date, on maturity
t <= T it pays X - K in the quote currency, or (X - K) / X in the base currency, whichever is `settlement_currency`. Value in
the quote currency before the fixing, with the forward rate F(t) for X: (F(t) - K) DF_quote(T), or S DF_base(T) (1 - K / F(t));
the days between fixing and payment make no adjustment of F. Afterwards X is `fixing`. On the fixing date it is the fixing
when given, else the spot rate. In a market rolled forward, a fixing that falls inside the roll and is not given is the spot
rate of that day as rolled. Curves and rates are those of `valuation.instruments.fx.pairs`.
Source: EMTA template terms for non-deliverable FX forward transactions (settlement currency amount).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Currency, Date, Price, require_alive
from valuation.instruments.fx.pairs import (
    DiscountedPair,
    base_factors,
    delivered_values,
    exchange_factors,
    quote_discounts,
    spot_factors,
)
from valuation.instruments.reads import curve_factors, settlement, years
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, Market, NotValuable, RolledMarkets

VERSION = "1"


class Terms(DiscountedPair):
    instrument_type: ClassVar[str] = "non_deliverable_forward"

    strike: Price = Field(description="units of quote currency for one of base currency, positive")
    settlement_currency: Currency = Field(description="currency that is paid, base_currency or currency, ISO 4217")
    fixing_date: Date = Field(description="date whose published spot rate decides what is paid")
    maturity: Date = Field(description="date of payment, on or after the fixing date")
    fixing: Price | None = Field(None, description="spot rate published for the fixing date, once it has passed")

    @model_validator(mode="after")
    def _settles(self) -> Self:
        if self.settlement_currency not in (self.base_currency, self.currency):
            raise ValueError(
                f"settlement_currency {self.settlement_currency} is neither base_currency {self.base_currency} "
                f"nor currency {self.currency}"
            )
        if self.fixing_date > self.maturity:
            raise ValueError(f"fixing_date {self.fixing_date} must not lie after maturity {self.maturity}")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)
        since = valuation_date if rolled_from is None else rolled_from
        if self.fixing is None and self.fixing_date < since:
            raise NotValuable("missing_fixing", f"It needs in fixing the spot rate published for {self.fixing_date}.")

    @property
    def in_base(self) -> bool:
        return self.settlement_currency == self.base_currency

    def fixed(self, day: dt.date) -> bool:
        """Whether the rate is known on a day."""
        return self.fixing_date < day or (self.fixing_date == day and self.fixing is not None)

    def fixed_rate(self, market: Market) -> float | Floats:
        """The rate that has been fixed: the one given, else the spot rate of the fixing date in the rolled market, or on each path."""
        if self.fixing is not None:
            return self.fixing
        if market.along is not None:
            return market.along.on(self.fixing_date).fx(self.base_currency, self.currency)
        roll = market.roll
        assert roll is not None  # `check` has seen to it
        if (then := market.passed(self.fixing_date)) is not None:
            return float(then.fx(self.base_currency, self.currency)[0])
        rate = float(market.fx(self.base_currency, self.currency)[0])
        if roll.market != "forwards":
            return rate
        # back from the end of the roll, where the spot rate is known, to the fixing date
        rate /= market.fixed_growth(self.quote_curve, self.fixing_date, roll.to)
        if self.base_curve is not None:
            return rate * market.fixed_growth(self.base_curve, self.fixing_date, roll.to)
        assert self.base_rate is not None
        return rate * math.exp(self.base_rate * (roll.to - self.fixing_date).days / DAYS_A_YEAR)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    # where the fixing has passed and is not given, the roll gives it from spot and curves
    known = terms.fixed(valuation_date) and terms.fixing is not None
    fixing = () if known else exchange_factors(terms, index, valuation_date, terms.fixing_date)
    if terms.in_base:
        payment = (*spot_factors(terms, index), *base_factors(terms, index, valuation_date, terms.maturity))
    else:
        payment = curve_factors(index, terms.quote_curve, valuation_date, terms.maturity)
    return tuple(dict.fromkeys((*fixing, *payment)))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    rates = np.empty((len(terms), market.n_states))
    to_fix = []
    for i, t in enumerate(terms):
        if t.fixed(market.valuation_date):
            rates[i] = t.fixed_rate(market)
        else:
            to_fix.append(i)
    if to_fix:
        floating = [terms[i] for i in to_fix]
        times = years(market, (t.fixing_date for t in floating))
        rates[to_fix] = delivered_values(floating, times, market) / quote_discounts(floating, times, market)
    in_base = [i for i, t in enumerate(terms) if t.in_base]
    in_quote = [i for i, t in enumerate(terms) if not t.in_base]
    strikes: Floats = np.array([[t.strike] for t in terms])
    times = years(market, (t.maturity for t in terms))
    out = np.empty(rates.shape)
    if in_base:
        delivered = delivered_values([terms[i] for i in in_base], times[in_base], market)
        out[in_base] = delivered * (1.0 - strikes[in_base] / rates[in_base])
    if in_quote:
        discount = quote_discounts([terms[i] for i in in_quote], times[in_quote], market)
        out[in_quote] = (rates[in_quote] - strikes[in_quote]) * discount
    return out


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
