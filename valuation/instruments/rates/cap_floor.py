"""Cap or floor: a strip of options on the floating rates of its periods.

Unit of quantity: one unit of notional. Each period pays, at its end, accrual x max(rate - strike, 0) (cap) or
accrual x max(strike - rate, 0) (floor). A rate fixes on the first day of its period (no fixing lag); until then the payment is an
option on the forward rate of the projection curve, expiring that day, under Black, shifted Black or Bachelier. A period
that has begun pays what its fixing says; one that begins on the valuation date takes it when given and the forward rate of the
curve when not. In a market rolled forward, a fixing inside the roll that is not given is the rate of that day on the rolled curve.
A collar is two positions: a cap held and a floor sold.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rate caps and floors"; see `valuation.kernels.rate_options`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Fixings, Rate, known_fixing, require_alive
from valuation.instruments.rates.options import (
    ModelArrays,
    RateModel,
    RateTerms,
    by_curves,
    offsets,
    require_defined,
)
from valuation.instruments.reads import paid, volatilities, volatility_factors
from valuation.kernels import cashflows, rate_options
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(RateModel, RateTerms):
    instrument_type: ClassVar[str] = "cap_floor"

    option_type: Literal["cap", "floor"] = Field(description="cap or floor")
    strike: Rate = Field(description="rate above which a cap and below which a floor pays, fraction a year")
    fixings: Fixings = Field(
        {}, description='known floating rates by first day of the period, as JSON: {"2026-03-02": 0.0431}'
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.check_strike("strike", self.strike)
        return self

    @property
    def sign(self) -> float:
        return 1.0 if self.option_type == "cap" else -1.0

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        periods = self.floating_leg()
        require_alive(dt.date.fromordinal(int(periods.payments[-1])), valuation_date, included=False)
        running = int(periods.starts[periods.payments.searchsorted(valuation_date.toordinal(), side="right")])
        if running < valuation_date.toordinal():
            known_fixing(self.fixings, dt.date.fromordinal(running), rolled_from)

    def left(self, valuation_date: dt.date) -> tuple[int, int]:
        """The first period that is not paid yet, and the first whose rate is not known."""
        periods, today = self.floating_leg(), valuation_date.toordinal()
        unpaid = int(periods.payments.searchsorted(today, side="right"))
        unknown = int(periods.starts.searchsorted(today))
        if unknown < len(periods.starts) and valuation_date in self.fixings and periods.starts[unknown] == today:
            unknown += 1
        return unpaid, unknown

    def coupon(self, period: int, market: Market) -> float | Floats:
        """What a period that has begun pays: by its fixing, else by the rate of its first day in the rolled market."""
        periods = self.floating_leg()
        accrual = float(periods.accruals[period])
        reset = dt.date.fromordinal(int(periods.starts[period]))
        rate = known_fixing(self.fixings, reset, None if market.roll is None else market.roll.since)
        if rate is None:
            end = dt.date.fromordinal(int(periods.payments[period]))
            if market.along is not None:
                rates = (market.along.growth(self.projects, reset, end) - 1.0) / accrual
                return np.asarray(accrual * np.maximum(self.sign * (rates - self.strike), 0.0))
            rate = (market.fixed_growth(self.projects, reset, end) - 1.0) / accrual
        return accrual * max(self.sign * (rate - self.strike), 0.0)


class _Left(NamedTuple):
    """What is left of a contract: days of its payments and coupons that are known, and the periods that are options."""

    days: Ints
    coupons: Sequence[float | Floats]
    starts: Ints
    ends: Ints
    accruals: Floats

    @classmethod
    def of(cls, terms: Terms, market: Market) -> _Left:
        periods = terms.floating_leg()
        unpaid, unknown = terms.left(market.valuation_date)
        return cls(
            periods.payments[unpaid:unknown],
            [terms.coupon(i, market) for i in range(unpaid, unknown)],
            periods.starts[unknown:],
            periods.payments[unknown:],
            periods.accruals[unknown:],
        )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    periods = terms.floating_leg()
    unpaid, unknown = terms.left(valuation_date)
    last = int(periods.payments[-1])
    starts = periods.starts[unknown:].tolist()
    curves = terms.curves_read(
        index,
        valuation_date,
        (starts[0], last) if starts else None,
        (int(periods.payments[min(unpaid, len(periods.payments) - 1)]), last),
    )
    vols = (
        factor
        for day in starts
        for factor in volatility_factors(
            index, terms.volatility, valuation_date, dt.date.fromordinal(day), terms.volatility_types
        )
    )
    return (*curves, *dict.fromkeys(vols))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    out = np.empty((len(terms), market.n_states))
    left = [_Left.of(t, market) for t in terms]
    for rows, columns, discount, projection in by_curves(
        market, terms, [np.concatenate([p.starts, p.ends, p.days]) for p in left]
    ):
        counts = [len(left[i].starts) for i in rows]
        coupons = [np.array([c if isinstance(c, float) else 0.0 for c in left[i].coupons]) for i in rows]
        out[rows] = cashflows.discounted_sums(
            offsets([len(c) for c in coupons]),
            np.concatenate([c[2 * n :] for c, n in zip(columns, counts, strict=True)]),
            np.concatenate(coupons),
            discount,
        )
        for i, c, n in zip(rows, columns, counts, strict=True):
            for coupon, row in zip(left[i].coupons, c[2 * n :], strict=True):
                if not isinstance(coupon, float):  # it differs from path to path
                    out[i] += coupon * discount[row]
        if not any(counts):
            continue
        of_period = [terms[i] for i, n in zip(rows, counts, strict=True) for _ in range(n)]
        accruals = np.concatenate([left[i].accruals for i in rows])
        pay_column = np.concatenate([c[n : 2 * n] for c, n in zip(columns, counts, strict=True)])
        forwards = rate_options.forward_rates(
            np.concatenate([c[:n] for c, n in zip(columns, counts, strict=True)]), pay_column, accruals, projection
        )
        models, strikes = ModelArrays.of([terms[i] for i in rows]), np.array([terms[i].strike for i in rows])
        of_row = np.repeat(np.arange(len(rows)), counts)
        require_defined(of_period, models.normal[of_row], models.shift[of_row], forwards)
        starts = np.concatenate([left[i].starts for i in rows])
        times = (starts - market.valuation_date.toordinal()) / DAYS_A_YEAR
        out[rows] += rate_options.optionlet_sums(
            offsets(counts),
            models.normal,
            np.array([terms[i].sign for i in rows]),
            strikes,
            models.shift,
            np.sqrt(times),
            accruals,
            pay_column,
            forwards,
            volatilities(market, [t.volatility for t in of_period], times, strikes[of_row], forwards),
            discount,
        )
    return out


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    payments = terms.floating_leg().payments
    # only coupons of the interval are looked up: earlier fixings need not be known any more, later ones are not yet
    begin, end = payments.searchsorted([markets.market_date.toordinal(), until.toordinal()], side="right").tolist()
    market = markets.market(until)
    coupons = [terms.coupon(i, market) for i in range(begin, end)]
    made = [i for i, c in enumerate(coupons) if np.any(c)]  # a period out of the money pays nothing
    return paid(markets, until, payments[begin:end][made], [coupons[i] for i in made], [terms.option_type] * len(made))
