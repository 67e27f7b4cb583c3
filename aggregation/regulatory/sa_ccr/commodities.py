"""Rows of commodity derivatives: price x units, 52.36, with the forward price in the delta."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from aggregation.regulatory.sa_ccr.rows import Context, OptionTerms, Row, commodity_row


def forward(context: Context, terms: Any) -> list[Row]:
    return [_plain(context, terms, context.years(terms.maturity), 1.0)]


def future(context: Context, terms: Any) -> list[Row]:
    """Settled daily: it matures with the next margin, so that the floor of the maturity factor holds (52.32 FAQ 1)."""
    return [_plain(context, terms, 0.0, 1.0)]


def swap(context: Context, terms: Any) -> list[Row]:
    """A forward on one unit for each period that is still to be paid."""
    periods = terms.periods()
    ahead = periods.payments[periods.left(context.as_of) :].tolist()
    sign = 1.0 if terms.pay_fixed else -1.0
    return [_plain(context, terms, context.years(dt.date.fromordinal(day)), sign) for day in ahead]


def option(context: Context, terms: Any) -> list[Row]:
    """European and American options (T is the last exercise, 52.42)."""
    expiry = context.years(terms.expiry)
    price = _forward_price(context, terms.underlying, terms.carry, terms.expiry)
    call = 1.0 if terms.option_type == "call" else -1.0
    option_terms = OptionTerms(call, price, terms.strike, expiry, terms.underlying)
    notional = context.spot(terms.underlying)
    return [commodity_row(context, terms.underlying, terms.currency, notional, expiry, 1.0, option_terms)]


def spread_option(context: Context, terms: Any) -> list[Row]:
    """A basis transaction on two prices of one currency, 52.46: an option on the first with the second and the strike as its strike.

    The notional is the larger of the two prices.
    """
    expiry = context.years(terms.expiry)
    price = _forward_price(context, terms.underlying, terms.carry, terms.expiry)
    second = _forward_price(context, terms.second_underlying, terms.second_carry, terms.expiry)
    call = 1.0 if terms.option_type == "call" else -1.0
    option_terms = OptionTerms(
        call, price, second + terms.strike, expiry, f"{terms.underlying}-{terms.second_underlying}"
    )
    notional = max(abs(context.spot(terms.underlying)), abs(context.spot(terms.second_underlying)))
    of = (terms.underlying, terms.currency, notional, expiry, 1.0, option_terms, terms.second_underlying)
    return [commodity_row(context, *of)]


def _plain(context: Context, terms: Any, maturity: float, direction: float) -> Row:
    price = context.spot(terms.underlying)
    return commodity_row(context, terms.underlying, terms.currency, price, maturity, direction)


def _forward_price(context: Context, underlying: str, carry: float, day: dt.date) -> float:
    return context.spot(underlying) * math.exp(carry * context.time(day))
