"""Rows of equity derivatives: price x units of the share or index, 52.36, with the forward price in the delta."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from aggregation.regulatory.sa_ccr.rows import VOLATILITY, Context, OptionTerms, Row, collared, equity_row
from valuation.instruments.equity import equity_asian_option, equity_forward, variance_swap
from valuation.instruments.equity.shares import delivered


def forward(context: Context, terms: equity_forward.Terms) -> list[Row]:
    return [_plain(context, terms, context.years(terms.maturity))]


def future(context: Context, terms: Any) -> list[Row]:
    """Settled daily: it matures with the next margin, so that the floor of the maturity factor holds (52.32 FAQ 1)."""
    return [_plain(context, terms, 0.0)]


def option(context: Context, terms: Any) -> list[Row]:
    """European, American (T is the last exercise, 52.42) and barrier options, which are taken as plain options of their strike."""
    if terms.instrument_type == "equity_barrier_option" and _ended(terms):
        return []
    return [_option(context, terms, _forward_price(context, terms))]


def digital(context: Context, terms: Any) -> list[Row]:
    """An option that pays the share is a plain option and one that pays the strike, both of its kind."""
    made = _option(context, terms, _forward_price(context, terms))
    if terms.payoff == "cash_or_nothing":
        return collared(context, made, 1.0, terms.currency)
    paid = collared(context, made, terms.strike, terms.currency)
    # a call pays S when S > K: (S - K)+ and K; a put pays S when S < K: K less (K - S)+
    return [made if made.call > 0 else made._replace(direction=-made.direction), *paid]


def asian(context: Context, terms: equity_asian_option.Terms) -> list[Row]:
    """P is the average that is expected: known prices, and forward prices of the days to come."""
    today, total = context.as_of, 0.0
    days = terms.days()
    spot = context.spot(terms.underlying)
    for day in days:
        if day < today or (day == today and day in terms.fixings):
            total += terms.fixing(day)
        else:
            time = context.time(day)
            discount = context.discount(terms.discount_curve, time)
            total += spot * math.exp(-terms.dividend_yield * time) / discount
    return [_option(context, terms, total / len(days))]


def variance(context: Context, terms: variance_swap.Terms) -> list[Row]:
    """A volatility transaction, 52.47: the variance expected, in the points that it is paid in, in place of a price (52.36)."""
    time = context.time(terms.maturity)
    discount = context.discount(terms.discount_curve, time)
    worth = float(variance_swap.value([terms], context.market)[0, 0])
    points = worth / discount + 1e4 * terms.volatility_strike**2
    maturity = context.years(terms.maturity)
    return [equity_row(context, terms.underlying, terms.currency, points, maturity, 1.0, treatment=VOLATILITY)]


def _plain(context: Context, terms: Any, maturity: float) -> Row:
    price = context.spot(terms.underlying)
    return equity_row(context, terms.underlying, terms.currency, price, maturity, 1.0)


def _option(context: Context, terms: Any, price: float) -> Row:
    expiry = context.years(terms.expiry)
    option_terms = OptionTerms(1.0 if terms.option_type == "call" else -1.0, price, terms.strike, expiry)
    notional = context.spot(terms.underlying)
    return equity_row(context, terms.underlying, terms.currency, notional, expiry, 1.0, option_terms)


def _forward_price(context: Context, terms: Any) -> float:
    time = context.time(terms.expiry)
    discount = context.discount(terms.discount_curve, time)
    if getattr(terms, "dividend_model", None) is not None:
        return float(delivered([terms], context.market, [terms.expiry], np.array([time]))[0, 0]) / discount
    return context.spot(terms.underlying) * math.exp(-terms.dividend_yield * time) / discount


def _ended(terms: Any) -> bool:
    """Whether a knock-out has been touched: nothing is left of it."""
    return terms.barrier_hit is not None and terms.barrier_type.endswith("out")
