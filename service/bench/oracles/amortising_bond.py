"""Amortising bonds by QuantLib's, on notionals listed by period; those of an annuity are QuantLib's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.bonds import (
    BAR,
    FACTORS,
    FREQUENCIES,
    SIZE,
    TOLERANCE,
    bond_schedule,
    ex_coupon,
    period_starts,
    priced,
    random_bond,
    risky_curve,
)
from service.bench.oracles.market import Quotes, ql_date
from valuation.instruments.rates.amortising_bond import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, DAY_COUNTS

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    while len(made) < n:
        terms = random_bond(rng) | {"coupon": float(rng.uniform(0.001, 0.12))}
        kind = str(rng.choice(["linear", "annuity", "redemptions"]))
        if kind != "redemptions":
            made.append(terms | {"amortisation": kind})
        elif days := period_starts(terms):
            chosen = rng.choice(days, size=min(len(days), int(rng.integers(1, 5))), replace=False)
            made.append(terms | {"redemptions": {str(day): float(rng.uniform(1, 24)) for day in chosen}})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    dates = bond_schedule(terms)
    bond = ql.AmortizingFixedRateBond(
        0,
        _notionals(terms, dates),
        dates,
        [terms.coupon],
        DAY_COUNTS[terms.day_count],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
        ql_date(terms.issue_date),
        **ex_coupon(terms),
    )
    return priced(bond, risky_curve(terms.discount_curve, terms.credit_spread, quotes))


def _notionals(terms: Terms, dates: ql.Schedule) -> list[float]:
    n = len(dates) - 1
    if terms.amortisation == "linear":
        return [100.0 - 100.0 / n * k for k in range(n)]
    if terms.amortisation == "annuity":
        length = ql.Period(12 // terms.frequency * n, ql.Months)
        return list(ql.sinkingNotionals(length, FREQUENCIES[terms.frequency], terms.coupon, 100.0))[:n]
    left, notionals = 100.0, []
    for day in list(dates)[:-1]:
        left -= (terms.redemptions or {}).get(day.to_date(), 0.0)
        notionals.append(left)
    return notionals
