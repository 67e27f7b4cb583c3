"""Rows of credit derivatives: notional x supervisory duration, long where protection is bought, 52.34 and 52.61."""

from __future__ import annotations

from typing import Any

from aggregation.regulatory.sa_ccr.rows import Context, Row, credit_row


def default_swap(context: Context, terms: Any) -> list[Row]:
    """None once the name has defaulted: what is left is a claim of a known amount, which is in the value."""
    if terms.default_date is not None and terms.default_date <= context.as_of:
        return []
    return [_row(context, terms, 1.0)]


def index(context: Context, terms: Any) -> list[Row]:
    """The notional is what defaults have left of it."""
    left = 1.0 - sum(name.weight for name in terms.defaults.values() if name.default_date <= context.as_of)
    return [_row(context, terms, left)]


def _row(context: Context, terms: Any, notional: float) -> Row:
    direction = 1.0 if terms.buy_protection else -1.0
    end = context.years(terms.maturity)
    return credit_row(context, terms.credit_curve, terms.currency, notional, end, direction)
