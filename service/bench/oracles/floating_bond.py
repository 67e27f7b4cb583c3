"""Floating-rate notes by QuantLib's discounting engine: rates projected on one curve, discounted on another with a spread."""

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
    ex_coupon,
    priced,
    random_bond,
    risky_curve,
)
from service.bench.oracles.market import TODAY, Quotes, ql_date
from valuation.instruments.rates.floating_bond import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def _schedule(terms: Terms) -> ql.Schedule:
    convention = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    return ql.Schedule(
        ql_date(terms.issue_date), ql_date(terms.maturity), ql.Period(FREQUENCIES[terms.frequency]),
        CALENDARS[terms.calendar], convention, convention, ql.DateGeneration.Backward, terms.end_of_month,
    )  # fmt: skip


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        terms = random_bond(rng) | {"projection_curve": str(rng.choice(["USD", "USD_LOW", "USD_MID"]))}
        # QuantLib has no fixing on a holiday
        convention = str(rng.choice(["Following", "ModifiedFollowing", "Preceding"]))
        terms |= {"spread": float(rng.uniform(-0.01, 0.03)), "business_day_convention": convention}
        terms |= {"day_count": str(rng.choice(["Actual360", "Actual365Fixed", "Thirty360"]))}  # those of floating rates
        starts = list(_schedule(Terms.model_validate(terms)))[:-1]
        begun = max((d for d in starts if d <= ql_date(TODAY)), default=starts[0])
        made.append(terms | {"fixings": {begun.ISO(): float(rng.uniform(-0.01, 0.05))}})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    convention = BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    (first, fixing), *_ = terms.fixings.items()
    index = ql.IborIndex(
        f"oracle {terms.contract_id()}",  # QuantLib keeps fixings by name
        ql.Period(FREQUENCIES[terms.frequency]),
        0,
        ql.USDCurrency(),
        CALENDARS[terms.calendar],
        convention,
        terms.end_of_month,
        DAY_COUNTS[terms.day_count],
        quotes.curve(terms.projection),
    )
    index.addFixing(ql_date(first), fixing, True)
    bond = ql.FloatingRateBond(
        0,
        100.0,
        _schedule(terms),
        index,
        DAY_COUNTS[terms.day_count],
        convention,
        0,
        spreads=[terms.spread or 0.0],
        **ex_coupon(terms),
    )
    return priced(bond, risky_curve(terms.discount_curve, terms.credit_spread, quotes))
