"""Rows of FX derivatives: the foreign leg in the reporting currency, of two foreign legs the larger, 52.35."""

from __future__ import annotations

import math
from typing import Any

from aggregation.regulatory.sa_ccr.rows import Context, OptionTerms, Row, collared, fx_row


def forward(context: Context, terms: Any) -> list[Row]:
    """FX forwards, deliverable or not; the base currency is bought."""
    maturity = context.years(terms.maturity)
    return [fx_row(context, terms.base_currency, terms.currency, 1.0, terms.strike, maturity, 1.0)]


def swap(context: Context, terms: Any) -> list[Row]:
    """Two exchanges in opposite directions; the near one until its date has passed."""
    legs = [(terms.near_maturity, terms.near_strike, 1.0), (terms.maturity, terms.strike, -1.0)]
    pair = (terms.base_currency, terms.currency)
    return [fx_row(context, *pair, 1.0, k, context.years(day), sign) for day, k, sign in legs if day >= context.as_of]


def option(context: Context, terms: Any) -> list[Row]:
    """European, American (T is the last exercise, 52.42) and barrier options, which are taken as plain options of their strike."""
    if getattr(terms, "barrier_hit", None) is not None and terms.barrier_type.endswith("out"):
        return []
    return [_option(context, terms)]


def digital(context: Context, terms: Any) -> list[Row]:
    """An option that pays the base currency is a plain option and one that pays the strike, both of its kind."""
    made = _option(context, terms)
    if terms.payoff == "cash_or_nothing":
        return collared(context, made, 1.0, terms.currency)
    paid = collared(context, made, terms.strike, terms.currency)
    return [made if made.call > 0 else made._replace(direction=-made.direction), *paid]


def _option(context: Context, terms: Any) -> Row:
    expiry, time = context.years(terms.expiry), context.time(terms.expiry)
    curve = terms.base_curve
    base = math.exp(-terms.base_rate * time) if curve is None else context.discount(curve, time)
    spot = float(context.market.fx(terms.base_currency, terms.currency)[0])
    price = spot * base / context.discount(terms.quote_curve, time)
    option_terms = OptionTerms(1.0 if terms.option_type == "call" else -1.0, price, terms.strike, expiry)
    pair = (terms.base_currency, terms.currency)
    return fx_row(context, *pair, 1.0, terms.strike, expiry, 1.0, option_terms)
