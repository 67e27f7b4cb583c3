"""Risky bonds by QuantLib: its cash flows on its two curves, and its ISDA engine for what is recovered.

Its own engine of risky bonds takes default in the middle of each coupon period, and is further away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles import credit
from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.instruments.credit.risky_bond import Terms
from valuation.instruments.rates.coupons import FACE

TOLERANCE = 1e-12  # one formula, summed in another order
BAR = 20
FACTORS = credit.FACTORS


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return FACE


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "issue_date": random_date(rng, -1500, -1),
            "maturity": random_date(rng, 30, 5400),
            "coupon": float(rng.uniform(0, 0.1)),
            "frequency": int(rng.choice([1, 2, 4])),
            "day_count": "Thirty360",
            "calendar": "EUTA",
            "credit_curve": "NADIR",
            "recovery": "REC:NADIR",
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    discount, survival = quotes.curve(terms.discount_curve), credit.hazard_curve(quotes, terms.credit_curve)
    schedule = ql.Schedule(
        ql_date(terms.issue_date),
        ql_date(terms.maturity),
        ql.Period(12 // terms.frequency, ql.Months),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        False,
    )
    bond = ql.FixedRateBond(
        0,
        FACE,
        schedule,
        [terms.coupon],
        ql.Thirty360(ql.Thirty360.BondBasis),
        ql.Following,
        FACE,
        ql.Date(),
        ql.TARGET(),
    )
    today = ql_date(TODAY)
    flows = [(c.date(), c.amount()) for c in bond.cashflows() if c.date() > today]
    last = max(d for d, _ in flows)
    protection = ql.CreditDefaultSwap(
        ql.Protection.Buyer,
        FACE,
        0.0,
        ql.Schedule([today, last]),
        ql.Following,
        ql.Actual360(),
        True,
        True,
        today,
    )
    protection.setPricingEngine(ql.IsdaCdsEngine(survival, 0.0, discount))
    recovery = quotes.level(str(terms.recovery))
    return lambda: float(
        sum(amount * discount.discount(d) * survival.survivalProbability(d) for d, amount in flows)
        + recovery.value() * protection.defaultLegNPV()
    )
